"""The examples, each run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import cv2
import pytest

from mediaproc.media import write_video
from tests.clips import photo

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
def test_examples_plugin_stage_is_found_by_entry_point_and_runs(
    tmp_path: Path, squares_clip: Path
) -> None:
    source = shutil.copytree(EXAMPLES / "brightness_plugin", tmp_path / "source")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", f"{tmp_path}/site", str(source)], check=True)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}/site"}

    def call(*arguments: str) -> str:
        command = [sys.executable, "-m", "mediaproc", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert json.loads(call("stages", "brightness", "--json"))["writes"] == ["brightness"]
    profile = str(source / "brightness.yaml")
    call("detect", "-p", profile, str(squares_clip), "--out", f"{tmp_path}/out", "--job-id", "b")
    code = (
        "import mediaproc\n"
        "with mediaproc.open_checkpointer() as saver:\n"
        "    found = saver.get_tuple({'configurable': {'thread_id': 'b', 'checkpoint_ns': ''}})\n"
        "    parts = found.checkpoint['channel_values']['parts']\n"
        "    for part in parts:\n"
        "        if part.node == 'brightness':\n"
        "            print(len(part.envelope()['data']['brightness']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["12"]


@pytest.mark.slow
def test_examples_application_answers_what_a_review_asks(tmp_path: Path) -> None:
    picture = cv2.resize(cv2.imread(str(photo("zidane"))), (640, 360))
    clip = tmp_path / "faces.mp4"
    write_video(clip, [picture] * 50, fps=Fraction(25), size_wh=(640, 360))
    command = [sys.executable, str(EXAMPLES / "review_in_an_agent" / "review.py"), str(clip)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["answers"][0]["unsure"] > 0
    assert found["reviews"][0]["by"] == ["the agent"]
