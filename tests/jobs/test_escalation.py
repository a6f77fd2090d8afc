"""A job that is killed while it asks a chat model goes on without paying twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import cv2
import pytest

from mediaproc.media import write_video
from tests.chat import Said, Seen, chat_server, verdict
from tests.clips import photo

PROFILE = """
version: 1
name: t
stages:
  - sample_frames: {fps: 2}
  - detect_objects: {model: "pkg:nudenet/320n.onnx", image_size: 320, min_confidence: 0.05}
  - escalate_vlm:
      {model: "openai:m", base_url: "URL", low: 0.0, high: 1.0, same_s: 0, parallel: 1, wait_s: 0}
  - report
"""


@pytest.mark.slow
def test_escalation_killed_among_its_answers_pays_none_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    picture = cv2.resize(cv2.imread(str(photo("zidane"))), (640, 360))
    clip = str(tmp_path / "faces.mp4")
    write_video(clip, [picture] * 50, fps=Fraction(25), size_wh=(640, 360))
    running: list[subprocess.Popen[bytes]] = []

    def say(number: int, seen: Seen) -> Said:
        if number == 2:
            running[0].kill()
            return 0.1
        return verdict(reason=str(number))

    mediaproc = [sys.executable, "-m", "mediaproc"]
    profile, out = tmp_path / "p.yaml", tmp_path / "out"
    with chat_server(say) as server:
        profile.write_text(PROFILE.replace("URL", server.url))
        begin = ["detect", "-p", str(profile), clip, "--job-id", "k", "--out", str(out)]
        running.append(subprocess.Popen([*mediaproc, *begin]))
        assert running[0].wait() == -signal.SIGKILL
        subprocess.run([*mediaproc, "resume", "k"], check=True)
    # Four questions, one of which was on its way when the process died.
    assert len(server.seen) == 5
    (answers,) = json.loads((out / "report.json").read_text())["answers"]
    assert (answers["yes"], answers["input_tokens"]) == (4, 4000)
