"""``render_video``: the video with what was found drawn over it."""

from __future__ import annotations

from mediaproc.detect.stages.base import StageDefinition, StageIO
from mediaproc.detect.stages.channels import FILES, table_serializers
from mediaproc.detect.stages.rendering import plan_overlays, render_pieces
from mediaproc.detect.stages.rendering.joining import SOUND, join
from mediaproc.detect.tables import Files

_SERIALIZE, _DESERIALIZE = table_serializers("files", Files)

STAGE = StageDefinition(
    name="render_video",
    label="Render video",
    description="Draws tracks, detections, texts and events over every frame: H.264 with sound.",
    io=StageIO(reads=["video", "pieces"], writes=["files"]),
    config_fields=[*plan_overlays.FIELDS, *render_pieces.FIELDS, SOUND],
    category="output",
    fn=join,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    scope="video",
    # Joining takes seconds, and a whole video would push much else out of the cache.
    cached=False,
    channels=[FILES],
    companions=(plan_overlays.STAGE.name, render_pieces.STAGE.name),
)
