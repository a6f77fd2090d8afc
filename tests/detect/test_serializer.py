"""What goes into the columns of a checkpoint database, and what does not."""

from __future__ import annotations

import pickle
import zlib

import pytest

from mediaproc.detect.serializer import StrictSerializer, _digest
from mediaproc.errors import CheckpointError


def sealed(kind: str, data: bytes) -> tuple[str, bytes]:
    """Bytes with a digest that is right."""
    return f"{kind}+sum", _digest(kind, data) + data


def test_serializer_does_not_unpickle() -> None:
    with pytest.raises(NotImplementedError):
        StrictSerializer().loads_typed(sealed("pickle", pickle.dumps({"a": 1})))


def test_serializer_does_not_unpickle_what_says_that_it_is_compressed() -> None:
    data = zlib.compress(pickle.dumps({"a": 1}))
    with pytest.raises(NotImplementedError):
        StrictSerializer().loads_typed(sealed("pickle+zlib", data))


@pytest.mark.parametrize("value", [{"a": 1}, ["x" * 600]])
def test_serializer_refuses_every_flipped_bit_and_another_type(value: object) -> None:
    kind, data = StrictSerializer().dumps_typed(value)
    for position in range(len(data) * 8):
        changed = bytearray(data)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(CheckpointError, match="damaged"):
            StrictSerializer().loads_typed((kind, bytes(changed)))
    with pytest.raises(CheckpointError, match="damaged"):
        StrictSerializer().loads_typed((f"json{kind.removeprefix('msgpack')}", data))


def test_serializer_refuses_other_kinds_of_values() -> None:
    with pytest.raises(TypeError):
        StrictSerializer().dumps_typed(object())


@pytest.mark.parametrize("value", [[], {"rows": [0.5] * 1000}, ["x" * 600], b"x" * 2000])
def test_serializer_gives_back_what_it_was_given(value: object) -> None:
    assert StrictSerializer().loads_typed(StrictSerializer().dumps_typed(value)) == value


def test_serializer_compresses_what_is_large() -> None:
    value = [{"frame_index": n, "time_s": n / 25} for n in range(1000)]
    kind, data = StrictSerializer().dumps_typed(value)
    assert kind == "msgpack+zlib+sum"
    assert len(data) < 12_000
