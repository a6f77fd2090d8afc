"""Disks that fill, stores that go away, databases that are locked: a clear line, and it goes on."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from mediaproc.blobs.s3 import S3BlobStore
from mediaproc.database.sqlite import SqliteDatabase
from mediaproc.detect.analysis import check
from mediaproc.detect.plan import Plan
from mediaproc.detect.profile import parse_profile
from mediaproc.errors import JobError, OutputError
from mediaproc.jobs import Workspace
from mediaproc.jobs import workspace as workspace_module
from mediaproc.jobs.database import open_database
from mediaproc.s3 import forget_s3_client
from tests.postgres import Server
from tests.s3 import FaultyProxy, S3Place

PROFILE = """
version: 1
name: faults
segment: {max_s: 1}
stages:
  - sample_frames: {fps: 25, keep: all}
  - detect_shots: {threshold: 20}
  - report
"""

Results = dict[str, bytes]


def plan() -> Plan:
    return check(parse_profile(PROFILE))


def results(folder: Path) -> Results:
    return {f.name: f.read_bytes() for f in sorted(folder.iterdir()) if f.name != "run.json"}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, squares_clip: Path) -> Results:
    folder = tmp_path_factory.mktemp("expected")
    workspace = Workspace(folder / "home")
    job = workspace.run(workspace.create(plan(), str(squares_clip), out_dir=str(folder / "out")))
    assert job.status == "done"
    return results(folder / "out")


def after(calls: int, then: Callable[[], None]) -> Callable[[dict[str, Any]], None]:
    """An event handler that does something once after so many calls of stages."""
    seen = 0

    def on_event(event: dict[str, Any]) -> None:
        nonlocal seen
        seen += event["type"] == "node"
        if seen == calls:
            seen += 1
            then()

    return on_event


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own that fills up; skips where none can be mounted."""
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    if made.returncode:
        pytest.skip(f"no file system can be mounted: {made.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def call(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mediaproc", *arguments]
    environment = {**os.environ, **env}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["blobs", "database", "results"])
def test_faults_full_disk_is_said_and_the_job_goes_on_once_there_is_room(
    tmp_path: Path, squares_clip: Path, expected: Results, where: str
) -> None:
    (tmp_path / "p.yaml").write_text(PROFILE)
    with small_disk(tmp_path / "disk", "1m") as disk:
        filler = disk / "filler"
        if where != "blobs":
            filler.write_bytes(b"x" * (900_000 if where == "results" else 450_000))
        out = disk / "out" if where == "results" else tmp_path / "out"
        if where == "results":
            filler.write_bytes(b"x" * (2**20 - 4096 * 2))
        env = {"MEDIAPROC_HOME": str(tmp_path / "home")}
        if where == "blobs":
            env["MEDIAPROC_BLOBS"] = str(disk / "blobs")
        if where == "database":
            env["MEDIAPROC_DATABASE"] = str(disk / "jobs.db")
        begin = ["detect", "-p", str(tmp_path / "p.yaml"), str(squares_clip)]
        done = call(*begin, "--job-id", "full", "--out", str(out), env=env)
        assert done.returncode == 1, done.stderr
        assert "Traceback" not in done.stderr
        lines = [line for line in done.stderr.splitlines() if "error:" in line]
        assert len(lines) == 1, done.stderr
        assert "disk is full" in lines[0] or "No space left on device" in lines[0], lines
        assert "mediaproc resume full" in done.stderr
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        resumed = call("resume", "full", env=env)
        assert resumed.returncode == 0, resumed.stderr
        assert results(out) == expected


@pytest.mark.slow
def test_faults_store_that_goes_away_is_named_and_the_job_goes_on_when_it_is_back(
    tmp_path: Path,
    squares_clip: Path,
    expected: Results,
    s3_place: S3Place,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = FaultyProxy(s3_place.endpoint)

    def go_away() -> None:
        for method in ("GET", "HEAD", "PUT", "POST"):
            proxy.fail(method, "reset", 10_000)

    with proxy.running():
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        forget_s3_client()
        store = S3BlobStore(s3_place.bucket, s3_place.prefix, attempts=2, read_timeout_s=2)
        workspace = Workspace(tmp_path / "home", blobs=store)
        job = workspace.create(plan(), str(squares_clip), out_dir=str(tmp_path / "out"))
        ended = workspace.run(job, on_event=after(3, go_away))
    assert ended.status == "failed"
    assert ended.error is not None
    assert "cannot be" in ended.error
    assert s3_place.bucket in ended.error, "the store that failed is named"
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_place.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_place.endpoint)
    forget_s3_client()
    back = S3BlobStore(s3_place.bucket, s3_place.prefix, attempts=3, read_timeout_s=10)
    assert Workspace(tmp_path / "home", blobs=back).run(ended).status == "done"
    # Frames were seen through JPEG, as where they are kept in a folder.
    assert results(tmp_path / "out") == expected


