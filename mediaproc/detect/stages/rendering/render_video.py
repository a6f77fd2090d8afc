"""``render_video``: the video with what was found drawn over it."""

from __future__ import annotations

from mediaproc.detect.stages.rendering import plan_overlays
from mediaproc.detect.stages.rendering.joining import joining_stage

STAGE = joining_stage(
    "render_video",
    "Render video",
    "Draws tracks, detections, texts and events over every frame: H.264 with sound.",
    plan_overlays.STAGE.name,
    plan_overlays.FIELDS,
)
