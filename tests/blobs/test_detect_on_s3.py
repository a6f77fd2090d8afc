"""Jobs whose blobs live in S3, from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mediaproc.blobs import open_blob_store
from tests.s3 import S3Place

PROFILE = """
version: 1
name: on-s3
segment: {max_s: 1}
stages:
  - sample_frames: {fps: 25}
  - detect_shots: {threshold: 20}
  - report
"""

# Kills the process before the last segment's scores.
KILLED = """
import os, signal
from mediaproc.detect.nodes import StageNode
handed_on = StageNode._handed_on
def kill(self, update, view, state, config, started):
    if self.node.id == "score_frames" and state["segment"]["number"] == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return handed_on(self, update, view, state, config, started)
StageNode._handed_on = kill
from mediaproc.cli import main
main()
"""


def call(*arguments: str, killed: bool = False) -> subprocess.CompletedProcess[str]:
    program = ["-c", KILLED] if killed else ["-m", "mediaproc"]
    command = [sys.executable, *program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def detect(folder: Path, clip: Path, *, killed: bool = False) -> subprocess.CompletedProcess[str]:
    (folder / "p.yaml").write_text(PROFILE)
    out = ["--out", str(folder / "out"), "--job-id", folder.name]
    return call("detect", "-p", str(folder / "p.yaml"), str(clip), *out, killed=killed)


def results(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (folder / "out").iterdir() if p.name != "run.json"}


@pytest.fixture
def local_results(squares_clip: Path, tmp_path: Path) -> dict[str, bytes]:
    folder = tmp_path / "local"
    folder.mkdir()
    done = detect(folder, squares_clip)
    assert done.returncode == 0, done.stderr
    return results(folder)


@pytest.mark.slow
def test_detect_on_s3_gives_the_bytes_of_a_local_run(
    s3_place: S3Place,
    squares_clip: Path,
    tmp_path: Path,
    local_results: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MEDIAPROC_BLOBS", s3_place.url)
    done = detect(tmp_path, squares_clip)
    assert done.returncode == 0, done.stderr
    assert results(tmp_path) == local_results
    assert list(open_blob_store(s3_place.url).list())


@pytest.mark.slow
def test_detect_on_s3_goes_on_after_a_kill(
    s3_place: S3Place,
    squares_clip: Path,
    tmp_path: Path,
    local_results: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MEDIAPROC_BLOBS", s3_place.url)
    assert detect(tmp_path, squares_clip, killed=True).returncode == -9
    resumed = call("resume", tmp_path.name)
    assert resumed.returncode == 0, resumed.stderr
    assert results(tmp_path) == local_results


def test_detect_on_s3_makes_no_job_where_there_is_no_bucket(
    s3_place: S3Place, squares_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIAPROC_BLOBS", "s3://mediaproc-no-such-bucket/p")
    done = detect(tmp_path, squares_clip)
    assert done.returncode == 1
    assert done.stderr == (
        "mediaproc: error: s3://mediaproc-no-such-bucket/p/.mediaproc-check at "
        f"{s3_place.host} cannot be written: there is no such bucket; create it, or correct its "
        "name\n"
    )
    assert json.loads(call("jobs", "list", "--json").stdout) == []
