"""What every test gets: a clean environment and a home of its own."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

# Read when LangGraph is first imported, so it is set before any test module is.
os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
os.environ["YOLO_OFFLINE"] = "true"


@pytest.fixture(autouse=True)
def _clean_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for name in list(os.environ):
        if name.startswith(("MEDIAPROC_", "AWS_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MEDIAPROC_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="session")
def squares_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """6 s of 320x240 at 25 fps, keyframes every second, a cut at 3 s, B-frames."""
    from mediaproc.media import write_video

    path = tmp_path_factory.mktemp("clips") / "squares.mp4"
    noise = np.random.default_rng(1).integers(0, 60, (240, 320, 3), dtype=np.uint8)

    def frames():
        for number in range(150):
            image = noise.copy() if number < 75 else 255 - noise
            left = 2 * (number % 75)
            image[80:140, left : left + 60] = (40, 40, 220) if number < 75 else (220, 160, 30)
            yield image

    options = {"g": "25", "bf": "2", "sc_threshold": "0"}
    write_video(path, frames(), fps=Fraction(25), size_wh=(320, 240), options=options)
    return path
