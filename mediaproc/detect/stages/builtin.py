"""The stages that ship. An explicit list shows newcomers what there is."""

from __future__ import annotations

from mediaproc.detect.stages.analysis import match_text, measure_exposure, moderate, zones
from mediaproc.detect.stages.asking import escalate_vlm, human_review
from mediaproc.detect.stages.audio import detect_speech, score_speech, transcribe, transcribe_pieces
from mediaproc.detect.stages.base import StageDefinition
from mediaproc.detect.stages.detection import (
    classify_frames,
    detect_codes,
    detect_faces,
    detect_motion,
    detect_objects,
    score_motion,
)
from mediaproc.detect.stages.reading import detect_text
from mediaproc.detect.stages.rendering import (
    contact_sheet,
    crop_objects,
    cut_crops,
    plan_crops,
    plan_overlays,
    plan_redaction,
    redact,
    render_pieces,
    render_video,
)
from mediaproc.detect.stages.reporting import export, report, report_html
from mediaproc.detect.stages.sampling import filter_frames, sample_frames, sample_scenes
from mediaproc.detect.stages.shots import detect_shots, score_frames
from mediaproc.detect.stages.tracking import track_camera, track_objects

BUILTIN: list[StageDefinition] = [
    sample_frames.STAGE,
    filter_frames.STAGE,
    sample_scenes.STAGE,
    score_frames.STAGE,
    detect_shots.STAGE,
    detect_objects.STAGE,
    detect_faces.STAGE,
    classify_frames.STAGE,
    detect_codes.STAGE,
    score_motion.STAGE,
    detect_motion.STAGE,
    detect_text.STAGE,
    track_camera.STAGE,
    track_objects.STAGE,
    score_speech.STAGE,
    detect_speech.STAGE,
    transcribe_pieces.STAGE,
    transcribe.STAGE,
    match_text.STAGE,
    measure_exposure.STAGE,
    zones.STAGE,
    moderate.STAGE,
    escalate_vlm.STAGE,
    human_review.STAGE,
    plan_overlays.STAGE,
    plan_redaction.STAGE,
    render_pieces.STAGE,
    render_video.STAGE,
    redact.STAGE,
    plan_crops.STAGE,
    cut_crops.STAGE,
    crop_objects.STAGE,
    contact_sheet.STAGE,
    export.STAGE,
    report.STAGE,
    report_html.STAGE,
]
