"""Running a profile's text in a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mediaproc.blobs import LocalBlobStore
from mediaproc.detect.checkpoint import open_saver
from mediaproc.detect.graph import build_graph, collect_tables
from mediaproc.detect.models import ModelStore
from mediaproc.detect.profile import parse_profile
from mediaproc.detect.state import Rows


def run_profile(
    folder: Path, clip: Path, stages: str, *, concurrency: int = 2, more: str = ""
) -> tuple[dict[str, Any], dict[str, Rows]]:
    """The graph's state at its end, and its tables."""
    blobs = LocalBlobStore(folder / "blobs")
    profile = parse_profile(f"version: 1\nname: test\n{more}\n{stages}\n")
    config: Any = {"configurable": {"thread_id": "test"}}
    database = folder / f"{abs(hash((stages, more, concurrency, str(clip))))}.db"
    with open_saver(database) as saver:
        graph = build_graph(
            profile,
            blobs=blobs,
            models=ModelStore(folder / "models"),
            checkpointer=saver,
            concurrency=concurrency,
        )
        graph.invoke({"video": str(clip)}, config, durability="sync")
        values = graph.get_state(config).values
        return values, collect_tables(values, blobs)
