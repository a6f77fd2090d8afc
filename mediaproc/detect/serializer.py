"""How values get into the columns of a checkpoint database: strict, compressed, and checked."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any

from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from mediaproc.errors import DamageError

# Values of fewer bytes stay as they are.
COMPRESSED_FROM = 512
# Findings repeat themselves: the fastest level makes an eighth of them.
_LEVEL = 1
_SUFFIX = "+zlib"
# What a value's type ends with whose bytes begin with the digest of the rest.
_CHECKED = "+sum"
_DIGEST_BYTES = 8


class StrictSerializer(SerializerProtocol):
    """Takes JSON and LangGraph's own types; nothing is pickled or unpickled.

    A large value is compressed, and its type says so. Each carries a digest, so that a damaged one
    is an error and never another value.
    """

    def __init__(self) -> None:
        self._plain = JsonPlusSerializer(pickle_fallback=False, allowed_msgpack_modules=None)

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """The type of a value and its bytes; TypeError where it is of another kind."""
        kind, data = self._plain.dumps_typed(obj)
        if len(data) >= COMPRESSED_FROM:
            kind, data = kind + _SUFFIX, zlib.compress(data, _LEVEL)
        return kind + _CHECKED, _digest(kind, data) + data

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """The value that ``dumps_typed`` was given.

        Raises:
            DamageError: the stored bytes are damaged, or carry no digest.
        """
        kind, stored = data[0].removesuffix(_CHECKED), data[1][_DIGEST_BYTES:]
        if not data[0].endswith(_CHECKED):
            raise DamageError(
                f"{len(data[1])} bytes of type {data[0]!r} carry no digest (they are damaged, or "
                "an earlier version of mediaproc wrote them)"
            )
        if data[1][:_DIGEST_BYTES] != _digest(kind, stored):
            raise DamageError(
                f"{len(data[1])} damaged bytes of type {data[0]!r} do not match their digest"
            )
        if kind.endswith(_SUFFIX):
            return self._plain.loads_typed((kind.removesuffix(_SUFFIX), zlib.decompress(stored)))
        return self._plain.loads_typed((kind, stored))


def _digest(kind: str, data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES, person=kind.encode()[:16]).digest()
