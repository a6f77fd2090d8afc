"""The graph: results, and what they must not depend on."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from mediaproc.blobs import BlobRef, LocalBlobStore
from mediaproc.detect.checkpoint import open_saver
from mediaproc.detect.collect import collect_tables
from mediaproc.detect.graph import build_graph
from mediaproc.detect.models import ModelStore
from mediaproc.detect.nodes import StageNode
from mediaproc.detect.profile import parse_profile
from mediaproc.errors import MediaError

SHOTS = """
version: 1
name: shots
segment: {max_s: MAX_S}
stages:
  - sample_frames: {fps: 5}
  - detect_shots: {threshold: 20}
  - report
"""


def run(
    tmp_path: Path, clip: Path, max_s: str = "20", concurrency: int = 2, saver: Any = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    blobs = LocalBlobStore(tmp_path / "blobs")
    profile = parse_profile(SHOTS.replace("MAX_S", max_s))
    config = {"configurable": {"thread_id": f"job-{max_s}-{concurrency}"}}
    with open_saver(tmp_path / "checkpoints.db") as own:
        graph = build_graph(
            profile,
            blobs=blobs,
            models=ModelStore(tmp_path),
            checkpointer=saver or own,
            concurrency=concurrency,
        )
        report = graph.invoke({"video": str(clip)}, config, durability="sync")["report"]
        tables = collect_tables(graph.get_state(config).values, blobs)
    return report, {name: table.records() for name, table in tables.items()}


def test_graph_finds_the_cut_of_a_rendered_clip(tmp_path: Path, squares_clip: Path) -> None:
    report, tables = run(tmp_path, squares_clip)
    assert [shot["start_frame"] for shot in report["shots"]] == [0, 75]
    assert report["sampled_frames"] == 30
    assert len(tables["frame_scores"]) == 150


@pytest.mark.parametrize(("max_s", "concurrency"), [("1", 1), ("1", 4), ("2.5", 2)])
def test_graph_results_do_not_depend_on_segments_or_concurrency(
    tmp_path: Path, squares_clip: Path, max_s: str, concurrency: int
) -> None:
    whole = run(tmp_path, squares_clip, "100", 1)
    assert json.dumps(run(tmp_path, squares_clip, max_s, concurrency)) == json.dumps(whole)


def test_graph_runs_under_a_foreign_checkpointer(tmp_path: Path, squares_clip: Path) -> None:
    own = run(tmp_path, squares_clip, "1")
    assert run(tmp_path, squares_clip, "1", saver=InMemorySaver()) == own


async def test_graph_runs_async(tmp_path: Path, squares_clip: Path) -> None:
    profile = parse_profile(SHOTS.replace("MAX_S", "1"))
    graph = build_graph(
        profile, blobs=LocalBlobStore(tmp_path / "blobs"), models=ModelStore(tmp_path)
    )
    result = await graph.ainvoke({"video": str(squares_clip)})
    assert [shot["start_frame"] for shot in result["report"]["shots"]] == [0, 75]


def test_graph_names_a_span_without_frames(tmp_path: Path, squares_clip: Path) -> None:
    profile = parse_profile(SHOTS.replace("MAX_S", "1"))
    graph = build_graph(profile, blobs=LocalBlobStore(tmp_path), models=ModelStore(tmp_path))
    with pytest.raises(MediaError, match=r"no frame between 100 s and the end; the video lasts 6"):
        graph.invoke({"video": str(squares_clip), "span": {"from_s": 100.0}})


def test_graph_tables_are_collected_with_one_look_at_the_index(
    tmp_path: Path, squares_clip: Path
) -> None:
    reads: Counter[str] = Counter()

    class Counting(LocalBlobStore):
        def get(self, ref: BlobRef) -> bytes:
            reads[ref.sha256] += 1
            return super().get(ref)

    config: Any = {"configurable": {"thread_id": "job"}}
    with open_saver(tmp_path / "checkpoints.db") as saver:
        graph = build_graph(
            parse_profile(SHOTS.replace("MAX_S", "1")),
            blobs=LocalBlobStore(tmp_path / "blobs"),
            models=ModelStore(tmp_path),
            checkpointer=saver,
        )
        graph.invoke({"video": str(squares_clip)}, config, durability="sync")
        values = graph.get_state(config).values
        collect_tables(values, Counting(tmp_path / "blobs"))
    assert reads[values["header"]["index"]["sha256"]] == 1


@pytest.mark.parametrize(
    ("span", "spans"),
    [
        (None, [(0, 150, 0.0, 6.0)]),
        ({"from_s": 2.0, "to_s": 4.0}, [(50, 100, 2.0, 4.0)]),
        ({"sample": 2}, [(25, 50, 1.0, 2.0), (100, 125, 4.0, 5.0)]),
    ],
)
@pytest.mark.parametrize("max_s", ["1", "20"])
def test_graph_tells_video_stages_which_spans_a_job_looks_at(
    tmp_path: Path,
    squares_clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    span: Any,
    spans: list[tuple[int, int, float, float]],
    max_s: str,
) -> None:
    seen = []
    call = StageNode._call

    def recording(self: StageNode, view: Any, state: Any) -> Any:
        if self.node.scope == "video":
            seen.append([(s.start_frame, s.end_frame, s.start_s, s.end_s) for s in view["spans"]])
        return call(self, view, state)

    monkeypatch.setattr(StageNode, "_call", recording)
    graph = build_graph(
        parse_profile(SHOTS.replace("MAX_S", max_s)),
        blobs=LocalBlobStore(tmp_path / "blobs"),
        models=ModelStore(tmp_path),
    )
    graph.invoke({"video": str(squares_clip), "span": span})
    assert seen == [spans, spans]
