"""Copying, pruning and deleting threads, beyond what LangGraph's conformance suite looks at."""

from __future__ import annotations

import operator
import threading
import time
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.channels.delta import DeltaChannel
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from mediaproc.database import connect
from mediaproc.detect.checkpoint import StageCheckpointer, open_saver
from mediaproc.detect.parts import Part
from mediaproc.errors import CheckpointError


def _grown(state: list[Any], writes: list[list[Any]]) -> list[Any]:
    return [*state, *(item for write in writes for item in write)]


class Growing(TypedDict, total=False):
    items: Annotated[list[Any], DeltaChannel(_grown, snapshot_frequency=4)]


def growing(saver: StageCheckpointer, thread: str, times: int) -> Any:
    """A graph with a delta channel, called ``times`` times on a thread."""

    def add(state: Growing) -> Growing:
        return {"items": [f"node {len(state['items'])}"]}

    graph = StateGraph(Growing)
    graph.add_node("add", add)
    graph.add_edge(START, "add")
    graph.add_edge("add", END)
    compiled = graph.compile(checkpointer=saver)
    for number in range(times):
        compiled.invoke({"items": [f"input {number}"]}, at(thread))
    return compiled


def at(thread: str, **more: Any) -> Any:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": "", **more}}


@pytest.mark.parametrize("times", [1, 2, 3])
def test_threads_prune_keeps_what_a_delta_channel_is_rebuilt_from(
    location: str, times: int
) -> None:
    with open_saver(location) as saver:
        graph = growing(saver, "t", times)
        before = graph.get_state(at("t")).values["items"]
        assert len(before) == 2 * times
        saver.prune(["t"])
        assert graph.get_state(at("t")).values["items"] == before
        assert len(list(saver.list(at("t")))) <= 5  # snapshot_frequency and the head


def test_threads_delta_channel_history_gives_writes_oldest_first_and_the_seed(
    location: str,
) -> None:
    with open_saver(location) as saver:
        growing(saver, "t", 2)
        history = saver.get_delta_channel_history(config=at("t"), channels=["items"])["items"]
        found = [*history["seed"].value] if "seed" in history else []
        for _, _, value in history["writes"]:
            found += value
    assert found == ["input 0", "node 1", "input 1", "node 3"]


async def test_threads_delta_channel_history_is_the_same_asynchronously(location: str) -> None:
    with open_saver(location) as saver:
        growing(saver, "t", 3)
        one = saver.get_delta_channel_history(config=at("t"), channels=["items"])
        other = await saver.aget_delta_channel_history(config=at("t"), channels=["items"])
    assert one == other


def test_threads_delta_channel_history_restores_parts(location: str) -> None:
    def seal(writes: dict[str, Any]) -> dict[str, Any]:
        return {"rows": list(writes["rows"])}

    with open_saver(location) as saver:
        graph = growing(saver, "t", 1)
        sealed = Part("fake", 1, "node", 0, writes={"rows": (1, 2)}, seal=seal)
        graph.invoke({"items": [sealed]}, at("t"))
        history = saver.get_delta_channel_history(config=at("t"), channels=["items"])["items"]
    values = [*(history["seed"].value if "seed" in history else [])]
    values += [item for _, _, value in history["writes"] for item in value]
    (part,) = [value for value in values if isinstance(value, Part)]
    assert part.open(lambda part, data: data) == {"rows": [1, 2]}


def test_threads_copy_goes_on_by_itself(location: str) -> None:
    with open_saver(location) as saver:
        graph = growing(saver, "t", 2)
        saver.copy_thread("t", "copy")
        saver.delete_thread("t")
        graph.invoke({"items": ["more"]}, at("copy"))
        items = graph.get_state(at("copy")).values["items"]
    assert items == ["input 0", "node 1", "input 1", "node 3", "more", "node 5"]


def test_threads_copy_refuses_a_thread_that_has_checkpoints(location: str) -> None:
    with open_saver(location) as saver:
        growing(saver, "a", 1)
        growing(saver, "b", 1)
        with pytest.raises(CheckpointError, match="'a' cannot be copied to 'b'"):
            saver.copy_thread("a", "b")


class Found(TypedDict, total=False):
    found: Annotated[list[Any], operator.add]


