"""``transcribe``: what is said, by Whisper, where somebody speaks."""

from __future__ import annotations

from typing import Any

from mediaproc.detect.stages.audio import transcribe_pieces
from mediaproc.detect.stages.base import StageDefinition, StageIO
from mediaproc.detect.stages.channels import TRANSCRIPT, table_serializers
from mediaproc.detect.state import DetectState
from mediaproc.detect.tables import Transcript


def transcribe(state: DetectState) -> dict[str, Any]:
    """Put together what was heard in each segment."""
    phrases = state["phrases"]
    return {"transcript": Transcript.from_records({**r, "node": ""} for r in phrases.records())}


_SERIALIZE, _DESERIALIZE = table_serializers("transcript", Transcript)

STAGE = StageDefinition(
    name="transcribe",
    label="Transcribe",
    description="Writes down what is said, with times for each word (Whisper by faster-whisper).",
    io=StageIO(reads=["phrases"], writes=["transcript"]),
    config_fields=transcribe_pieces.FIELDS,
    category="audio",
    fn=transcribe,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    scope="video",
    channels=[TRANSCRIPT],
    needs=transcribe_pieces.STAGE.needs,
    companions=(transcribe_pieces.STAGE.name,),
)
