"""Faces: found without a list of classes, under one label."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import pytest

from mediaproc.errors import ModelError, StageError
from mediaproc.media import write_video
from tests.clips import photo, real_clip
from tests.detect.running import run_profile
from tests.scenes import Scene
from tests.weights import FRAMES, SHAPES


def faces(folder: Path, clip: Path, settings: str = "{}", every: int = 20) -> list[dict[str, Any]]:
    stages = f"stages: [sample_frames: {{every: {every}}}, detect_faces: {settings}]"
    return run_profile(folder, clip, stages)[1]["detections"].records()


def photographed(path: Path, name: str) -> Path:
    image = cv2.imread(str(photo(name)))
    height, width = image.shape[:2]
    write_video(path, iter([image]), fps=Fraction(5), size_wh=(width, height))
    return path


def test_detect_faces_finds_the_face_of_each_frame(tmp_path: Path) -> None:
    rows = faces(tmp_path, real_clip("carphone"))
    assert [row["frame_index"] for row in rows] == [0, 20, 40, 60, 80, 100]
    assert {row["label"] for row in rows} == {"face"}
    for row in rows:
        # The man's face, by eye: he sits still to the right of the window.
        assert 45 < (row["x1"] + row["x2"]) / 2 < 115
        assert 45 < (row["y1"] + row["y2"]) / 2 < 100


def test_detect_faces_counts_a_face_of_two_classes_once(tmp_path: Path) -> None:
    clip = photographed(tmp_path / "zidane.mp4", "zidane")
    settings = "{image_size: 960, min_confidence: 0.2}"
    (row,) = faces(tmp_path, clip, settings)
    assert (row["x1"], row["y2"]) == pytest.approx((905, 283), abs=12)
    stages = (
        "stages: [sample_frames, detect_objects: {model: 'pkg:nudenet/320n.onnx', "
        "image_size: 960, min_confidence: 0.2, classes: [FACE_FEMALE, FACE_MALE]}]"
    )
    assert len(run_profile(tmp_path, clip, stages)[1]["detections"]) == 2


def test_detect_faces_drops_faces_that_are_too_small(tmp_path: Path) -> None:
    clip = photographed(tmp_path / "bus.mp4", "bus")
    heights = [row["y2"] - row["y1"] for row in faces(tmp_path, clip)]
    assert len(heights) == 2
    bound = (min(heights) + max(heights)) / 2
    found = faces(tmp_path, clip, f"{{min_height: {bound}}}")
    assert [row["y2"] - row["y1"] for row in found] == [max(heights)]


def test_detect_faces_in_a_video_without_faces_is_an_empty_table(tmp_path: Path) -> None:
    Scene(2, seed=3).render(tmp_path / "none.mp4")
    assert faces(tmp_path, tmp_path / "none.mp4", every=1) == []


def test_detect_faces_refuses_a_model_without_faces_before_the_video_is_opened(
    tmp_path: Path,
) -> None:
    with pytest.raises(StageError, match="no class with 'face' in its name, it has circle, square"):
        faces(tmp_path, tmp_path / "there-is-no-video.mp4", f"{{model: '{SHAPES}'}}")


def test_detect_faces_refuses_a_classifier(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the stage classify_frames takes this one"):
        faces(tmp_path, tmp_path / "there-is-no-video.mp4", f"{{model: '{FRAMES}'}}")
