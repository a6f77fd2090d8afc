"""Motion: what moves in rendered scenes, and nothing where nothing does."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediaproc.detect.stages.detection.score_motion import median, moving
from mediaproc.media import write_video
from tests.detect.running import run_profile
from tests.scenes import COLOURS, Picture, Scene, Shape

PASSING = Scene(150, shapes=[Shape("circle", COLOURS[0], 20, (60, 100), (90, 0))], seed=3)
STILL = Scene(150, seed=3)


def passing() -> Iterator[Picture]:
    """A circle that is there from frame 50 up to 100, before a background that stands still."""
    for number, (still, image) in enumerate(zip(STILL.images(), PASSING.images(), strict=True)):
        yield image if 50 <= number < 100 else still


def rendered(path: Path, images: Iterator[Picture], size_wh: tuple[int, int] = (640, 360)) -> Path:
    options = {"g": "25", "crf": "26", "sc_threshold": "0"}
    write_video(path, images, fps=Fraction(25), size_wh=size_wh, options=options)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rendered(tmp_path_factory.mktemp("motion") / "passing.mp4", passing())


def scored(folder: Path, clip: Path, max_s: float = 20, **settings: float) -> list[dict[str, Any]]:
    text = ", ".join(f"{key}: {value}" for key, value in settings.items())
    stages = f"stages: [sample_frames: {{every: 5}}, score_motion: {{{text}}}]"
    _, tables = run_profile(folder, clip, stages, more=f"segment: {{max_s: {max_s}}}")
    return tables["motion"].records()


def test_score_motion_sees_what_moves_while_it_is_there(tmp_path: Path, clip: Path) -> None:
    rows = scored(tmp_path, clip)
    assert [row["frame_index"] for row in rows] == list(range(0, 150, 5))
    for row in rows:
        if not 50 <= row["frame_index"] < 100:
            assert (row["share"], row["boxes"]) == (0, [])
            continue
        ((_, _, truth),) = PASSING.boxes(row["frame_index"])
        (box,) = row["boxes"]
        assert np.abs(np.array(box) - truth).max() <= 4
        assert row["share"] == pytest.approx(np.pi * 20**2 / (640 * 360), rel=0.25)


def test_score_motion_is_the_same_in_segments_of_any_length(tmp_path: Path, clip: Path) -> None:
    assert scored(tmp_path, clip, 1) == scored(tmp_path, clip, 20)


def test_score_motion_sees_slow_things_with_a_window_around(tmp_path: Path) -> None:
    # 40 pixels wide and 16 pixels a second: in a second it hardly leaves its place.
    slow = Scene(150, shapes=[Shape("square", COLOURS[1], 24, (100, 180), (16, 0))], seed=3)
    clip = rendered(tmp_path / "slow.mp4", slow.images())
    narrow = sum(row["share"] for row in scored(tmp_path, clip, window_s=0))
    wide = sum(row["share"] for row in scored(tmp_path, clip, window_s=3))
    assert wide > 3 * narrow


@pytest.mark.parametrize("size_wh", [(3840, 2160), (270, 480), (98, 66)])
def test_score_motion_of_one_frame_of_any_shape_is_none(
    tmp_path: Path, size_wh: tuple[int, int]
) -> None:
    image = np.full((size_wh[1], size_wh[0], 3), 90, dtype=np.uint8)
    clip = rendered(tmp_path / "one.mp4", iter([image]), size_wh)
    assert [(row["share"], row["boxes"]) for row in scored(tmp_path, clip)] == [(0, [])]


def test_score_motion_ignores_a_change_of_the_light() -> None:
    before, after = next(STILL.images()), next(STILL.images()).astype(np.int16) + 40
    share, boxes = moving(after.clip(0, 255).astype(np.uint8), before, 24, 0.0005)
    assert (share, len(boxes)) == (0, 0)


def test_score_motion_ignores_things_that_are_too_small() -> None:
    still = np.zeros((180, 320, 3), dtype=np.uint8)
    image = still.copy()
    image[20:28, 20:28] = 200
    image[100:140, 100:160] = 200
    share, boxes = moving(image, still, 24, 0.01)
    assert boxes.tolist() == [[100, 100, 160, 140]]
    assert share == pytest.approx(40 * 60 / (180 * 320))
    assert len(moving(image, still, 24, 0.0)[1]) == 2


def test_score_motion_background_is_what_is_seen_most_often() -> None:
    pictures = [np.full((2, 2, 3), value, dtype=np.uint8) for value in (10, 200, 10, 200, 10)]
    assert (median(pictures) == 10).all()
    assert (median(pictures[:2]) == 10).all()
