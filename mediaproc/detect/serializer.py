"""How values get into the columns of a checkpoint database: strict, and compressed."""

from __future__ import annotations

import zlib
from typing import Any

from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

# Values of fewer bytes stay as they are.
COMPRESSED_FROM = 512
# Findings repeat themselves: the fastest level makes an eighth of them.
_LEVEL = 1
_SUFFIX = "+zlib"


class StrictSerializer(SerializerProtocol):
    """Takes JSON and LangGraph's own types; nothing is pickled or unpickled.

    A large value is compressed and its type says so; smaller ones are as LangGraph writes them.
    """

    def __init__(self) -> None:
        self._plain = JsonPlusSerializer(pickle_fallback=False, allowed_msgpack_modules=None)

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """The type of a value and its bytes; TypeError where it is of another kind."""
        kind, data = self._plain.dumps_typed(obj)
        if len(data) < COMPRESSED_FROM:
            return kind, data
        return kind + _SUFFIX, zlib.compress(data, _LEVEL)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """The value that ``dumps_typed`` was given."""
        kind, stored = data
        if kind.endswith(_SUFFIX):
            return self._plain.loads_typed((kind.removesuffix(_SUFFIX), zlib.decompress(stored)))
        return self._plain.loads_typed((kind, stored))
