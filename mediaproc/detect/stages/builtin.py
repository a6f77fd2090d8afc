"""The stages that ship. An explicit list shows newcomers what there is."""

from __future__ import annotations

from mediaproc.detect.stages import (
    classify_frames,
    detect_codes,
    detect_faces,
    detect_motion,
    detect_objects,
    detect_shots,
    detect_text,
    filter_frames,
    report,
    sample_frames,
    sample_scenes,
    score_frames,
    score_motion,
    track_camera,
    track_objects,
)
from mediaproc.detect.stages.base import StageDefinition

BUILTIN: list[StageDefinition] = [
    sample_frames.STAGE,
    filter_frames.STAGE,
    score_frames.STAGE,
    detect_shots.STAGE,
    sample_scenes.STAGE,
    detect_objects.STAGE,
    detect_faces.STAGE,
    classify_frames.STAGE,
    detect_codes.STAGE,
    score_motion.STAGE,
    detect_motion.STAGE,
    detect_text.STAGE,
    track_camera.STAGE,
    track_objects.STAGE,
    report.STAGE,
]
