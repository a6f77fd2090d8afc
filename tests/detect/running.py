"""Running a profile in a test."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mediaproc.blobs import LocalBlobStore
from mediaproc.detect.analysis import check
from mediaproc.detect.checkpoint import open_saver
from mediaproc.detect.collect import collect_tables
from mediaproc.detect.graph import build_graph
from mediaproc.detect.models import ModelStore
from mediaproc.detect.profile import Profile, parse_profile
from mediaproc.detect.rows import Rows


def run_profile(
    folder: Path,
    clip: Path,
    stages: str,
    *,
    concurrency: int = 2,
    more: str = "",
    chat_models: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], dict[str, Rows]]:
    """The graph's state at its end, and its tables, for the ``stages:`` part of a profile."""
    profile = parse_profile(f"version: 1\nname: test\n{more}\n{stages}\n")
    return run_plan(folder, clip, profile, concurrency=concurrency, chat_models=chat_models)


def chosen_frames(values: dict[str, Any], node: str) -> list[int]:
    """The frame indexes that a node handed on, in the order of the segments."""
    parts = sorted(
        (part for part in values["parts"] if part.node == node), key=lambda part: part.segment
    )
    return [i for part in parts for i in part.envelope()["data"]["frames"]["indexes"]]


def run_plan(
    folder: Path,
    clip: Path,
    profile: Profile,
    *,
    concurrency: int = 2,
    chat_models: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], dict[str, Rows]]:
    """The graph's state at its end, and its tables; each profile and clip has its own database."""
    blobs = LocalBlobStore(folder / "blobs")
    plan = check(profile)
    config: Any = {"configurable": {"thread_id": "test"}}
    what = json.dumps([plan.to_json(), concurrency, str(clip)])
    database = folder / f"{hashlib.sha256(what.encode()).hexdigest()[:16]}.db"
    with open_saver(database) as saver:
        graph = build_graph(
            plan,
            blobs=blobs,
            models=ModelStore(folder / "models", chat_models=chat_models),
            checkpointer=saver,
            concurrency=concurrency,
        )
        graph.invoke({"video": str(clip)}, config, durability="sync")
        values = graph.get_state(config).values
        return values, collect_tables(values, blobs)
