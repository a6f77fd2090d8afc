"""Equal work gives equal bytes, however a video is cut and whatever runs at once."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langgraph.checkpoint.memory import InMemorySaver

from mediaproc.blobs import LocalBlobStore
from mediaproc.detect.graph import build_graph
from mediaproc.detect.models import ModelStore
from mediaproc.detect.parts import as_part
from mediaproc.detect.profile import parse_profile
from mediaproc.detect.rows import Rows
from mediaproc.detect.state import Frames
from tests.detect.running import run_profile
from tests.scenes import COLOURS, Caption, Scene, Shape
from tests.weights import FRAMES, SHAPES

# Every shipped stage that sees pixels, a guard, and a node that narrows what it reads.
NODES = f"""
nodes:
  frames: {{stage: sample_frames, config: {{fps: 5}}}}
  few: {{stage: sample_frames, config: {{fps: 2}}}}
  scores: {{stage: score_frames}}
  shots: {{stage: detect_shots, config: {{min_shot_s: 0.4}}}}
  fresh: {{stage: filter_frames, from: {{frames: [frames]}}}}
  scenes: {{stage: sample_scenes, config: {{spread: 3}}}}
  boxes:
    stage: detect_objects
    config: {{model: "{SHAPES}", image_size: 320}}
    from: {{frames: [frames]}}
  faces: {{stage: detect_faces, config: {{image_size: 320}}, from: {{frames: [scenes]}}}}
  labels:
    stage: classify_frames
    config: {{model: "{FRAMES}", image_size: 96, min_confidence: 0}}
    from: {{frames: [scenes]}}
  codes: {{stage: detect_codes, from: {{frames: [fresh]}}}}
  moving: {{stage: score_motion, from: {{frames: [fresh]}}}}
  motion: {{stage: detect_motion}}
  texts:
    stage: detect_text
    when: "any(detections, confidence > 0.4)"
    from: {{frames: [few], detections: [boxes]}}
  camera: {{stage: track_camera}}
  track: {{stage: track_objects, from: {{detections: [boxes], frames: [frames]}}}}
  matches: {{stage: match_text, config: {{terms: [Live from, Here]}}}}
  exposure: {{stage: measure_exposure, from: {{frames: [few]}}}}
  zones: {{stage: zones, config: {{lines: ["m: 0.5,0 0.5,1"]}}, from: {{frames: [frames]}}}}
  flags:
    stage: moderate
    config: {{policy: none, rules: ["circle >= 0.5: mild"]}}
    from: {{frames: [frames]}}
  report: {{stage: report}}
"""


def scene(folder: Path) -> Path:
    """12 s with cuts, a caption that crosses them, and objects; keyframes 1.2 s apart."""
    made = Scene(
        300,
        shapes=[
            Shape("circle", COLOURS[0], 34, (60, 60), (90, 30)),
            Shape("star", COLOURS[3], 40, (500, 200), (-60, 0)),
        ],
        captions=[Caption("LIVE FROM HERE", 40, 220, (60, 290))],
        cuts=[70, 160, 235],
        seed=11,
    )
    made.render(folder / "scene.mp4", g="30")
    return folder / "scene.mp4"


def run(folder: Path, clip: Path, max_s: float, concurrency: int) -> dict[str, Any]:
    values, tables = run_profile(
        folder, clip, NODES, concurrency=concurrency, more=f"segment: {{max_s: {max_s}}}"
    )
    rows = {name: table.records() for name, table in tables.items()}
    return {"segments": len(values["segments"]), "report": values["report"], "rows": rows}


@lru_cache(maxsize=1)
def whole(folder: Path) -> tuple[Path, dict[str, Any]]:
    clip = scene(folder)
    return clip, run(folder, clip, 100, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("invariance")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("max_s", "concurrency", "segments"), [(1, 1, 10), (1, 4, 10), (10, 2, 2), (100, 4, 1)]
)
def test_invariance_of_results_under_segments_and_concurrency(
    folder: Path, max_s: float, concurrency: int, segments: int
) -> None:
    clip, expected = whole(folder)
    found = run(folder, clip, max_s, concurrency)
    assert found["segments"] == segments
    assert expected["segments"] == 1
    assert json.dumps(found["report"]) == json.dumps(expected["report"])
    assert json.dumps(found["rows"]) == json.dumps(expected["rows"])


@pytest.mark.slow
def test_invariance_is_not_that_of_empty_results(folder: Path) -> None:
    _, expected = whole(folder)
    rows = expected["rows"]
    assert len(rows["detections"]) >= 100
    assert len(rows["tracks"]) >= 100
    assert len(rows["texts"]) >= 5
    assert {row["label"] for row in rows["matches"]} == {"Live from", "Here"}
    assert {row["label"] for row in rows["exposure"]} == {"Live from", "Here"}
    assert {row["kind"] for row in rows["events"]} == {"crossing", "flag", "motion"}
    assert len(rows["frame_labels"]) == 12
    assert len(rows["motion"]) >= 50
    assert len(rows["camera"]) == 300
    assert len(rows["events"]) >= 1
    assert [shot["start_frame"] for shot in expected["report"]["shots"]] == [0, 70, 160, 235]


@pytest.mark.slow
def test_state_holds_no_pixels(folder: Path, tmp_path: Path) -> None:
    clip, _ = whole(folder)
    profile = parse_profile(f"version: 1\nname: t\nsegment: {{max_s: 2}}\n{NODES}")
    saver = InMemorySaver()
    graph = build_graph(
        profile,
        blobs=LocalBlobStore(tmp_path),
        models=ModelStore(folder / "models"),
        checkpointer=saver,
    )
    config: Any = {"configurable": {"thread_id": "t"}}
    graph.invoke({"video": str(clip)}, config)
    state = graph.get_state(config).values
    parts = [as_part(value) for value in state["parts"]]
    assert {part.node for part in parts} == set(graph_nodes(profile)) - {"report"}
    # What a saver is given is JSON of a few KB a part; pixels of one frame are 691 KB.
    for part in parts:
        assert len(json.dumps(part.envelope())) < 8192, part
    assert len(json.dumps({k: v for k, v in state.items() if k != "parts"})) < 16384


def graph_nodes(profile: Any) -> list[str]:
    return [node.id for node in profile.nodes]


def test_state_values_of_shipped_kinds_are_columns_and_never_images() -> None:
    frames = Frames(np.arange(3), np.arange(3), np.arange(3.0), (64, 48), (64, 48), None)  # type: ignore[arg-type]
    assert all(np.ndim(getattr(frames, name)) == 1 for name in ("indexes", "pts", "time_s"))
    for table in Rows.__subclasses__():
        assert {column.kind for column in table.columns} <= {"int", "float", "str", "json"}