@pytest.mark.slow
def test_faults_locked_database_is_said_and_the_job_goes_on_once_it_is_free(
    tmp_path: Path, squares_clip: Path, expected: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace_module, "open_database", _impatient)
    workspace = Workspace(tmp_path / "home")
    job = workspace.create(plan(), str(squares_clip), out_dir=str(tmp_path / "out"))
    blocker = sqlite3.connect(
        tmp_path / "home/jobs.db", isolation_level=None, check_same_thread=False
    )
    blocker.execute("PRAGMA busy_timeout = 20000")

    def lock() -> None:
        blocker.execute("BEGIN IMMEDIATE")

    with pytest.raises(JobError, match="another program holds it locked"):
        workspace.run(job, on_event=after(4, lock))
    blocker.rollback()
    assert not (tmp_path / "out").exists()
    ended = workspace.run(workspace.store.get(job.id))
    assert ended.status == "done", ended.error
    assert results(tmp_path / "out") == expected


def test_faults_failure_that_cannot_be_kept_is_said_with_why(
    tmp_path: Path, squares_clip: Path, expected: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace_module, "open_database", _impatient)
    workspace = Workspace(tmp_path / "home")
    job = workspace.create(plan(), str(squares_clip), out_dir=str(tmp_path / "out"))
    blocker = sqlite3.connect(tmp_path / "home/jobs.db", isolation_level=None)

    def failing(*arguments: Any, **more: Any) -> None:
        blocker.execute("BEGIN IMMEDIATE")
        raise OutputError("report.json cannot be written: not today")

    with monkeypatch.context() as patch:
        patch.setattr(workspace_module, "write_results", failing)
        with pytest.raises(JobError) as caught:
            workspace.run(job)
    assert "report.json cannot be written: not today; and that could not be kept" in str(
        caught.value
    )
    assert "another program holds it locked" in str(caught.value)
    blocker.close()
    assert workspace.run(workspace.store.get(job.id)).status == "done"
    assert results(tmp_path / "out") == expected


def test_faults_handler_of_events_that_raises_leaves_no_thread_at_work(
    tmp_path: Path, squares_clip: Path, expected: Results
) -> None:
    workspace = Workspace(tmp_path / "home")
    job = workspace.create(plan(), str(squares_clip), out_dir=str(tmp_path / "out"))

    def interrupt() -> None:
        raise KeyboardInterrupt

    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        workspace.run(job, on_event=after(2, interrupt))
    assert not [t.name for t in set(threading.enumerate()) - before if t.is_alive()]
    assert workspace.run(workspace.store.get(job.id)).status == "done"
    assert results(tmp_path / "out") == expected


@pytest.mark.slow
def test_faults_read_only_home_is_said_and_the_job_goes_on_once_it_is_writable(
    tmp_path: Path, squares_clip: Path, expected: Results
) -> None:
    def fail() -> None:
        raise JobError("not today")

    with small_disk(tmp_path / "home", "64m") as home:
        workspace = Workspace(home)
        job = workspace.create(
            plan(), str(squares_clip), job_id="ro", out_dir=str(tmp_path / "out")
        )
        assert workspace.run(job, on_event=after(3, fail)).status == "failed"
        workspace.database.close()
        env = {"MEDIAPROC_HOME": str(home)}
        subprocess.run(["mount", "-o", "remount,ro", str(home)], check=True)
        refused = call("resume", "ro", env=env)
        assert refused.returncode == 1, refused.stderr
        assert "Traceback" not in refused.stderr
        (line,) = [line for line in refused.stderr.splitlines() if "error:" in line]
        assert str(home) in line
        assert "writable" in line or "Read-only file system" in line
        assert "mediaproc resume ro" in refused.stderr
        subprocess.run(["mount", "-o", "remount,rw", str(home)], check=True)
        resumed = call("resume", "ro", env=env)
        assert resumed.returncode == 0, resumed.stderr
        assert results(tmp_path / "out") == expected


def _impatient(path: Path) -> SqliteDatabase:
    """A job database that waits half a second for others, not a minute."""
    open_database(path)
    return SqliteDatabase(path, busy_s=0.5)


@pytest.mark.slow
def test_faults_postgres_that_goes_away_is_named_and_the_job_goes_on_when_it_is_back(
    tmp_path: Path, squares_clip: Path, expected: Results, postgres: Server
) -> None:
    url = postgres.new_database()
    name = urlsplit(url).path.removeprefix("/")

    def go_away() -> None:
        postgres.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
        postgres.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )

    workspace = Workspace(tmp_path / "home", database=url)
    job = workspace.create(plan(), str(squares_clip), out_dir=str(tmp_path / "out"))
    with pytest.raises(JobError, match=name) as caught:
        workspace.run(job, on_event=after(4, go_away))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    postgres.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")
    again = Workspace(tmp_path / "home", database=url)
    assert again.run(again.store.get(job.id)).status == "done"
    assert results(tmp_path / "out") == expected
