"""The stages that ship. An explicit list shows newcomers what there is."""

from __future__ import annotations

from mediaproc.detect.stages import (
    detect_objects,
    detect_shots,
    detect_text,
    match_text,
    measure_exposure,
    moderate,
    report,
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
    match_text.STAGE,
    measure_exposure.STAGE,
    zones.STAGE,
    moderate.STAGE,
    report.STAGE,
]
