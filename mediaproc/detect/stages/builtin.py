"""The stages that ship. An explicit list shows newcomers what there is."""

from __future__ import annotations

from mediaproc.detect.stages import (
    detect_objects,
    detect_shots,
    detect_speech,
    detect_text,
    escalate_vlm,
    human_review,
    report,
    sample_frames,
    score_frames,
    score_speech,
    track_objects,
    transcribe,
)
from mediaproc.detect.stages.base import StageDefinition

BUILTIN: list[StageDefinition] = [
    sample_frames.STAGE,
    score_frames.STAGE,
    detect_shots.STAGE,
    detect_objects.STAGE,
    detect_text.STAGE,
    track_objects.STAGE,
    score_speech.STAGE,
    detect_speech.STAGE,
    transcribe.STAGE,
    escalate_vlm.STAGE,
    human_review.STAGE,
    report.STAGE,
]
