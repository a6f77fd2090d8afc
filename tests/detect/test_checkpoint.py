"""StageCheckpointer: LangGraph's conformance suite, and what it does with parts."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import Capability
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Send

from mediaproc.database import connect
from mediaproc.detect.checkpoint import StageCheckpointer, open_saver
from mediaproc.detect.envelopes import decode, encode
from mediaproc.detect.parts import Part, distinct
from mediaproc.errors import CheckpointError, DamageError, JobError, LeaseError, StageError


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


def test_checkpoint_advises_the_version_that_wrote_an_older_envelope() -> None:
    with pytest.raises(CheckpointError, match=r"version 0; .* resume with the version that wrote"):
        decode({"parts": [{**encode(part((1,))), "$mediaproc": 0}]})


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


def saved_twice(location: str) -> tuple[Any, Any]:
    """Two threads, each with a checkpoint of one channel and a write; their configurations."""
    places = []
    with open_saver(location) as saver:
        for thread in ("one", "other"):
            checkpoint = empty_checkpoint()
            checkpoint["channel_values"] = {"parts": [thread]}
            checkpoint["channel_versions"] = {"parts": saver.get_next_version(None, None)}
            config: Any = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
            versions = checkpoint["channel_versions"]
            places.append(saver.put(config, checkpoint, {"step": 1}, versions))
            saver.put_writes(places[-1], [("parts", [thread])], f"task of {thread}")
    return places[0], places[1]


def changed(location: str, sqlite: str, postgres: str) -> None:
    """Run a statement on the database of a saver."""
    database = connect(location)
    with database.write() as transaction:
        transaction.execute(sqlite if database.dialect == "sqlite" else postgres)
    database.close()


def test_checkpoint_refuses_a_write_of_another_thread(location: str) -> None:
    place, _ = saved_twice(location)
    swap = "UPDATE {0} SET {1} = (SELECT o.{1} FROM {0} o WHERE o.thread_id <> {0}.thread_id)"
    changed(location, swap.format("writes", "value"), swap.format("checkpoint_writes", "blob"))
    with (
        open_saver(location) as saver,
        pytest.raises(DamageError, match=r"job one: .* task of one, parts belongs elsewhere"),
    ):
        saver.get_tuple(place)


def test_checkpoint_refuses_a_write_whose_channel_was_changed(location: str) -> None:
    place, _ = saved_twice(location)
    change = "UPDATE {} SET channel = 'qarts'"
    changed(location, change.format("writes"), change.format("checkpoint_writes"))
    with (
        open_saver(location) as saver,
        pytest.raises(DamageError, match=r"task of one, qarts belongs elsewhere"),
    ):
        saver.get_tuple(place)


def test_checkpoint_refuses_the_values_of_another_thread(location: str) -> None:
    place, _ = saved_twice(location)
    swap = "UPDATE {0} SET {1} = (SELECT o.{1} FROM {0} o WHERE o.thread_id <> {0}.thread_id)"
    changed(
        location, swap.format("checkpoints", "checkpoint"), swap.format("checkpoint_blobs", "blob")
    )
    with (
        open_saver(location) as saver,
        pytest.raises(DamageError, match=r"job one: .*(in the place of|belongs elsewhere)"),
    ):
        saver.get_tuple(place)


def test_checkpoint_refuses_metadata_of_another_step(location: str) -> None:
    place, _ = saved_twice(location)
    change = "UPDATE checkpoints SET metadata = {}"
    changed(
        location,
        change.format("CAST(replace(metadata, '\"step\": 1', '\"step\": 2') AS BLOB)"),
        change.format("jsonb_set(metadata, '{step}', '2')"),
    )
    with (
        open_saver(location) as saver,
        pytest.raises(DamageError, match=r"job one: .* the metadata of checkpoint .* do not match"),
    ):
        saver.get_tuple(place)


def test_checkpoint_says_that_an_earlier_version_may_have_written_it(tmp_path: Path) -> None:
    config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
    with closing(sqlite3.connect(tmp_path / "c.db", check_same_thread=False)) as connection:
        SqliteSaver(connection).put(config, empty_checkpoint(), {}, {})
    with (
        open_saver(tmp_path / "c.db") as saver,
        pytest.raises(DamageError, match=r"an earlier version of mediaproc.*'mediaproc jobs rm t'"),
    ):
        saver.get_tuple(config)


def test_checkpoint_gives_back_metadata_as_they_were(location: str) -> None:
    place, _ = saved_twice(location)
    with open_saver(location) as saver:
        found = saver.get_tuple(place)
    assert found is not None
    assert dict(found.metadata) == {"step": 1}


def test_parts_of_one_node_and_segment_must_not_differ() -> None:
    first, same, other = (part((n,)).envelope() for n in (1, 1, 2))
    assert [each.segment for each in distinct([first, same])] == [3]
    with pytest.raises(DamageError, match=r"job j: .*node 'node' in segment 3 has two results"):
        distinct([first, other], job="j")


def test_checkpoint_closes_when_no_thread_uses_it_any_more(tmp_path: Path) -> None:
    code = (
        "import sys, threading, time\n"
        "from langgraph.checkpoint.base import empty_checkpoint\n"
        "from mediaproc.detect.checkpoint import open_saver\n"
        "from mediaproc.errors import JobError\n"
        "config = {'configurable': {'thread_id': 't', 'checkpoint_ns': ''}}\n"
        "def write(saver):\n"
        "    try:\n"
        "        while True:\n"
        "            saver.put(config, empty_checkpoint(), {}, {})\n"
        "    except JobError:\n"
        "        pass\n"
        "for _ in range(20):\n"
        "    with open_saver(sys.argv[1]) as saver:\n"
        "        threads = [threading.Thread(target=write, args=(saver,)) for _ in range(3)]\n"
        "        for thread in threads: thread.start()\n"
        "        time.sleep(0.02)\n"
        "    for thread in threads: thread.join()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "c.db")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


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
