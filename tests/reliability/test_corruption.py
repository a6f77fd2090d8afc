"""Whatever is damaged in what a job stored: an error that names it, or the same results."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mediaproc.detect import kept
from mediaproc.detect.analysis import check
from mediaproc.detect.profile import parse_profile
from mediaproc.detect.stages.base import REGISTRY
from mediaproc.detect.state import _TABLES
from mediaproc.errors import MediaprocError
from mediaproc.jobs import Workspace

TIMES = 20

PROFILE = """
version: 1
name: damage
segment: {max_s: 3}
nodes:
  frames: {stage: sample_frames, config: {fps: 12.5, keep: all}}
  scores: {stage: score_frames}
  shots: {stage: detect_shots, config: {threshold: 20}}
  boxes:
    stage: detect_objects
    config: {model: "pkg:nudenet/320n.onnx", image_size: 64, min_confidence: 0.01}
  report: {stage: report}
"""


def results(folder: Path) -> dict[str, bytes]:
    return {f.name: f.read_bytes() for f in sorted(folder.iterdir()) if f.name != "run.json"}


def forget() -> None:
    """As in a new process: nothing of what was stored is in memory."""
    _TABLES._tables.clear()
    kept._RECENT._packs.clear()
    kept._RECENT._bytes = 0


@pytest.fixture(scope="module")
def stopped(
    tmp_path_factory: pytest.TempPathFactory, squares_clip: Path
) -> tuple[Path, dict[str, bytes]]:
    """The home of a job that failed in its last stage but one, and the results of a whole one.

    A second job on the same video ended well, so that the cache holds its results.
    """
    home = tmp_path_factory.mktemp("damage") / "home"
    plan = check(parse_profile(PROFILE))
    whole = Workspace(home.with_name("whole"))
    out = str(home.with_name("out"))
    assert whole.run(whole.create(plan, str(squares_clip), out_dir=out)).status == "done"
    expected = results(Path(out))
    assert {"report.json", "frame_scores.parquet", "detections.parquet"} <= set(expected)
    workspace = Workspace(home)
    shots, objects = REGISTRY.get("detect_shots"), REGISTRY.get("detect_objects")
    before = shots.fn, objects.fn

    def failing(*arguments: Any, **more: Any) -> dict[str, Any]:
        raise ValueError("not today")

    def failing_once(state: Any, **more: Any) -> dict[str, Any]:
        if state["segment"].number == 1:
            raise ValueError("not today")
        assert before[1] is not None
        return before[1](state, **more)

    for stage, fn in ((shots, failing), (objects, failing_once)):
        object.__setattr__(stage, "fn", fn)
    try:
        job = workspace.create(plan, str(squares_clip), job_id="stopped", reuse=False)
        assert workspace.run(job).status == "failed"
    finally:
        object.__setattr__(shots, "fn", before[0])
        object.__setattr__(objects, "fn", before[1])
    workspace.database.close()
    return home, expected


def flipped(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def truncated(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def damage_blob(is_kind: Callable[[bytes], bool]) -> Callable[[Path, int], None]:
    def damage(home: Path, number: int) -> None:
        chance = random.Random(number)
        paths = sorted(
            path
            for path in (home / "blobs").rglob("*")
            if path.is_file() and path.stat().st_size > 64 and is_kind(path.read_bytes())
        )
        assert paths
        path = chance.choice(paths)
        how = number % 3
        if how == 2 and len(paths) > 1:
            other = chance.choice([p for p in paths if p != path])
            one, two = path.read_bytes(), other.read_bytes()
            path.write_bytes(two)
            other.write_bytes(one)
        else:
            path.write_bytes((flipped, truncated)[how % 2](path.read_bytes(), chance))

    return damage


def damage_rows(table: str, column: str, key: str) -> Callable[[Path, int], None]:
    def damage(home: Path, number: int) -> None:
        chance = random.Random(number)
        database = sqlite3.connect(home / "jobs.db")
        rows = database.execute(
            f"SELECT rowid, {column}, {key} FROM {table} WHERE length({column}) > 12 ORDER BY rowid"
        ).fetchall()
        assert rows, table
        rowid, value, _ = chance.choice(rows)
        how = number % 3
        others = [row for row in rows if row[0] != rowid]
        if how == 2 and others:
            other = chance.choice(others)
            changes = [(other[1], rowid), (value, other[0])]
        else:
            data = value.encode() if isinstance(value, str) else value
            data = (flipped, truncated)[how % 2](data, chance)
            new = data.decode("utf-8", "replace") if isinstance(value, str) else data
            changes = [(new, rowid)]
        for new, where in changes:
            database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (new, where))
        database.commit()
        database.close()

    return damage


KINDS = {
    "table blob": damage_blob(lambda data: data[0] == 0x78),
    "frame pack": damage_blob(lambda data: data.startswith(b"MPFPACK")),
    "frame index": damage_blob(lambda data: data[0] != 0x78 and not data.startswith(b"MPFPACK")),
    "envelope in a write": damage_rows("writes", "value", "task_id"),
    "checkpoint": damage_rows("checkpoints", "checkpoint", "checkpoint_id"),
    "cache entry": damage_rows("mediaproc_cache", "data", "id"),
    "job": damage_rows("mediaproc_jobs", "data", "id"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_corruption_never_leads_to_a_wrong_result(
    kind: str, tmp_path: Path, stopped: tuple[Path, dict[str, bytes]]
) -> None:
    home, expected = stopped
    refused = 0
    for number in range(TIMES):
        copy = shutil.copytree(home, tmp_path / str(number))
        KINDS[kind](copy, number)
        forget()
        out = tmp_path / f"out-{number}"
        try:
            workspace = Workspace(copy)
            if kind == "cache entry":
                # Resuming does not look there: a new job does.
                old = workspace.store.get("stopped")
                job = workspace.create(plan_of(), old.video, out_dir=str(out))
            else:
                job = workspace.store.get("stopped")
            job = workspace.run(job)
        except MediaprocError as error:
            said = str(error)
        else:
            said = job.error or ""
            if job.status == "done":
                assert results(Path(job.out_dir)) == expected, number
                continue
        refused += 1
        assert "\n" not in said
        assert any(word in said for word in ("damaged", "missing", "digest", "cannot be read")), (
            said
        )
    assert refused or kind == "cache entry" or kind in ("table blob", "frame index"), kind


def plan_of() -> Any:
    return check(parse_profile(PROFILE))
