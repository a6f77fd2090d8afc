"""Nodes: guards, retries, failures that are skipped, and what a stage may not do."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command

from mediaproc.blobs import LocalBlobStore
from mediaproc.detect.analysis import check
from mediaproc.detect.graph import GraphInput, build_graph
from mediaproc.detect.models import ModelStore
from mediaproc.detect.parts import as_part
from mediaproc.detect.profile import parse_profile
from mediaproc.detect.stages.base import REGISTRY, StageDefinition, StageIO
from mediaproc.errors import StageError
from tests.detect.running import run_profile

Add = Callable[..., None]


@pytest.fixture
def add() -> Iterator[Add]:
    """Adds a stage that is gone after the test."""
    REGISTRY.load()
    added: list[str] = []

    def add(name: str, fn: Any, reads: list[str], writes: list[str], **more: Any) -> None:
        io = StageIO(reads, writes)
        REGISTRY.register(StageDefinition(name, name, "", io, fn=fn, **more))
        added.append(name)

    yield add
    for name in added:
        del REGISTRY._stages[name]


def part_values(values: dict[str, Any], node: str, channel: str) -> list[Any]:
    parts = sorted((p for p in values["parts"] if p.node == node), key=lambda p: p.segment or 0)
    return [part.envelope()["data"][channel] for part in parts]


SEGMENTS = "segment: {max_s: 1}"


def test_nodes_bare_stage_sees_its_segment_and_hands_on_json(
    add: Add, tmp_path: Path, squares_clip: Path
) -> None:
    def fn(state: Any) -> dict[str, Any]:
        return {"seen": [state["segment"].start_frame, len(state["frames"])]}

    add("bare", fn, ["frames"], ["seen"])
    stages = "stages: [sample_frames: {fps: 5}, bare]"
    values, _ = run_profile(tmp_path, squares_clip, stages, more=SEGMENTS)
    assert part_values(values, "bare", "seen") == [[25 * n, 5] for n in range(6)]


def test_nodes_guard_in_segment_scope_narrows_frames_to_those_where_it_holds(
    add: Add, tmp_path: Path, squares_clip: Path
) -> None:
    def marks(state: Any) -> dict[str, Any]:
        from mediaproc.detect.tables import Detections

        row = {"node": "", "label": "x", "class_id": 0, "confidence": 0.5, "polygon": None}
        row |= {"keypoints": None, "x1": 0.0, "y1": 0.0, "x2": 1.0, "y2": 1.0}
        frames = state["frames"]
        stamps = zip(frames.indexes.tolist(), frames.pts.tolist(), frames.time_s, strict=True)
        rows = [
            {**row, "frame_index": i, "pts": p, "time_s": t} for i, p, t in stamps if i % 10 == 0
        ]
        return {"detections": Detections.from_records(rows)}

    def look(state: Any) -> dict[str, Any]:
        return {"looked": state["frames"].indexes.tolist()}

    from mediaproc.detect.stages.detection.detect_objects import STAGE

    serialisers = {"serialize_fn": STAGE.serialize_fn, "deserialize_fn": STAGE.deserialize_fn}
    add("marks", marks, ["frames"], ["detections"], **serialisers)
    add("look", look, ["frames"], ["looked"])
    stages = """nodes:
  sample: {stage: sample_frames, config: {every: 5}}
  marks: {stage: marks}
  look: {stage: look, when: "any(detections, confidence > 0.4) and video.width == 320"}
  never: {stage: look, when: "any(detections, confidence > 0.6)"}
"""
    values, _ = run_profile(tmp_path, squares_clip, stages, more=SEGMENTS)
    looked = part_values(values, "look", "looked")
    assert [index for indexes in looked for index in indexes] == list(range(0, 150, 10))
    assert part_values(values, "never", "looked") == []


def test_nodes_whose_required_input_was_skipped_are_skipped_too(
    add: Add, tmp_path: Path, squares_clip: Path
) -> None:
    add("first", lambda state: {"one": 1}, ["video"], ["one"])
    add("second", lambda state: {"two": state["one"] + 1}, ["one"], ["two"])
    add("third", lambda state: {"three": 3}, ["video"], ["three"], scope="video")
    stages = """nodes:
  first: {stage: first, when: "video.width > 1000"}
  second: {stage: second}
  third: {stage: third}
