"""The camera's own motion: measured, and allowed for by tracking."""

from __future__ import annotations

import cmath
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mediaproc.detect.stages.tracking.track_camera import moved
from mediaproc.detect.stages.tracking.track_objects import STAGE, track_objects
from mediaproc.detect.tables import CameraMotion
from mediaproc.media import write_video
from tests.detect.identity import Sight, idf1
from tests.detect.running import run_profile
from tests.detect.stages.tracking.test_track_objects import seen_boxes, tracked
from tests.scenes import Picture, background

SIZE_WH = (640, 360)


@lru_cache(maxsize=1)
def world() -> Picture:
    """A wide picture with corners to follow."""
    image = background((1400, 760), 3).copy()
    random = np.random.default_rng(9)
    for _ in range(150):
        x, y = (int(random.integers(0, side)) for side in (1400, 760))
        across, down = (int(v) for v in random.integers(8, 50, 2))
        colour = tuple(int(v) for v in random.integers(0, 255, 3))
        cv2.rectangle(image, (x, y), (x + across, y + down), colour, -1)
    return image


def view(frame: int) -> Any:
    """From the world's pixels to those of a frame of a camera that swings and zooms, (2, 3)."""
    phase = 2 * np.pi * frame / 50
    zoom = 1 + 0.1 * np.sin(phase / 1.7)
    left, top = 380 + 150 * np.sin(phase), 200 + 50 * np.cos(phase)
    turn = cv2.getRotationMatrix2D((0, 0), 3 * np.sin(phase), zoom)
    centre = turn[:, :2] @ [left + 320, top + 180]
    turn[:, 2] = np.array([320, 180]) - centre
    return turn


def seen(frame: int) -> tuple[Picture, list[Sight]]:
    """What the camera sees: ten equal circles that sway, and where each of them is."""
    image, sights = world().copy(), []
    matrix = view(frame)
    for number in range(10):
        x = 560 + 70 * (number % 5) + 10 * np.sin(frame / 7 + number)
        y = 330 + 110 * (number // 5)
        cv2.circle(
            image, (round(x * 16), round(y * 16)), 18 * 16, (40, 40, 230), -1, cv2.LINE_AA, 4
        )
        centre = matrix[:, :2] @ [x, y] + matrix[:, 2]
        radius = 18 * np.linalg.norm(matrix[:, 0])
        box = [*(centre - radius), *(centre + radius)]
        if min(box) >= 0 and box[2] < SIZE_WH[0] and box[3] < SIZE_WH[1]:
            sights.append((number, box))
    return cv2.warpAffine(image, matrix, SIZE_WH), sights


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("camera") / "swinging.mp4"
    images = (seen(frame)[0] for frame in range(100))
    options = {"g": "25", "sc_threshold": "0"}
    write_video(path, images, fps=Fraction(25), size_wh=SIZE_WH, options=options)
    return path


def measured(folder: Path, clip: Path, max_s: float = 20) -> CameraMotion:
    _, tables = run_profile(
        folder, clip, "stages: [track_camera]", more=f"segment: {{max_s: {max_s}}}"
    )
    camera = tables["camera"]
    assert isinstance(camera, CameraMotion)
    return camera


def test_track_camera_measures_how_the_picture_moves(tmp_path: Path, clip: Path) -> None:
    rows = measured(tmp_path, clip).records()
    assert [row["frame_index"] for row in rows] == list(range(100))
    assert rows[0]["agreement"] == 0
    for row in rows[1:]:
        before, now = (np.vstack([view(row["frame_index"] - back), [0, 0, 1]]) for back in (1, 0))
        step = now @ np.linalg.inv(before)
        turn = cmath.rect(row["scale"], row["angle"])
        for x, y in ((0, 0), (640, 0), (320, 180), (640, 360)):
            found = turn * complex(x, y) + complex(row["dx"], row["dy"])
            truth = step @ [x, y, 1]
            assert abs(found - complex(truth[0], truth[1])) < 1.5
        assert row["agreement"] > 0.5


def test_track_camera_is_the_same_in_segments_of_any_length(tmp_path: Path, clip: Path) -> None:
    assert measured(tmp_path, clip, 1).records() == measured(tmp_path, clip, 20).records()


def test_track_camera_at_a_cut_tells_that_it_does_not_know(
    tmp_path: Path, squares_clip: Path
) -> None:
    rows = measured(tmp_path, squares_clip).records()
    assert rows[75]["agreement"] == 0
    assert (rows[75]["dx"], rows[75]["scale"]) == (0, 1)


def test_track_camera_that_stands_still_does_not_drift(tmp_path: Path) -> None:
    noise = np.random.default_rng(3)
    images = (
        (seen(0)[0].astype(np.float64) + noise.normal(0, 4, (360, 640, 3))).clip(0, 255)
        for _ in range(30)
    )
    frames = (image.astype(np.uint8) for image in images)
    options = {"crf": "28"}
    write_video(tmp_path / "a.mp4", frames, fps=Fraction(25), size_wh=SIZE_WH, options=options)
    rows = measured(tmp_path, tmp_path / "a.mp4").records()
    assert all(row["agreement"] > 0.5 for row in rows[1:])
    assert {(row["dx"], row["dy"], row["scale"], row["angle"]) for row in rows} == {(0, 0, 1, 0)}


@pytest.mark.parametrize("size_wh", [(640, 360), (66, 98)])
def test_track_camera_of_a_picture_without_corners_is_not_known(size_wh: tuple[int, int]) -> None:
    plain = np.full((size_wh[1], size_wh[0]), 90, dtype=np.uint8)
    assert moved(plain, plain) is None


def tracks_of(frames: Sequence[int], camera: CameraMotion | None, tracker: str) -> float:
    truth = {frame: seen(frame)[1] for frame in frames}
    state: dict[str, Any] = {"detections": seen_boxes(truth)}
    if camera is not None:
        state["camera"] = camera
    config = STAGE.filled_config({"tracker": tracker})
    return idf1(truth, tracked(track_objects(state, config=config)["tracks"]))  # type: ignore[arg-type]


@pytest.mark.parametrize("tracker", ["bytetrack", "sort", "ocsort", "cbiou"])
def test_track_objects_keeps_identities_although_the_camera_swings(
    tmp_path: Path, clip: Path, tracker: str
) -> None:
    camera = measured(tmp_path, clip)
    frames = range(0, 100, 4)
    assert tracks_of(frames, camera, tracker) >= 0.95
    assert tracks_of(frames, None, tracker) < 0.5
