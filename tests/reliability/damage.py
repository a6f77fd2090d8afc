"""Jobs that stopped half-way, and damage to what they stored."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mediaproc.detect import kept
from mediaproc.detect.analysis import check
from mediaproc.detect.plan import Plan
from mediaproc.detect.profile import parse_profile
from mediaproc.detect.rows import _TABLES
from mediaproc.detect.stages.base import REGISTRY
from mediaproc.jobs import Workspace
from mediaproc.media import write_video

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
# Jobs of the home that is damaged, and the stages that failed there; the second one of a segment
# failed next to a sibling whose writes were saved.
JOBS = {"late": ("detect_objects", "detect_shots"), "early": ("score_frames",)}

Results = dict[str, bytes]


def plan() -> Plan:
    return check(parse_profile(PROFILE))


def results(folder: Path) -> Results:
    return {f.name: f.read_bytes() for f in sorted(folder.iterdir()) if f.name != "run.json"}


def forget() -> None:
    """As in a new process: nothing of what was stored is in memory."""
    _TABLES._tables.clear()
    kept._RECENT._packs.clear()
    kept._RECENT._bytes = 0


def other_clip(path: Path) -> Path:
    """6 s of 320x240 that look like no other clip, with a keyframe every 2 s."""
    noise = np.random.default_rng(7).integers(0, 250, (240, 320, 3), dtype=np.uint8)
    images = (np.roll(noise, 3 * n, 1) if n < 60 else noise // 2 for n in range(150))
    options = {"g": "50", "bf": "2", "sc_threshold": "0"}
    write_video(path, images, fps=Fraction(25), size_wh=(320, 240), options=options)
    return path


@contextmanager
def failing(*stages: str) -> Iterator[None]:
    """Stages that fail in segment 1 and in video scope."""
    before = {name: REGISTRY.get(name).fn for name in stages}

    def wrapped(name: str) -> Any:
        def fn(state: Any, **more: Any) -> Any:
            if "segment" not in state or state["segment"].number == 1:
                raise ValueError("not today")
            function: Any = before[name]
            return function(state, **more)

        return fn

    for name in stages:
        object.__setattr__(REGISTRY.get(name), "fn", wrapped(name))
    try:
        yield
    finally:
        for name, function in before.items():
            object.__setattr__(REGISTRY.get(name), "fn", function)


def stopped_home(home: Path, clips: dict[str, Path]) -> dict[str, Results]:
    """A home of jobs that failed half-way, each on a clip of its own; what they should have made.

    The cache of the home holds the results of what they computed.
    """
    whole = Workspace(home.with_name("whole"))
    expected = {}
    for name, clip in clips.items():
        out = home.with_name(f"expected-{name}")
        assert whole.run(whole.create(plan(), str(clip), out_dir=str(out))).status == "done"
        expected[name] = results(out)
    workspace = Workspace(home)
    for name, clip in clips.items():
        with failing(*JOBS[name]):
            job = workspace.create(plan(), str(clip), job_id=name, reuse=False)
            assert workspace.run(job).status == "failed"
    workspace.database.close()
    return expected


def flipped(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def truncated(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


# Damages a home, by a seed of which every third swaps; the jobs whose things it touched.
Damage = Callable[[Path, int], set[str]]


def to_blobs(is_kind: Callable[[bytes], bool]) -> Damage:
    def damage(home: Path, seed: int) -> set[str]:
        chance = random.Random(seed)
        paths = sorted(
            path
            for path in (home / "blobs").rglob("*")
            if path.is_file() and path.stat().st_size > 64 and is_kind(path.read_bytes())
        )
        path = chance.choice(paths)
        touched = _holders(home, path)
        data = path.read_bytes()
        if seed % 3 == 2:
            other = chance.choice([p for p in paths if p != path])
            path.write_bytes(other.read_bytes())
            other.write_bytes(data)
            touched |= _holders(home, other)
        else:
            path.write_bytes((flipped, truncated)[seed % 3](data, chance))
        return touched

    return damage


def _holders(home: Path, blob: Path) -> set[str]:
    """The jobs that hold a blob."""
    with closing(sqlite3.connect(home / "jobs.db")) as database:
        rows = database.execute("SELECT owner FROM mediaproc_blobs WHERE sha256 = ?", (blob.name,))
        return {owner for (owner,) in rows if owner in JOBS}


# What a resume reads: the latest checkpoint of each namespace, and the writes that follow it.
_LATEST = (
    "(thread_id, checkpoint_ns, checkpoint_id) IN (SELECT thread_id, checkpoint_ns,"
    " max(checkpoint_id) FROM checkpoints GROUP BY thread_id, checkpoint_ns)"
)


def to_rows(
    table: str, column: str, *, job: str = "''", where: str = "1", twin: str | None = None
) -> Damage:
    """Damage to a column of a table.

    Args:
        table: the table.
        column: what is damaged.
        job: the column that names the job, where one does.
        where: which rows.
        twin: swap only, with a row that agrees in these columns and is of another job.
    """

    def damage(home: Path, seed: int) -> set[str]:
        chance = random.Random(seed)
        with closing(sqlite3.connect(home / "jobs.db")) as database:
            rows = database.execute(
                f"SELECT rowid, {column}, {job}, {twin or '1'} FROM {table} WHERE {where}"
                " ORDER BY rowid"
            ).fetchall()
            rowid, value, name, key = chance.choice(rows)
            others = [r for r in rows if r[1] != value and r[3] == key and r[2] != name]
            others = others if twin else [r for r in rows if r[1] != value]
            if twin or seed % 3 == 2:
                if not others:
                    return set()
                other = chance.choice(others)
                changes = [(other[1], rowid), (value, other[0])]
                touched = {name, other[2]}
            else:
                is_text = isinstance(value, str)
                data = (flipped, truncated)[seed % 3](value.encode() if is_text else value, chance)
                changes = [(data.decode("utf-8", "replace") if is_text else data, rowid)]
                touched = {name}
            database.executemany(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", changes)
            database.commit()
        return touched

    return damage


def to_facts(home: Path, seed: int) -> set[str]:
    """Damage to what explains why something is computed, where everything is."""
    for each in range(4):
        to_rows("mediaproc_cache_facts", "facts")(home, 4 * seed + each)
    with closing(sqlite3.connect(home / "jobs.db")) as database:
        database.execute("DELETE FROM mediaproc_cache_keys")
        database.commit()
    return set()


BLOBS = {
    "table": to_blobs(lambda data: data[0] == 0x78),
    "pack": to_blobs(lambda data: data.startswith(b"MPFPACK")),
    "frame-index": to_blobs(lambda data: data[0] != 0x78 and not data.startswith(b"MPFPACK")),
}
JOB_ROWS = {
    "write": to_rows("writes", "value", job="thread_id", where=_LATEST),
    "write-channel": to_rows("writes", "channel", job="thread_id", where=_LATEST),
    "write-type": to_rows("writes", "type", job="thread_id", where=_LATEST),
    "write-twin": to_rows("writes", "value", job="thread_id", where=_LATEST, twin="channel"),
    "checkpoint": to_rows("checkpoints", "checkpoint", job="thread_id", where=_LATEST),
    "metadata": to_rows("checkpoints", "metadata", job="thread_id", where=_LATEST),
    "job": to_rows("mediaproc_jobs", "data", job="id"),
}
CACHE_ROWS = {
    "cache-data": to_rows("mediaproc_cache", "data"),
    "cache-blocks": to_rows("mediaproc_cache", "blocks"),
    "cache-key": to_rows("mediaproc_cache_keys", "id"),
    "cache-facts": to_facts,
}