class Fan(Found, total=False):
    number: int


def fanned(saver: StageCheckpointer) -> Any:
    """A graph with a subgraph that is called for each of 8 numbers."""

    def inner(state: Fan) -> Fan:
        return {"found": [{"number": state["number"]}]}

    subgraph = StateGraph(Fan, output_schema=Found)
    subgraph.add_node("inner", inner)
    subgraph.add_edge(START, "inner")
    subgraph.add_edge("inner", END)
    graph = StateGraph(Fan)
    graph.add_node("plan", lambda state: {})
    graph.add_node("sub", subgraph.compile())
    graph.add_node("join", lambda state: {})
    graph.add_edge(START, "plan")
    graph.add_conditional_edges(
        "plan", lambda state: [Send("sub", {"number": n}) for n in range(8)], ["sub"]
    )
    graph.add_edge("sub", "join")
    graph.add_edge("join", END)
    return graph.compile(checkpointer=saver)


def test_threads_prune_drops_the_calls_of_subgraphs_and_keeps_the_state(location: str) -> None:
    with open_saver(location) as saver:
        graph = fanned(saver)
        graph.invoke({"found": []}, at("t"), durability="sync")
        before, size = graph.get_state(at("t")).values, saver.size("t")
        saver.prune(["t"])
        kept = list(saver.list({"configurable": {"thread_id": "t"}}))
        assert graph.get_state(at("t")).values == before
        assert 0 < saver.size("t") < size / 5
    assert [each.config["configurable"]["checkpoint_ns"] for each in kept] == [""]
    assert kept[0].parent_config is None


def test_threads_prune_of_an_unfinished_thread_lets_it_go_on(location: str) -> None:
    with open_saver(location) as saver:
        graph = fanned(saver)
        graph.invoke({"found": []}, at("t"), durability="sync", interrupt_before=["join"])
        saver.prune(["t"])
        result = graph.invoke(None, at("t"), durability="sync")
    assert [each["number"] for each in result["found"]] == list(range(8))


def test_threads_prune_refuses_an_unknown_strategy(location: str) -> None:
    with open_saver(location) as saver, pytest.raises(ValueError, match="keep_latest, delete"):
        saver.prune(["t"], strategy="keep_oldest")


@pytest.mark.parametrize("way", ["delete_thread", "prune", "delete_for_runs"])
def test_threads_that_are_deleted_leave_no_row(location: str, way: str) -> None:
    with open_saver(location) as saver:
        fanned(saver).invoke(
            {"found": []}, {**at("t"), "metadata": {"run_id": "run-1"}}, durability="sync"
        )
        if way == "delete_thread":
            saver.delete_thread("t")
        elif way == "prune":
            saver.prune(["t"], strategy="delete")
        else:
            saver.delete_for_runs(["run-1"])
        assert saver.size("t") == 0
    database = connect(location)
    tables = ["checkpoints", "writes", "checkpoint_writes", "checkpoint_blobs"]
    with database.read() as transaction:
        for table in filter(transaction.has_table, tables):
            assert transaction.value(f"SELECT count(*) FROM {table}") == 0
    database.close()


def test_threads_list_lets_a_caller_ask_for_more_meanwhile(location: str) -> None:
    with open_saver(location) as saver:
        growing(saver, "t", 2)
        for found in saver.list(at("t")):
            assert saver.get_tuple(found.config) is not None


def test_threads_of_one_process_use_the_server_side_by_side(postgres: Any) -> None:
    location = postgres.new_database()
    with open_saver(location) as saver:
        growing(saver, "t", 1)
        head = saver.get_tuple(at("t"))
        assert head is not None
        database = connect(location)
        started = threading.Event()

        def blocked() -> None:
            started.set()
            saver.put_writes(head.config, [("found", 1)], "task-1")

        with database.write() as transaction:
            transaction.execute("LOCK TABLE checkpoint_writes IN EXCLUSIVE MODE")
            thread = threading.Thread(target=blocked)
            thread.start()
            started.wait()
            time.sleep(0.2)
            # One saver alone would hold its lock while the other thread waits for the server.
            assert saver.get_tuple(at("t")) is not None
            assert thread.is_alive()
        thread.join()
        database.close()
