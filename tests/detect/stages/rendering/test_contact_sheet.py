"""Contact sheets: one thumbnail of each shot, in order."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.detect.running import run_profile
from tests.detect.videos import AWKWARD, Image, awkward, made
from tests.scenes import Scene, background

SCENE = Scene(150, size_wh=(320, 180), cuts=[40, 95], seed=5)
SHOTS = "stages: [detect_shots: {min_shot_s: 0.4}, contact_sheet: {CONFIG}]"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sheet") / "shots.mp4"
    SCENE.render(path, g="25")
    return path


def sheet(folder: Path, clip: Path, config: str, stages: str = SHOTS) -> tuple[str, Image]:
    """The name of the file, and the picture."""
    _, tables = run_profile(folder, clip, stages.replace("CONFIG", config))
    [(name, path)] = made(folder, tables).items()
    return name, cv2.imread(str(path))


def test_contact_sheet_shows_each_shot_in_order(clip: Path, tmp_path: Path) -> None:
    name, image = sheet(tmp_path, clip, "width_px: 160, columns: 3, format: png")
    assert name == "contact_sheet.png"
    gap = 160 // 24
    for shot in range(3):
        left = gap + shot * (160 + gap)
        shown = image[gap : gap + 90, left : left + 160].astype(np.float64)
        truth = cv2.resize(background((320, 180), 5000 + shot), (160, 90)).astype(np.float64)
        assert np.abs(shown.mean(axis=(0, 1)) - truth.mean(axis=(0, 1))).max() < 6


def test_contact_sheet_breaks_into_rows(clip: Path, tmp_path: Path) -> None:
    _, wide = sheet(tmp_path / "wide", clip, "width_px: 96, columns: 3")
    _, high = sheet(tmp_path / "high", clip, "width_px: 96, columns: 1")
    assert wide.shape[0] < high.shape[0] / 2
    assert wide.shape[1] > high.shape[1] * 2


def test_contact_sheet_takes_some_of_many_shots_evenly(clip: Path, tmp_path: Path) -> None:
    _, image = sheet(tmp_path, clip, "width_px: 160, most: 1, format: png")
    truth = background((320, 180), 5001).mean(axis=(0, 1))
    shown = image[6:96, 6:166].astype(np.float64).mean(axis=(0, 1))
    assert np.abs(shown - truth).max() < 6


def test_contact_sheet_without_anything_to_show_says_so(clip: Path, tmp_path: Path) -> None:
    _, image = sheet(tmp_path, clip, "of: events, width_px: 160, format: png")
    assert 50 < image.min() < 200
    assert (image == 255).mean() > 0.5


@pytest.mark.parametrize("kind", AWKWARD)
def test_contact_sheet_takes_any_video(kind: str, tmp_path: Path) -> None:
    stages = "stages: [contact_sheet: {of: even, most: 2, columns: 2, width_px: 120, format: png}]"
    source = awkward(kind, tmp_path)
    _, image = sheet(tmp_path, source, "", stages)
    thumb = {"vertical": (120, 68), "odd": (90, 120), "4K": (68, 120)}.get(kind, (90, 120))
    count = 1 if kind == "one frame" else 2
    left = 5 + (120 - thumb[1]) // 2
    dark = (image.max(axis=2) < 95)[5 : 5 + thumb[0]]
    assert dark[:, left + 2 : left + thumb[1] - 2].mean() > 0.8
    assert image.shape[1] == count * 125 + 5
