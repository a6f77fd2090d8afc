"""Tracks: one id per object from its first to its last sight."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.detect.running import run_profile
from tests.scenes import COLOURS, Scene, Shape, moving_shapes
from tests.weights import SHAPES

TRACKING = (
    f"stages: [sample_frames: {{fps: 12.5}}, detect_objects: {{model: '{SHAPES}', "
    "image_size: 320, min_confidence: 0.3}, track_objects]"
)


def sights(folder: Path, scene: Scene, stages: str = TRACKING) -> list[dict[str, object]]:
    scene.render(folder / "scene.mp4")
    _, tables = run_profile(folder, folder / "scene.mp4", stages, more="segment: {max_s: 2}")
    return tables["tracks"].records()


@pytest.mark.slow
def test_track_objects_gives_each_object_one_id_from_end_to_end(tmp_path: Path) -> None:
    scene = moving_shapes(250)
    rows = sights(tmp_path, scene)
    ids: dict[int, set[object]] = {number: set() for number in range(len(scene.shapes))}
    seen: dict[int, int] = dict.fromkeys(ids, 0)
    for row in rows:
        centre = np.array([row["x1"] + row["x2"], row["y1"] + row["y2"]]) / 2  # type: ignore[operator]
        frame = int(str(row["frame_index"]))
        for number, label, (x1, y1, x2, y2) in scene.boxes(frame):
            if np.abs(centre - [(x1 + x2) / 2, (y1 + y2) / 2]).max() < 12 and label == row["label"]:
                ids[number].add(row["track_id"])
                seen[number] += 1
    assert all(len(found) == 1 for found in ids.values()), ids
    assert sorted(next(iter(found)) for found in ids.values()) == [1, 2, 3, 4]  # type: ignore[type-var]
    assert seen == dict.fromkeys(ids, 125), "every sight of every object is in its track"
    assert len(rows) == 500


@pytest.mark.slow
def test_track_objects_of_one_label_keep_ids_apart_where_they_pass(tmp_path: Path) -> None:
    shapes = [
        Shape("circle", COLOURS[0], 30, (60, 90), (90, 0)),
        Shape("circle", COLOURS[1], 30, (580, 175), (-90, 0)),
    ]
    rows = sights(tmp_path, Scene(125, shapes=shapes, seed=3))
    upper = {row["track_id"] for row in rows if float(str(row["y2"])) < 135}
    lower = {row["track_id"] for row in rows if float(str(row["y1"])) > 130}
    assert len(upper) == len(lower) == 1
    assert upper != lower


@pytest.mark.slow
def test_track_objects_in_a_video_without_objects_is_an_empty_table(tmp_path: Path) -> None:
    assert sights(tmp_path, Scene(50, seed=3)) == []
