"""Crops: of each track the best picture, and the one of that track."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mediaproc.detect.stages.rendering.crop_scores import place_scores, sharpness
from mediaproc.media import write_video
from tests.detect.planted import Box, plant
from tests.detect.running import run_profile
from tests.detect.videos import AWKWARD, awkward, made

STAGES = "stages: [sample_frames: {fps: 5}, planted, track_objects, crop_objects: {CONFIG}]"
SIZE = (320, 180)
BOX: Box = (100.0, 50.0, 180.0, 130.0)
OTHER: Box = (220.0, 60.0, 280.0, 120.0)


def crops(
    folder: Path, clip: Path, config: str = "", *, more: str = ""
) -> tuple[list[dict[str, Any]], dict[str, Path]]:
    """The rows, and the files by name."""
    _, tables = run_profile(folder, clip, STAGES.replace("CONFIG", config), more=more)
    return tables["crops"].records(), made(folder, tables)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 s in which an object in ``BOX`` is out of focus, but for 0.4 s from frame 40 on."""
    random = np.random.default_rng(1)
    fine = cv2.resize(
        random.integers(0, 256, (20, 20, 3), dtype=np.uint8), (80, 80), interpolation=0
    )
    path = tmp_path_factory.mktemp("crops") / "focus.mp4"

    def images() -> Any:
        for number in range(75):
            image = np.full((SIZE[1], SIZE[0], 3), 90, dtype=np.uint8)
            sharp = 40 <= number < 50
            image[50:130, 100:180] = fine if sharp else cv2.GaussianBlur(fine, (0, 0), 6)
            image[60:120, 220:280] = (30, 200, 30)
            yield image

    write_video(path, images(), fps=Fraction(25), size_wh=SIZE, options={"g": "25"})
    return path


def test_crop_objects_takes_the_sharp_sight(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, lambda frame: [("thing", 0.9, BOX)])
    [row], _ = crops(tmp_path, clip, "candidates: 10, apart_s: 0.1")
    assert 40 <= row["frame_index"] < 50


def test_crop_objects_takes_the_large_sight_before_any_pixel_is_seen(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = (115.0, 65.0, 165.0, 115.0)
    plant(monkeypatch, lambda frame: [("thing", 0.9, BOX if frame == 10 else small)])
    [row], _ = crops(tmp_path, clip, "candidates: 1")
    assert row["frame_index"] == 10


def test_crop_objects_cuts_the_object_with_its_margin(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, lambda frame: [("thing", 0.9, OTHER)])
    _, files = crops(tmp_path, clip, "margin: 0.5")
    assert list(files) == ["crops/crop_objects/1.jpg"]
    image = cv2.imread(str(files["crops/crop_objects/1.jpg"]))
    assert image.shape == (120, 120, 3)
    green = image[35:85, 35:85].reshape(-1, 3).mean(axis=0)
    assert np.abs(green - (30, 200, 30)).max() < 8
    assert np.abs(image[:20].reshape(-1, 3).mean(axis=0) - 90).max() < 8


def test_crop_objects_makes_one_picture_of_each_track(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, lambda frame: [("thing", 0.9, BOX), ("sign", 0.8, OTHER)])
    rows, files = crops(tmp_path, clip)
    assert {row["track_id"]: row["label"] for row in rows} == {1: "thing", 2: "sign"}
    assert sorted(files) == ["crops/crop_objects/1.jpg", "crops/crop_objects/2.jpg"]


def test_crop_objects_leaves_small_objects_out(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, lambda frame: [("thing", 0.9, BOX), ("sign", 0.8, OTHER)])
    rows, _ = crops(tmp_path, clip, "min_size_px: 70")
    assert [row["label"] for row in rows] == ["thing"]


def test_crop_objects_are_the_same_however_the_video_is_cut(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, lambda frame: [("thing", 0.9, BOX), ("sign", 0.8, OTHER)])
    one, other = (
        crops(tmp_path / name, clip, more=f"segment: {{max_s: {name}}}")[0] for name in ("1", "9")
    )
    assert one == other


def test_crop_objects_of_a_video_without_objects_are_none(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, lambda frame: [])
    assert crops(tmp_path, clip) == ([], {})


@pytest.mark.parametrize("kind", AWKWARD)
def test_crop_objects_takes_any_video(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, lambda frame: [("thing", 0.9, (10, 10, 40, 40))])
    stages = STAGES.replace("fps: 5", "fps: 25").replace("CONFIG", "margin: 0.0")
    _, tables = run_profile(tmp_path, awkward(kind, tmp_path), stages)
    shapes = [cv2.imread(str(path)).shape for path in made(tmp_path, tables).values()]
    # One sight makes no track.
    assert shapes == ([] if kind == "one frame" else [(30, 30, 3)])


def test_place_scores_prefer_what_is_large_sure_whole_and_central() -> None:
    boxes = np.array(
        [
            [100, 50, 200, 130],  # the measure
            [130, 74, 170, 106],  # smaller
            [100, 50, 200, 130],  # less sure
            [0, 50, 100, 130],  # cut off by the border
            [210, 90, 310, 170],  # in a corner
        ],
        dtype=np.float64,
    )
    best, *others = place_scores(boxes, np.array([0.9, 0.9, 0.5, 0.9, 0.9]), SIZE).tolist()
    assert all(best > other for other in others)


def test_sharpness_does_not_rest_on_size() -> None:
    coarse = np.random.default_rng(2).integers(0, 256, (12, 12), dtype=np.uint8)
    found = [
        sharpness(cv2.merge([cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)] * 3))
        for side in (96, 384)
    ]
    assert found[0] == pytest.approx(found[1], abs=0.05)
