"""The analysis stages together on videos of odd kinds: tiny, huge, upright, of one frame."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.detect.running import run_profile
from tests.scenes import Caption, Picture, background, written

STAGES = """
stages:
  - sample_frames: {fps: 5}
  - detect_shots
  - detect_text
  - detect_objects: {model: "pkg:nudenet/320n.onnx", image_size: 320, min_confidence: 0.05}
  - track_objects: {min_confidence: 0.05}
  - match_text: {terms: [Acme]}
  - measure_exposure: {of: [matches, tracks, detections], split_at_cuts: true}
  - zones: {lines: ["m: 0.5,0 0.5,1"], areas: ["a: 0,0 1,0 1,1 0,1"]}
  - moderate: {rules: ["matches.Acme: mild"]}
  - report
"""


def letters(size_wh: tuple[int, int]) -> int:
    """Height of the caption, pixels."""
    return max(20, min(size_wh) // 10)


def clip(path: Path, size_wh: tuple[int, int], frames: int, caption: bool) -> Path:
    """A still picture of any size as H.264, of 4:4:4 so that odd sizes stay."""
    width, height = size_wh
    image: Picture = background(size_wh, 5)
    if caption:
        image = written(image, Caption("ACME", 0, 0, (width // 4, height // 3), letters(size_wh)))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25), options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv444p"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size_wh", "frames"),
    [((3840, 2160), 3), ((362, 640), 6), ((321, 241), 6), ((640, 360), 1)],
    ids=["4K", "upright", "odd", "one frame"],
)
def test_stages_tell_the_same_of_a_still_caption_at_every_size(
    tmp_path: Path, size_wh: tuple[int, int], frames: int
) -> None:
    path = clip(tmp_path / "clip.mp4", size_wh, frames, caption=True)
    values, tables = run_profile(tmp_path, path, STAGES)
    (match, *_) = tables["matches"].records()
    (width, height), size = size_wh, letters(size_wh)
    assert abs(match["x1"] - width / 4) < size
    assert abs(match["y1"] - height / 3) < size
    assert 2 * size < match["x2"] - match["x1"] < 5 * size
    (stretch,) = [r for r in tables["exposure"].records() if r["label"] == "Acme"]
    assert (stretch["start_frame"], stretch["end_frame"]) == (0, frames)
    assert stretch["end_s"] == pytest.approx(frames / 25)
    (flag,) = [r for r in tables["events"].records() if r["kind"] == "flag"]
    assert (flag["start_s"], flag["end_s"]) == (0.0, pytest.approx(frames / 25))
    report: dict[str, Any] = values["report"]
    assert {total["topic"] for total in report["totals"]} >= {"exposure", "flag", "line", "area"}


@pytest.mark.slow
def test_stages_of_a_video_in_which_nothing_is_are_empty(tmp_path: Path) -> None:
    path = clip(tmp_path / "clip.mp4", (64, 48), 3, caption=False)
    _, tables = run_profile(tmp_path, path, STAGES)
    assert {name: len(tables[name]) for name in ("matches", "exposure", "events")} == {
        "matches": 0,
        "exposure": 0,
        "events": 0,
    }
    assert [row["label"] for row in tables["totals"].records()] == ["m", "a"]
