"""Redaction: nothing that was tracked is seen in any frame, and the rest is as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediaproc.detect.stages.base import REGISTRY
from tests.browser import browser, played
from tests.clips import real_clip
from tests.detect.planted import Box, plant
from tests.detect.running import run_profile
from tests.detect.videos import AWKWARD, awkward, images, made, stamps
from tests.scenes import COLOURS, Scene, Shape

# They move evenly, turn at the borders, and one is fast.
SCENE = Scene(
    90,
    size_wh=(320, 180),
    shapes=[
        Shape("circle", COLOURS[0], 18, (40, 40), (70, 12)),
        Shape("circle", COLOURS[3], 16, (290, 130), (-150, 0)),
    ],
    seed=3,
)
STAGES = "stages: [sample_frames: {{fps: {fps}}}, planted, redact: {{{config}}}]"


def found(frame: int) -> Iterator[tuple[str, float, Box]]:
    return ((label, 0.9, box) for _, label, box in SCENE.boxes(frame))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("redact") / "scene.mp4"
    SCENE.render(path, g="25")
    return path


@pytest.fixture(scope="module")
def opened() -> Iterator[Any]:
    with browser() as running:
        yield running


def redacted(
    folder: Path, clip: Path, config: str, *, fps: float = 5, more: str = "", stages: str = STAGES
) -> Path:
    text = stages.format(fps=fps, config=config)
    _, tables = run_profile(folder, clip, text, more=more)
    return made(folder, tables)["redact.mp4"]


def lit(image: Any, box: Box) -> float:
    """Mean brightness, 0..255, of the part of an image that a box holds."""
    x1, y1, x2, y2 = (round(value) for value in box)
    return float(image[max(0, y1) : y2, max(0, x1) : x2].mean())


def test_redact_hides_what_is_tracked_in_every_frame(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, found)
    result = redacted(tmp_path, clip, "method: fill", more="segment: {max_s: 1}")
    seen = [
        max(lit(image, box) for _, _, box in SCENE.boxes(frame))
        for frame, image in enumerate(images(result))
    ]
    assert len(seen) == SCENE.frames
    assert max(seen) < 12


def test_redact_hides_a_sight_that_became_no_track(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Seen in one sampled frame only, and too faintly for a track.
    plant(monkeypatch, lambda frame: [("circle", 0.2, (20, 20, 60, 60))] if frame == 40 else [])
    result = redacted(tmp_path, clip, "method: fill, extend_s: 0.2")
    hidden = [n for n, image in enumerate(images(result)) if lit(image, (22, 22, 58, 58)) < 12]
    assert hidden == list(range(35, 46))


def test_redact_hides_the_time_before_the_first_and_after_the_last_sight(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    still = (150.0, 80.0, 190.0, 120.0)
    plant(monkeypatch, lambda frame: [("circle", 0.9, still)] if 30 <= frame <= 60 else [])
    result = redacted(tmp_path, clip, "method: fill, extend_s: 0.4")
    hidden = [n for n, image in enumerate(images(result)) if lit(image, still) < 12]
    assert hidden == list(range(20, 71))


def test_redact_hides_the_whole_picture_where_detection_failed(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(frame: int) -> Iterator[tuple[str, float, Box]]:
        if 25 <= frame < 50:
            raise RuntimeError("no model")
        return found(frame)

    plant(monkeypatch, failing)
    nodes = """
nodes:
  frames: {{stage: sample_frames, config: {{fps: {fps}}}}}
  planted: {{stage: planted, on_error: skip}}
  redact: {{stage: redact, config: {{{config}}}}}
"""
    more = "segment: {max_s: 1}"
    result = redacted(tmp_path, clip, "method: fill", stages=nodes, more=more)
    dark = [n for n, image in enumerate(images(result)) if image.mean() < 5]
    assert dark == list(range(25, 51))  # one more, since it began while the failed part ended


def test_redact_hides_the_classes_that_are_named_only(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (20.0, 20.0, 60.0, 60.0), (250.0, 100.0, 290.0, 140.0)
    plant(monkeypatch, lambda frame: [("face", 0.9, one), ("dog", 0.9, other)])
    result = redacted(tmp_path, clip, "method: fill, labels: [face]")
    image = next(images(result))
    assert (lit(image, one) < 12, lit(image, other) < 12) == (True, False)


def test_redact_leaves_the_rest_of_the_picture_as_it_was(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, lambda frame: [("face", 0.9, (20, 20, 60, 60))])
    result = redacted(tmp_path, clip, "crf: 12, margin: 0.0")
    for before, after in zip(images(clip), images(result), strict=True):
        difference = np.abs(before.astype(int) - after)[:, 80:]
        assert difference.mean() < 4


def test_redact_makes_the_same_bytes_however_the_video_is_cut(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, found)
    one, other = (
        redacted(tmp_path / more[-3], clip, "method: blur", more=more).read_bytes()
        for more in ("segment: {max_s: 1.0}", "segment: {max_s: 9.9}")
    )
    assert one == other


@pytest.mark.parametrize("kind", AWKWARD)
def test_redact_plays_in_a_browser_frame_by_frame(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Any
) -> None:
    source = awkward(kind, tmp_path)
    plant(monkeypatch, lambda frame: [("face", 0.9, (10, 10, 40, 40))])
    result = redacted(tmp_path, source, "", fps=25)
    assert stamps(result) == stamps(source)
    shown = played(opened, result)
    before = next(images(source)).shape
    assert (shown["how"], shown["frames"]) == ("ended", len(stamps(source)))
    # Of an odd size, the last row and column are shown twice.
    assert shown["size"] == [before[1] + before[1] % 2, before[0] + before[0] % 2]
    assert (shown["sound_bytes"] > 0) is (kind == "with sound")


def test_redact_of_a_video_without_objects_is_the_video(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Any
) -> None:
    plant(monkeypatch, lambda frame: [])
    result = redacted(tmp_path, clip, "")
    assert stamps(result) == stamps(clip)
    assert played(opened, result)["frames"] == SCENE.frames
    before, after = next(images(clip)), next(images(result))
    assert np.abs(before.astype(int) - after).mean() < 5


def test_redact_needs_tracks_and_gets_them_by_itself() -> None:
    assert REGISTRY.get("plan_redaction").io.reads == ["tracks"]
    assert REGISTRY.get("plan_redaction").implies == ("track_objects",)


FACES = """
stages:
  - sample_frames: {fps: 6}
  - detect_objects:
      model: pkg:nudenet/320n.onnx
      image_size: 320
      classes: [FACE_FEMALE, FACE_MALE]
      rename: [FACE_FEMALE=face, FACE_MALE=face]
  - redact: {method: fill}
"""


@pytest.mark.slow
def test_redact_hides_a_real_face_in_every_frame(tmp_path: Path) -> None:
    source = real_clip("carphone")
    _, tables = run_profile(tmp_path, source, FACES)
    result = made(tmp_path, tables)["redact.mp4"]
    every = FACES.replace("fps: 6", "every: 1").replace("  - redact: {method: fill}\n", "")
    _, truth = run_profile(tmp_path, source, every)
    boxes: dict[int, list[Box]] = {}
    for row in truth["detections"].records():
        if row["confidence"] > 0.5:
            box = (row["x1"], row["y1"], row["x2"], row["y2"])
            boxes.setdefault(row["frame_index"], []).append(box)
    assert len(boxes) > 100
    for frame, image in enumerate(images(result)):
        for box in boxes.get(frame, []):
            assert lit(image, box) < 16, f"frame {frame}, {box}"
