"""StageCheckpointer: LangGraph's conformance suite, and what it does with parts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import Capability
from langgraph.types import Send

from mediaproc.detect.checkpoint import StageCheckpointer, open_saver
from mediaproc.detect.envelopes import decode, encode
from mediaproc.detect.parts import Part
from mediaproc.errors import CheckpointError, JobError, LeaseError, StageError


@pytest.mark.parametrize("capability", [each.value for each in Capability])
async def test_checkpoint_passes_the_conformance_suite(location: str, capability: str) -> None:
    @checkpointer_test(name="StageCheckpointer")
    async def saver() -> AsyncGenerator[StageCheckpointer, None]:
        with open_saver(location) as opened:
            yield opened

    result = (await validate(saver, capabilities={capability})).results[capability]
    assert (result.passed, result.failures) == (True, [])


def part(value: Any, calls: list[Any] | None = None) -> Part:
    def seal(writes: dict[str, Any]) -> dict[str, Any]:
        if calls is not None:
            calls.append(writes)
        return {"rows": list(writes["rows"])}

    return Part("fake", 1, "node", 3, writes={"rows": value}, seal=seal)


def test_checkpoint_walks_into_sends_lists_and_dicts() -> None:
    value = {"a": [part((1,)), Send("next", {"given": [part((2,))]})], "b": (part((3,)), "x")}
    encoded = encode(value)
    text = json.dumps(
        [encoded["a"][0]["data"], encoded["a"][1].arg["given"][0]["data"], encoded["b"][0]["data"]]
    )
    assert text == '[{"rows": [1]}, {"rows": [2]}, {"rows": [3]}]'
    restored = decode(encoded)
    assert isinstance(restored["a"][1].arg["given"][0], Part)
    assert restored["b"][0].open(lambda part, data: data) == {"rows": [3]}


def test_checkpoint_serialises_a_part_once_with_its_own_writes_only(tmp_path: Path) -> None:
    calls: list[Any] = []
    once = part((1, 2), calls)
    with open_saver(tmp_path / "c.db") as saver:
        config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
        checkpoint = empty_checkpoint()
        checkpoint["channel_values"] = {"parts": [once]}
        stored = saver.put(config, checkpoint, {}, {})
        saver.put_writes(stored, [("parts", [once]), ("parts", once)], "task")
        found = saver.get_tuple(config)
    assert calls == [{"rows": (1, 2)}]
    assert found is not None
    assert found.pending_writes is not None
    parts = [
        found.checkpoint["channel_values"]["parts"][0],
        found.pending_writes[0][2][0],
        found.pending_writes[1][2],
    ]
    assert [p.open(lambda part, data: data) for p in parts] == [{"rows": [1, 2]}] * 3


def test_checkpoint_refuses_values_that_are_not_json_and_names_them() -> None:
    bare = Part("fake", 1, "node", None, writes={"thing": object()})
    with pytest.raises(StageError, match=r"node 'node' \(fake\): channel 'thing' holds a object"):
        encode(bare)


def test_checkpoint_refuses_an_envelope_of_another_version() -> None:
    envelope = {**encode(part((1,))), "$mediaproc": 2}
    with pytest.raises(CheckpointError, match="envelope of version 2"):
        decode({"parts": [envelope]})


def test_checkpoint_advises_an_update_for_a_newer_envelope() -> None:
    with pytest.raises(CheckpointError, match=r"version 2; this version.* reads 1: update"):
        decode({"parts": [{**encode(part((1,))), "$mediaproc": 2}]})


def test_checkpoint_database_holds_no_pickle(tmp_path: Path) -> None:
    with open_saver(tmp_path / "c.db") as saver:
        config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
        checkpoint = empty_checkpoint()
        checkpoint["channel_values"] = {"parts": [part((1,))]}
        saver.put_writes(saver.put(config, checkpoint, {}, {}), [("parts", part((1,)))], "task")
    database = sqlite3.connect(tmp_path / "c.db")
    kinds = {kind for (kind,) in database.execute("SELECT type FROM checkpoints")}
    kinds |= {kind for (kind,) in database.execute("SELECT type FROM writes")}
    database.close()
    assert kinds == {"msgpack+sum"}


def test_checkpoint_guard_keeps_writes_out(tmp_path: Path) -> None:
    def guard() -> None:
        raise LeaseError("lost")

    config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
    with open_saver(tmp_path / "c.db", guard=guard) as saver:
        with pytest.raises(LeaseError):
            saver.put(config, empty_checkpoint(), {}, {})
        assert saver.get_tuple(config) is None


def test_checkpoint_says_in_one_line_that_the_database_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "c.db").write_bytes(b"something else" * 100)
    with (
        pytest.raises(JobError, match=r"c\.db cannot be used: it is not a SQLite database"),
        open_saver(tmp_path / "c.db"),
    ):
        pass