edges: [first -> second, second -> third]
"""
    values, _ = run_profile(tmp_path, squares_clip, stages)
    assert [part.node for part in values["parts"]] == ["third"]


def test_nodes_retry_until_the_stage_succeeds(add: Add, tmp_path: Path, squares_clip: Path) -> None:
    tries: list[int] = []

    def flaky(state: Any) -> dict[str, Any]:
        tries.append(1)
        if len(tries) < 3:
            raise OSError("try again")
        return {"x": len(tries)}

    add("flaky", flaky, ["video"], ["x"])
    stages = "nodes: {flaky: {stage: flaky, retry: {attempts: 3, wait_s: 0.01}}}"
    values, _ = run_profile(tmp_path, squares_clip, stages)
    assert part_values(values, "flaky", "x") == [3]


def test_nodes_failure_names_node_stage_and_place(
    add: Add, tmp_path: Path, squares_clip: Path
) -> None:
    def broken(state: Any) -> dict[str, Any]:
        raise ZeroDivisionError("oh")

    add("broken", broken, ["video"], ["x"])
    message = r"node 'mine' \(broken\) in segment \d \(\d\.000-\d\.960 s\): ZeroDivisionError: oh"
    with pytest.raises(StageError, match=message):
        run_profile(tmp_path, squares_clip, "nodes: {mine: {stage: broken}}", more=SEGMENTS)


def test_nodes_on_error_skip_goes_on_and_the_report_lists_the_range(
    add: Add, tmp_path: Path, squares_clip: Path
) -> None:
    def touchy(state: Any) -> dict[str, Any]:
        if state["segment"].start_frame == 50:
            raise ValueError("not this one")
        return {"x": state["segment"].start_frame}

    add("touchy", touchy, ["video"], ["x"])
    add("after", lambda state: {"y": state["x"]}, ["x"], ["y"])
    stages = """nodes:
  touchy: {stage: touchy, on_error: skip}
  after: {stage: after}
  shots: {stage: detect_shots}
  report: {stage: report}
