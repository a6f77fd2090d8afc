"""``redact``: the video with faces, number plates or other classes made unrecognisable."""

from __future__ import annotations

from mediaproc.detect.stages.rendering import plan_redaction
from mediaproc.detect.stages.rendering.joining import joining_stage

STAGE = joining_stage(
    "redact",
    "Redact",
    "Pixelates, blurs or blackens what is tracked, in every frame: H.264 with sound.",
    plan_redaction.STAGE.name,
    plan_redaction.FIELDS,
)
