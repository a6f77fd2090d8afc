"""A job that is killed goes on where it stopped, with the same bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mediaproc.detect.models.ultralytics import export
from tests.postgres import Server
from tests.scenes import COLOURS, Caption, Scene, Shape
from tests.weights import SHAPES

# Every shipped stage: segment and video scope, with pixels, a model and large tables.
PROFILE = """
version: 1
name: kills
segment: {max_s: 2}
nodes:
  frames: {stage: sample_frames, config: {fps: 5}}
  scores: {stage: score_frames}
  shots: {stage: detect_shots}
  boxes:
    stage: detect_objects
    config: {model: MODEL, image_size: 320}
    from: {frames: [frames]}
  few: {stage: sample_frames, config: {fps: 1}}
  texts: {stage: detect_text, from: {frames: [few]}}
  track: {stage: track_objects, from: {frames: [frames]}}
  report: {stage: report}
"""

# Kills the process by SIGKILL before or right after a node of a segment handed on its result, so
# that the checkpoint of that step may or may not have been written.
KILLER = """
import os, signal, sys
from mediaproc.detect.nodes import StageNode
node, segment, when = sys.argv.pop(1).split(":")
handed_on = StageNode._handed_on
def kill(self, updates, known, state, config, seconds):
    here = state["segment"]["number"] if self.node.scope == "segment" else None
    hit = self.node.id == node and str(here) == segment
    if hit and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    result = handed_on(self, updates, known, state, config, seconds)
    if hit:
        os.kill(os.getpid(), signal.SIGKILL)
    return result
StageNode._handed_on = kill
from mediaproc.cli import main
main()
"""

BOUNDARIES = [("frames", "0"), ("scores", "1"), ("boxes", "2"), ("texts", "1")]
BOUNDARIES += [("shots", "None"), ("track", "None"), ("report", "None")]


def call(*arguments: str, killer: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mediaproc"]
    if killer:
        command = [sys.executable, "-c", KILLER, killer]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)


def results(folder: Path) -> dict[str, bytes]:
    return {f.name: f.read_bytes() for f in sorted(folder.iterdir()) if f.name != "run.json"}


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a profile, its weights and a clip of 6 s in segments of 2 s."""
    folder = tmp_path_factory.mktemp("material")
    export(SHAPES, folder / "shapes.onnx", "onnx", 320)
    (folder / "p.yaml").write_text(PROFILE.replace("MODEL", f"{folder}/shapes.onnx"))
    Scene(
        150,
        shapes=[Shape("circle", COLOURS[0], 34, (60, 60), (90, 30))],
        captions=[Caption("LIVE FROM HERE", 30, 120, (60, 290))],
        cuts=[70],
        seed=11,
    ).render(folder / "clip.mp4", g="25")
    return folder


@pytest.fixture(scope="module")
def unbroken(material: Path) -> dict[str, bytes]:
    os.environ["MEDIAPROC_HOME"] = str(material / "home")
    clip, out = str(material / "clip.mp4"), str(material / "out")
    done = call("detect", "-p", str(material / "p.yaml"), clip, "--out", out)
    assert done.returncode == 0, done.stderr
    found = results(material / "out")
    assert {"report.json", "shots.parquet", "tracks.parquet", "texts.parquet"} <= set(found)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("node", "segment"), BOUNDARIES)
def test_resume_after_a_kill_gives_the_same_bytes(
    tmp_path: Path,
    material: Path,
    unbroken: dict[str, bytes],
    node: str,
    segment: str,
    when: str,
) -> None:
    clip, out = str(material / "clip.mp4"), tmp_path / "out"
    begin = ["detect", "-p", str(material / "p.yaml"), clip, "--out", str(out), "--job-id", "k"]
    assert call(*begin, killer=f"{node}:{segment}:{when}").returncode == -9
    assert not (out / "report.json").exists()
    resumed = call("resume", "k")
    assert resumed.returncode == 0, resumed.stderr
    assert results(out) == unbroken


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_resume_after_a_stop_at_a_safe_point_gives_the_same_bytes(
    tmp_path: Path, material: Path, unbroken: dict[str, bytes], number: signal.Signals
) -> None:
    clip, out = str(material / "clip.mp4"), tmp_path / "out"
    begin = ["detect", "-p", str(material / "p.yaml"), clip, "--out", str(out), "--job-id", "s"]
    running = subprocess.Popen(
        [sys.executable, "-m", "mediaproc", *begin, "--progress", "jsonl"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    for line in running.stderr:
        if '"node": "boxes"' in line and '"type": "node"' in line:
            running.send_signal(number)
            break
    _, said = running.communicate(timeout=120)
    assert running.returncode == 130, said
    assert "go on with: mediaproc resume s" in said
    assert not (out / "report.json").exists()
    resumed = call("resume", "s", "--progress", "jsonl")
    assert resumed.returncode == 0, resumed.stderr
    # The first segment's frames were chosen before the stop, and are not chosen again.
    assert '"type": "opened"' not in resumed.stderr
    assert results(out) == unbroken


@pytest.mark.slow
def test_resume_through_a_postgres_server_gives_the_same_bytes(
    tmp_path: Path,
    material: Path,
    unbroken: dict[str, bytes],
    postgres: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MEDIAPROC_DATABASE", postgres.new_database())
    clip, out = str(material / "clip.mp4"), tmp_path / "out"
    begin = ["detect", "-p", str(material / "p.yaml"), clip, "--out", str(out), "--job-id", "k"]
    assert call(*begin, killer="scores:1:after").returncode == -9
    shown = json.loads(call("jobs", "show", "k", "--json").stdout)
    assert shown["status"] == "interrupted"
    assert {"node": "scores", "segment": 1} in shown["stopped_at"]
    assert call("resume", "k").returncode == 0
    assert results(out) == unbroken
    assert not list(Path(os.environ["MEDIAPROC_HOME"]).glob("*.db"))


def test_a_second_interrupt_ends_the_process_at_once(tmp_path: Path, material: Path) -> None:
    code = (
        "import os, signal, threading, time\n"
        "from mediaproc.cli.common import _stoppable\n"
        "with _stoppable():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(60)\n"
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 130
    assert "Ctrl-C again kills" in done.stderr
    assert time.monotonic() - started < 30
