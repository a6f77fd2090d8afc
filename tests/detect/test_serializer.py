"""What goes into the columns of a checkpoint database, and what does not."""

from __future__ import annotations

import pickle

import pytest

from mediaproc.detect.serializer import StrictSerializer


def test_serializer_does_not_unpickle() -> None:
    with pytest.raises(NotImplementedError):
        StrictSerializer().loads_typed(("pickle", pickle.dumps({"a": 1})))


def test_serializer_does_not_unpickle_what_says_that_it_is_compressed() -> None:
    import zlib

    with pytest.raises(NotImplementedError):
        StrictSerializer().loads_typed(("pickle+zlib", zlib.compress(pickle.dumps({"a": 1}))))


def test_serializer_refuses_other_kinds_of_values() -> None:
    with pytest.raises(TypeError):
        StrictSerializer().dumps_typed(object())


@pytest.mark.parametrize("value", [[], {"rows": [0.5] * 1000}, ["x" * 600], b"x" * 2000])
def test_serializer_gives_back_what_it_was_given(value: object) -> None:
    assert StrictSerializer().loads_typed(StrictSerializer().dumps_typed(value)) == value


def test_serializer_compresses_what_is_large() -> None:
    value = [{"frame_index": n, "time_s": n / 25} for n in range(1000)]
    kind, data = StrictSerializer().dumps_typed(value)
    assert kind == "msgpack+zlib"
    assert len(data) < 12_000
