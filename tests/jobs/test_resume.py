"""A job that is killed goes on where it stopped, with the same bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgres import Server

PROFILE = """
version: 1
name: kills
segment: {max_s: 1}
stages:
  - sample_frames: {fps: 5}
  - detect_shots: {threshold: 20}
  - report
"""

# Kills the process by SIGKILL right after a node of a segment handed on its result, so that the
# checkpoint of that step may or may not have been written.
KILLER = """
import os, signal, sys
from mediaproc.detect.nodes import StageNode
node, segment, when = sys.argv.pop(1).split(":")
handed_on = StageNode._handed_on
def kill(self, update, view, state, config, started):
    here = state["segment"]["number"] if self.node.scope == "segment" else None
    hit = self.node.id == node and str(here) == segment
    if hit and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    result = handed_on(self, update, view, state, config, started)
    if hit:
        os.kill(os.getpid(), signal.SIGKILL)
    return result
StageNode._handed_on = kill
from mediaproc.cli import main
main()
"""

NODES = [("sample_frames", "0"), ("score_frames", "2"), ("score_frames", "5")]
NODES += [("detect_shots", "None"), ("report", "None")]


def call(*arguments: str, killer: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mediaproc"]
    if killer:
        command = [sys.executable, "-c", KILLER, killer]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)


def results(folder: Path) -> dict[str, bytes]:
    return {f.name: f.read_bytes() for f in sorted(folder.iterdir()) if f.name != "run.json"}


@pytest.fixture(scope="module")
def unbroken(squares_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("unbroken")
    (folder / "p.yaml").write_text(PROFILE)
    os.environ["MEDIAPROC_HOME"] = str(folder / "home")
    done = call("detect", "-p", str(folder / "p.yaml"), str(squares_clip), "--out", f"{folder}/out")
    assert done.returncode == 0, done.stderr
    found = results(folder / "out")
    assert {"report.json", "shots.parquet", "frame_scores.parquet"} <= set(found)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("node", "segment"), NODES)
def test_resume_after_a_kill_gives_the_same_bytes(
    tmp_path: Path,
    squares_clip: Path,
    unbroken: dict[str, bytes],
    node: str,
    segment: str,
    when: str,
) -> None:
    profile = tmp_path / "p.yaml"
    profile.write_text(PROFILE)
    out = tmp_path / "out"
    begin = ["detect", "-p", str(profile), str(squares_clip), "--out", str(out), "--job-id", "k"]
    assert call(*begin, killer=f"{node}:{segment}:{when}").returncode == -9
    assert not (out / "report.json").exists()
    resumed = call("resume", "k")
    assert resumed.returncode == 0, resumed.stderr
    assert results(out) == unbroken


@pytest.mark.slow
def test_resume_through_a_postgres_server_gives_the_same_bytes(
    tmp_path: Path,
    squares_clip: Path,
    unbroken: dict[str, bytes],
    postgres: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MEDIAPROC_DATABASE", postgres.new_database())
    profile = tmp_path / "p.yaml"
    profile.write_text(PROFILE)
    out = tmp_path / "out"
    begin = ["detect", "-p", str(profile), str(squares_clip), "--out", str(out), "--job-id", "k"]
    assert call(*begin, killer="score_frames:2:after").returncode == -9
    shown = json.loads(call("jobs", "show", "k", "--json").stdout)
    assert shown["status"] == "interrupted"
    assert {"node": "score_frames", "segment": 2} in shown["stopped_at"]
    assert call("resume", "k").returncode == 0
    assert results(out) == unbroken
    assert not list(Path(os.environ["MEDIAPROC_HOME"]).glob("*.db"))
