"""``redact``: the video with faces, number plates or other classes made unrecognisable."""

from __future__ import annotations

from mediaproc.detect.stages.base import StageDefinition, StageIO
from mediaproc.detect.stages.channels import FILES, table_serializers
from mediaproc.detect.stages.rendering import plan_redaction, render_pieces
from mediaproc.detect.stages.rendering.joining import SOUND, join
from mediaproc.detect.tables import Files

_SERIALIZE, _DESERIALIZE = table_serializers("files", Files)

STAGE = StageDefinition(
    name="redact",
    label="Redact",
    description="Pixelates, blurs or blackens what is tracked, in every frame: H.264 with sound.",
    io=StageIO(reads=["video", "pieces"], writes=["files"]),
    config_fields=[*plan_redaction.FIELDS, *render_pieces.FIELDS, SOUND],
    category="output",
    fn=join,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    scope="video",
    # Joining takes seconds, and a whole video would push much else out of the cache.
    cached=False,
    channels=[FILES],
    companions=(plan_redaction.STAGE.name, render_pieces.STAGE.name),
)