"""
    values, _ = run_profile(tmp_path, squares_clip, stages, more=SEGMENTS)
    assert part_values(values, "after", "y") == [0, 25, 75, 100, 125]
    (failure,) = values["report"]["failures"]
    assert (failure["node"], failure["start_s"], failure["end_s"]) == ("touchy", 2.0, 3.0)
    assert "ValueError: not this one" in failure["error"]
    assert len(values["report"]["shots"]) == 2


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ({"other": 1, "x": 1}, r"fn wrote \['other'\]; it declares writes \['x'\]"),
        ({}, r"fn did not write \['x'\]"),
        ([1], "fn returned a list, not a dict"),
        ({"x": np.zeros(3)}, r"channel 'x' holds a ndarray, which is not JSON"),
        ({"x": [{"a": float("nan")}]}, r"channel 'x'\[0\]\.a is nan"),
    ],
)
def test_nodes_refuse_an_update_that_breaks_the_declaration(
    add: Add, tmp_path: Path, squares_clip: Path, update: Any, message: str
) -> None:
    add("wrong", lambda state: update, ["video"], ["x"])
    with pytest.raises(StageError, match=rf"node 'wrong' \(wrong\).*{message}"):
        run_profile(tmp_path, squares_clip, "stages: [wrong]")


def test_nodes_concurrency_bounds_stage_calls(add: Add, tmp_path: Path, squares_clip: Path) -> None:
    lock = threading.Lock()
    running, most = 0, 0

    def slow(state: Any) -> dict[str, Any]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.03)
        with lock:
            running -= 1
        return {"x": 1}

    add("slow", slow, ["video"], ["x"])
    nodes = "nodes: {a: {stage: slow}, b: {stage: slow}, c: {stage: slow}}"
    run_profile(tmp_path, squares_clip, nodes, more=SEGMENTS, concurrency=2)
    assert most == 2


def test_nodes_async_stage_runs_in_a_sync_graph(
    add: Add, tmp_path: Path, squares_clip: Path
) -> None:
    async def waiting(state: Any) -> dict[str, Any]:
        return {"x": state["video"].width}

    add("waiting", waiting, ["video"], ["x"], scope="video")
    values, _ = run_profile(tmp_path, squares_clip, "stages: [waiting]")
    assert part_values(values, "waiting", "x") == [320]


async def test_nodes_async_stage_runs_in_a_sync_graph_within_a_running_loop(
    add: Add, tmp_path: Path, squares_clip: Path
) -> None:
    async def waiting(state: Any) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"x": state["video"].width}

    add("waiting", waiting, ["video"], ["x"], scope="video")
    values, _ = run_profile(tmp_path, squares_clip, "stages: [waiting]")
    assert part_values(values, "waiting", "x") == [320]


SLOW = "nodes: {slow: {stage: slow, timeout: 0.1}}"


@pytest.fixture
def slow(add: Add) -> None:
    """An async stage that takes longer than anybody waits."""

    async def fn(state: Any) -> dict[str, Any]:
        await asyncio.sleep(60)
        return {"late": []}

    add("slow", fn, ["video"], ["late"], scope="video")


@pytest.mark.usefixtures("slow")
def test_nodes_timeout_is_kept_in_a_sync_graph(tmp_path: Path, squares_clip: Path) -> None:
    with pytest.raises(StageError, match=r"^node 'slow' \(slow\): not done within its timeout of"):
        run_profile(tmp_path, squares_clip, SLOW)


@pytest.mark.usefixtures("slow")
async def test_nodes_timeout_is_kept_in_an_async_graph(tmp_path: Path, squares_clip: Path) -> None:
    plan = check(parse_profile(f"version: 1\nname: t\n{SLOW}"))
    graph = build_graph(plan, blobs=LocalBlobStore(tmp_path), models=ModelStore(tmp_path))
    with pytest.raises(StageError, match=r"^node 'slow' \(slow\): not done within its timeout of"):
        await graph.ainvoke({"video": str(squares_clip)})


def test_nodes_second_segment_phase_sees_video_scope_and_its_own_segment(
    add: Add, tmp_path: Path, squares_clip: Path
) -> None:
    add("first", lambda state: {"one": state["segment"].number}, ["video"], ["one"])
    add("total", lambda state: {"sum": sum(state["one"])}, ["one"], ["sum"], scope="video")

    def second(state: Any) -> dict[str, Any]:
        return {"both": [state["one"], state["sum"]]}

    add("second", second, ["one", "sum"], ["both"])
    values, _ = run_profile(tmp_path, squares_clip, "stages: [first, total, second]", more=SEGMENTS)
    assert part_values(values, "second", "both") == [[n, 15] for n in range(6)]


@pytest.fixture
def asking(add: Add) -> None:
    """A stage that asks a person and hands on what they say."""

    def fn(state: Any, *, ask: Callable[[Any], Any]) -> dict[str, Any]:
        return {"said": [ask({"question": "Is it?"})]}

    add("asking", fn, ["video"], ["said"], scope="video")


@pytest.mark.usefixtures("asking")
@pytest.mark.parametrize("more", ["", ", on_error: skip", ", retry: 3"], ids=["", "skip", "retry"])
def test_nodes_ask_waits_for_an_answer_whatever_is_done_about_errors(
    tmp_path: Path, squares_clip: Path, more: str
) -> None:
    plan = check(parse_profile(f"version: 1\nname: t\nnodes: {{n: {{stage: asking{more}}}}}"))
    blobs, models = LocalBlobStore(tmp_path), ModelStore(tmp_path)
    config: Any = {"configurable": {"thread_id": "t"}}
    graph = build_graph(plan, blobs=blobs, models=models, checkpointer=InMemorySaver())
    graph.invoke({"video": str(squares_clip)}, config)
    state = graph.get_state(config)
    assert [interrupt.value for interrupt in state.interrupts] == [{"question": "Is it?"}]
    assert state.values["failures"] == []
    graph.invoke(Command(resume="yes"), config)
    values = graph.get_state(config).values
    assert [as_part(part).envelope()["data"] for part in values["parts"]] == [{"said": ["yes"]}]


@pytest.mark.usefixtures("asking")
def test_nodes_ask_reaches_whoever_runs_the_graph_within_another(
    tmp_path: Path, squares_clip: Path
) -> None:
    plan = check(parse_profile("version: 1\nname: t\nstages: [asking]"))
    inner = build_graph(plan, blobs=LocalBlobStore(tmp_path), models=ModelStore(tmp_path))
    outer = StateGraph(GraphInput)
    outer.add_node("look", inner)
    outer.add_edge(START, "look")
    graph = outer.compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    graph.invoke({"video": str(squares_clip)}, config)
    (interrupt,) = graph.get_state(config).interrupts
    assert interrupt.value == {"question": "Is it?"}
    graph.invoke(Command(resume={interrupt.id: "yes"}), config)
    assert graph.get_state(config).next == ()
