"""What a job stores: bytes in the database and the blob store, beside naive LangGraph state.

``python bench/storage.py [--segments 300]`` runs chains of 3, 6 and 12 segment stages, each of
which hands on a table of 40 detections (one segment of 20 s at 2 frames a second), through the
product's own graph and checkpointer; and the same through a plain LangGraph graph that keeps
frames as arrays in its state, as examples on the web do.
"""

from __future__ import annotations

import argparse
import operator
import sqlite3
import tempfile
from pathlib import Path
from typing import Annotated, Any, TypedDict

import numpy as np
from clips import repeated
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph

from mediaproc.blobs import LocalBlobStore
from mediaproc.detect.checkpoint import open_saver
from mediaproc.detect.graph import build_graph
from mediaproc.detect.models import ModelStore
from mediaproc.detect.profile import parse_profile
from mediaproc.detect.stages.base import StageDefinition, StageIO, register_stage
from mediaproc.detect.stages.channels import DETECTIONS, table_serializers
from mediaproc.detect.tables import Detections
from tests.clips import real_clip

ROWS = 40


def table(seed: int) -> Detections:
    """Detections with numbers that do not compress better than real ones."""
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 600, (ROWS, 2))
    sizes = random.uniform(20, 200, (ROWS, 2))
    return Detections(
        {
            "node": [""] * ROWS,
            "frame_index": np.arange(ROWS) * 12,
            "pts": np.arange(ROWS) * 6144,
            "time_s": np.arange(ROWS) / 2,
            "label": [["person", "car", "dog"][i % 3] for i in range(ROWS)],
            "class_id": np.arange(ROWS) % 3,
            "confidence": random.uniform(0.25, 1, ROWS),
            "x1": corners[:, 0],
            "y1": corners[:, 1],
            "x2": corners[:, 0] + sizes[:, 0],
            "y2": corners[:, 1] + sizes[:, 1],
            "polygon": [None] * ROWS,
            "keypoints": [None] * ROWS,
        }
    )


def register() -> None:
    serialize, deserialize = table_serializers("detections", Detections)

    def find(state: Any) -> dict[str, Any]:
        return {"detections": table(state["segment"].number)}

    register_stage(
        StageDefinition(
            "bench_find",
            "Bench",
            "Makes a table.",
            StageIO(["video"], ["detections"]),
            fn=find,
            serialize_fn=serialize,
            deserialize_fn=deserialize,
            channels=[DETECTIONS],
        )
    )


def ours(folder: Path, clip: Path, stages: int, segments: int) -> dict[str, float]:
    nodes = ", ".join(f"n{i}: {{stage: bench_find}}" for i in range(stages))
    edges = ", ".join(f"[n{i}, n{i + 1}]" for i in range(stages - 1))
    profile = parse_profile(
        f"version: 1\nname: bench\nsegment: {{max_s: 1.5}}\nnodes: {{{nodes}}}\nedges: [{edges}]\n"
    )
    blobs = LocalBlobStore(folder / "blobs")
    config: Any = {"configurable": {"thread_id": "job"}}
    with open_saver(folder / "jobs.db") as saver:
        graph = build_graph(
            profile, blobs=blobs, models=ModelStore(folder), checkpointer=saver, concurrency=2
        )
        span = {"to_s": segments * 1.2}
        graph.invoke({"video": str(clip), "span": span}, config, durability="sync")
        made = len(graph.get_state(config).values["segments"])
        running = saver.size("job")
        saver.prune(["job"])
        done = saver.size("job")
    stored = sum(blob.ref.size for blob in blobs.list())
    return {"segments": made, "running": running, "done": done, "blobs": stored}


class NaiveState(TypedDict, total=False):
    frames: Any
    found: Annotated[list[Any], operator.add]


def naive(folder: Path, stages: int, frames: int) -> int:
    """Bytes of the database for that many frames of 640x360 in the state, as arrays."""
    graph: Any = StateGraph(NaiveState)
    pixels = np.random.default_rng(0).integers(0, 256, (frames, 360, 640, 3), dtype=np.uint8)
    graph.add_node("decode", lambda state: {"frames": pixels})
    graph.add_edge(START, "decode")
    before = "decode"
    for number in range(stages):
        graph.add_node(f"n{number}", lambda state: {"found": table(0).records()})
        graph.add_edge(before, f"n{number}")
        before = f"n{number}"
    graph.add_edge(before, END)
    path = folder / "naive.db"
    saver = SqliteSaver(
        sqlite3.connect(path, check_same_thread=False),
        serde=JsonPlusSerializer(pickle_fallback=True),
    )
    graph.compile(checkpointer=saver).invoke({}, {"configurable": {"thread_id": "job"}})
    saver.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    saver.conn.close()
    return path.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segments", type=int, default=300)
    segments = parser.parse_args().segments
    register()
    clip = repeated(real_clip("bikes"), max(180, segments * 1.3))
    print(
        "| stages | segments | running: KB per stage and segment | done: KB + KB per segment |",
        end="",
    )
    print(" blobs: KB per stage and segment | naive state, 40 frames: KB per stage |")
    print("|---|---|---|---|---|---|")
    for stages in (3, 6, 12):
        with tempfile.TemporaryDirectory() as name:
            found = ours(Path(name), clip, stages, segments)
            calls = stages * found["segments"]
            whole = naive(Path(name), stages, ROWS)
        done = found["done"] / 1e3
        print(
            f"| {stages} | {found['segments']:.0f} | {found['running'] / calls / 1e3:.2f} "
            f"| {done:.0f} in all, {done / found['segments']:.2f} | "
            f"{found['blobs'] / calls / 1e3:.2f} | {whole / stages / 1e3:.0f} |"
        )


if __name__ == "__main__":
    main()
