"""Filtering: frames that show nothing, or nothing new, are not looked at."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from mediaproc.media import write_video
from tests.clips import real_clip
from tests.detect.running import chosen_frames, run_profile
from tests.scenes import Caption, Picture, Scene
from tests.weights import FRAMES

OFF = {"black_level": 0, "min_sharpness": 0, "min_change": 0}


def kept(
    folder: Path, clip: Path, max_s: float = 20, every: int = 5, **settings: float
) -> list[int]:
    text = ", ".join(f"{key}: {value}" for key, value in settings.items())
    stages = f"stages: [sample_frames: {{every: {every}}}, filter_frames: {{{text}}}]"
    values, _ = run_profile(folder, clip, stages, more=f"segment: {{max_s: {max_s}}}")
    return chosen_frames(values, "filter_frames")


def noise(seed: int, size_wh: tuple[int, int] = (160, 120)) -> Picture:
    width, height = size_wh
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def written(path: Path, images: list[Picture]) -> Path:
    """Five frames of each image, a keyframe at each, so that blocks are a second long."""
    height, width = images[0].shape[:2]
    frames = (image for image in images for _ in range(5))
    options = {"g": "25", "crf": "12", "sc_threshold": "0"}
    return write_all(path, frames, (width, height), options)


def write_all(
    path: Path, frames: object, size_wh: tuple[int, int], options: dict[str, str]
) -> Path:
    write_video(path, frames, fps=Fraction(25), size_wh=size_wh, options=options)  # type: ignore[arg-type]
    return path


def test_filter_frames_drops_black_frames(tmp_path: Path) -> None:
    black = np.zeros((120, 160, 3), dtype=np.uint8)
    clip = written(tmp_path / "a.mp4", [noise(1), black, noise(2), black, noise(3)])
    assert kept(tmp_path, clip, **{**OFF, "black_level": 26}) == [0, 10, 20]


def test_filter_frames_keeps_a_small_light_in_the_dark(tmp_path: Path) -> None:
    lamp = np.zeros((120, 160, 3), dtype=np.uint8)
    lamp[40:64, 60:84] = 220
    clip = written(tmp_path / "a.mp4", [lamp])
    assert kept(tmp_path, clip, **{**OFF, "black_level": 26}) == [0]


def test_filter_frames_drops_blurred_frames(tmp_path: Path) -> None:
    blurred = cv2.GaussianBlur(noise(1, (320, 240)), (0, 0), 8)
    clip = written(tmp_path / "a.mp4", [noise(1, (320, 240)), blurred, noise(2, (320, 240))])
    assert kept(tmp_path, clip, **{**OFF, "min_sharpness": 10}) == [0, 10]


def test_filter_frames_drops_repeated_frames_and_keeps_a_new_caption(tmp_path: Path) -> None:
    scene = Scene(100, captions=[Caption("tiny", 45, 100, (40, 40), 14)], seed=3)
    scene.render(tmp_path / "a.mp4", g="200", crf="28")
    assert kept(tmp_path, tmp_path / "a.mp4", **{**OFF, "min_change": 4}) == [0, 45]


def test_filter_frames_compares_with_the_last_kept_frame(tmp_path: Path) -> None:
    """A slow change is seen, although no frame differs from the one before it."""
    images = [np.full((120, 160, 3), 100 + 4 * number, dtype=np.uint8) for number in range(5)]
    clip = written(tmp_path / "a.mp4", images)
    assert kept(tmp_path, clip, **{**OFF, "min_change": 6}) == [0, 10, 20]


def test_filter_frames_keeps_a_repeated_frame_after_the_gap(tmp_path: Path) -> None:
    clip = written(tmp_path / "a.mp4", [noise(1)] * 5)
    assert kept(tmp_path, clip, **{**OFF, "min_change": 4, "max_gap_s": 0.4}) == [0, 10, 20]


def test_filter_frames_with_everything_off_keeps_every_frame(tmp_path: Path) -> None:
    clip = written(tmp_path / "a.mp4", [noise(1)] * 5)
    assert kept(tmp_path, clip, **OFF) == [0, 5, 10, 15, 20]


def test_filter_frames_keeps_the_same_frames_in_segments_of_any_length(tmp_path: Path) -> None:
    clip = written(tmp_path / "a.mp4", [noise(1)] * 20)
    settings = {**OFF, "min_change": 4}
    # The first of each block of a second; a block begins anew.
    assert kept(tmp_path, clip, 1, **settings) == [0, 25, 50, 75]
    assert kept(tmp_path, clip, 20, **settings) == [0, 25, 50, 75]


def test_filter_frames_may_leave_no_frame_to_the_stages_after_it(tmp_path: Path) -> None:
    clip = written(tmp_path / "a.mp4", [np.zeros((120, 160, 3), dtype=np.uint8)] * 3)
    stages = (
        "stages: [sample_frames, filter_frames, detect_faces, detect_codes, detect_motion, "
        f"classify_frames: {{model: {FRAMES}, image_size: 96}}, track_objects, report]"
    )
    values, tables = run_profile(tmp_path, clip, stages)
    assert values["report"]["sampled_frames"] == 0
    expected = ["codes", "detections", "events", "frame_labels", "motion", "tracks"]
    assert {name: len(rows) for name, rows in tables.items()} == dict.fromkeys(expected, 0)


@pytest.mark.parametrize("size_wh", [(3840, 2160), (270, 480), (98, 66)])
def test_filter_frames_judges_frames_of_any_shape(tmp_path: Path, size_wh: tuple[int, int]) -> None:
    image = cv2.resize(noise(1, (32, 32)), size_wh, interpolation=cv2.INTER_NEAREST)
    options = {"crf": "28", "preset": "ultrafast"}
    clip = write_all(tmp_path / "a.mp4", iter([image, image]), size_wh, options)
    assert kept(tmp_path, clip, every=1) == [0]


def test_filter_frames_keeps_the_moving_pictures_of_a_real_clip(tmp_path: Path) -> None:
    frames = kept(tmp_path, real_clip("bikes"), every=10)
    assert len(frames) >= 24
