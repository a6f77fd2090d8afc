"""Codes: what is rendered is read, at angles and sizes, and nothing else is."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mediaproc.detect.stages.detection.detect_codes import prepare
from mediaproc.errors import StageError
from mediaproc.media import write_video
from tests.clips import real_clip
from tests.detect.running import run_profile
from tests.scenes import Picture, background

# EAN-13 after GS1's General Specifications: sets of modules by digit, 1 is a bar.
_LEFT = [
    "0001101",
    "0011001",
    "0010011",
    "0111101",
    "0100011",
    "0110001",
    "0101111",
    "0111011",
    "0110111",
    "0001011",
]
_PARITY = [
    "LLLLLL",
    "LLGLGG",
    "LLGGLG",
    "LLGGGL",
    "LGLLGG",
    "LGGLLG",
    "LGGGLL",
    "LGLGLG",
    "LGLGGL",
    "LGGLGL",
]


def qr(text: str) -> Picture:
    """A QR code with its quiet zone, a pixel for each module."""
    code = cv2.QRCodeEncoder.create().encode(text)
    return cv2.copyMakeBorder(code, 4, 4, 4, 4, cv2.BORDER_CONSTANT, value=255)  # type: ignore[no-any-return]


def ean_13(digits: str) -> Picture:
    """A barcode with its quiet zone, a column for each module."""
    left = ""
    for digit, kind in zip(digits[1:7], _PARITY[int(digits[0])], strict=True):
        bars = _LEFT[int(digit)]
        left += bars if kind == "L" else bars[::-1].translate(str.maketrans("01", "10"))
    right = "".join(_LEFT[int(d)].translate(str.maketrans("01", "10")) for d in digits[7:])
    modules = "0" * 11 + "101" + left + "01010" + right + "101" + "0" * 11
    row = np.array([255 * (1 - int(module)) for module in modules], dtype=np.uint8)
    return np.repeat(row[None], 50, axis=0)


def placed(
    scene: Picture, code: Picture, centre: tuple[float, float], width: float, angle: float = 0
) -> tuple[Picture, Any]:
    """The scene with a code on it, and the corners of the code with its quiet zone."""
    height, across = code.shape
    half = np.array([width, width * height / across]) / 2
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    turn = np.deg2rad(angle)
    turned = corners @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    target = (turned + centre).astype(np.float32)
    source = np.array([[0, 0], [across, 0], [across, height], [0, height]], dtype=np.float32) - 0.5
    warp = cv2.getPerspectiveTransform(source, target)
    size = (scene.shape[1], scene.shape[0])
    drawn = cv2.warpPerspective(code, warp, size, flags=cv2.INTER_LINEAR)
    there = cv2.warpPerspective(np.full_like(code, 255), warp, size) > 127
    scene = scene.copy()
    scene[there] = drawn[there][:, None]
    return scene, target


def read(folder: Path, images: list[Picture], settings: str = "{}", more: str = "") -> list[Any]:
    height, width = images[0].shape[:2]
    clip = folder / "codes.mp4"
    write_video(clip, iter(images), fps=Fraction(5), size_wh=(width, height))
    stages = f"stages: [sample_frames: {{every: 1{more}}}, detect_codes: {settings}]"
    return run_profile(folder, clip, stages)[1]["codes"].records()


SCENE = background((640, 360), 3)


@pytest.mark.parametrize("width", [90, 160, 300])
def test_detect_codes_reads_qr_codes_at_any_angle(tmp_path: Path, width: float) -> None:
    angles = [0, 10, 30, 45, 70, 90, 135, 200]
    images = [placed(SCENE, qr("https://example.org/a"), (320, 180), width, a)[0] for a in angles]
    rows = read(tmp_path, images)
    assert [row["frame_index"] for row in rows] == list(range(len(angles)))
    assert {(row["kind"], row["text"]) for row in rows} == {("qr", "https://example.org/a")}


def test_detect_codes_tells_where_a_code_is_in_pixels_of_the_source(tmp_path: Path) -> None:
    code = qr("here")
    image, corners = placed(SCENE, code, (250, 170), 240, 30)
    # Without its quiet zone, and sampled at half the size.
    dark = np.flatnonzero((code == 0).any(axis=0))
    share = (dark[-1] + 1 - dark[0]) / len(code)
    expected = (corners - [250, 170]) * share + [250, 170]
    (row,) = read(tmp_path, [image], more=", max_size: 320")
    assert np.abs(np.array(row["quad"]) - expected).max() < 6
    assert np.abs(np.array([row["x1"], row["y1"]]) - expected.min(axis=0)).max() < 6
    assert np.abs(np.array([row["x2"], row["y2"]]) - expected.max(axis=0)).max() < 6


def test_detect_codes_reads_all_codes_of_a_frame(tmp_path: Path) -> None:
    image, _ = placed(SCENE, qr("one"), (90, 180), 140)
    image, _ = placed(image, qr("ünicode ✓"), (250, 180), 130, 15)
    image, _ = placed(image, ean_13("4006381333931"), (480, 180), 300)
    rows = read(tmp_path, [image])
    assert {(row["kind"], row["text"]) for row in rows} == {
        ("qr", "one"),
        ("qr", "ünicode ✓"),
        ("ean_13", "4006381333931"),
    }


def test_detect_codes_reads_only_the_kinds_asked_for(tmp_path: Path) -> None:
    image, _ = placed(SCENE, qr("one"), (140, 180), 140)
    image, _ = placed(image, ean_13("4006381333931"), (450, 180), 230)
    assert [row["kind"] for row in read(tmp_path, [image], "{kinds: [ean_13]}")] == ["ean_13"]


@pytest.mark.parametrize("size_wh", [(3840, 2160), (360, 640), (162, 98)])
def test_detect_codes_reads_frames_of_any_shape(tmp_path: Path, size_wh: tuple[int, int]) -> None:
    width, height = size_wh
    scene = np.full((height, width, 3), 120, dtype=np.uint8)
    side = max(90, min(size_wh) // 4)
    image, _ = placed(scene, qr("any"), (width / 2, height / 2), side)
    assert [row["text"] for row in read(tmp_path, [image])] == ["any"]


@pytest.mark.parametrize("clip", ["bikes", "carphone"])
def test_detect_codes_reads_none_in_footage_without_codes(tmp_path: Path, clip: str) -> None:
    stages = "stages: [sample_frames: {every: 10}, detect_codes]"
    assert len(run_profile(tmp_path, real_clip(clip), stages)[1]["codes"]) == 0


def test_detect_codes_refuses_to_look_for_nothing() -> None:
    with pytest.raises(StageError, match="kinds: is empty; there are: qr, micro_qr"):
        prepare(config={"kinds": []})
