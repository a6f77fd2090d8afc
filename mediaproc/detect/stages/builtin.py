"""The stages that ship. An explicit list shows newcomers what there is."""

from __future__ import annotations

from mediaproc.detect.stages import (
    contact_sheet,
    crop_objects,
    cut_crops,
    detect_objects,
    detect_shots,
    detect_text,
    export,
    match_text,
    measure_exposure,
    moderate,
    plan_crops,
    plan_overlays,
    plan_redaction,
    redact,
    render_pieces,
    render_video,
    report,
    report_html,
    sample_frames,
    score_frames,
    track_objects,
    zones,
)
from mediaproc.detect.stages.base import StageDefinition

BUILTIN: list[StageDefinition] = [
    sample_frames.STAGE,
    score_frames.STAGE,
    detect_shots.STAGE,
    detect_objects.STAGE,
    detect_text.STAGE,
    track_objects.STAGE,
    export.STAGE,
    plan_overlays.STAGE,
    plan_redaction.STAGE,
    render_pieces.STAGE,
    render_video.STAGE,
    redact.STAGE,
    plan_crops.STAGE,
    cut_crops.STAGE,
    crop_objects.STAGE,
    contact_sheet.STAGE,
    match_text.STAGE,
    measure_exposure.STAGE,
    zones.STAGE,
    moderate.STAGE,
    report.STAGE,
    report_html.STAGE,
]
