"""Tracks: one id per object from its first to its last sight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from mediaproc.detect.stages.tracking.track_objects import STAGE, track_objects
from mediaproc.detect.state import Frames
from mediaproc.detect.tables import Detections, Tracks
from tests.clips import real_clip
from tests.detect.identity import Sight, idf1
from tests.detect.running import run_profile
from tests.scenes import COLOURS, Scene, Shape, moving_shapes
from tests.weights import SHAPES

TRACKING = (
    f"stages: [sample_frames: {{fps: 12.5}}, detect_objects: {{model: '{SHAPES}', "
    "image_size: 320, min_confidence: 0.3}, track_objects]"
)


TRACKERS = ("bytetrack", "sort", "ocsort", "cbiou")


def seen_boxes(
    truth: Mapping[int, Sequence[Sight]], *, jitter_px: float = 0, missed: float = 0
) -> Detections:
    """Detections of one label for what is there, at 25 frames per second."""
    random = np.random.default_rng(0)
    rows = []
    for frame, sights in truth.items():
        for _, box in sights:
            if random.random() < missed:
                continue
            x1, y1, x2, y2 = np.array(box) + random.normal(0, jitter_px, 4)
            blank: dict[str, Any] = {column.name: None for column in Detections.columns}
            place = {"node": "boxes", "frame_index": frame, "pts": frame, "time_s": frame / 25}
            what = {"label": "thing", "class_id": 0, "confidence": 0.9}
            rows.append({**blank, **place, **what, "x1": x1, "y1": y1, "x2": x2, "y2": y2})
    return Detections.from_records(rows)


def tracked(tracks: Tracks) -> dict[int, list[Sight]]:
    """(id, xyxy) of the sights of tracks, by frame."""
    found: dict[int, list[Sight]] = {}
    for row in tracks.records():
        box = [row[side] for side in ("x1", "y1", "x2", "y2")]
        found.setdefault(row["frame_index"], []).append((row["track_id"], box))
    return found


def followed(
    detections: Detections, frames: Sequence[int] | None = None, **settings: Any
) -> dict[int, list[Sight]]:
    state: dict[str, Any] = {"detections": detections}
    if frames is not None:
        numbers = np.array(frames, dtype=np.int64)
        state["frames"] = Frames(numbers, numbers, numbers / 25, (640, 360), (640, 360), None)  # type: ignore[arg-type]
    return tracked(track_objects(state, config=STAGE.filled_config(settings))["tracks"])  # type: ignore[arg-type]


def crowd(step: int) -> dict[int, list[Sight]]:
    """Eight things that cross each other's paths and turn back at the borders, for ten seconds."""
    random = np.random.default_rng(5)

    def between(low: float, high: float) -> float:
        return float(random.uniform(low, high))

    shapes = [
        Shape(
            "circle",
            COLOURS[0],
            between(14, 26),
            (between(0, 640), between(0, 360)),
            (between(-90, 90), between(-70, 70)),
        )
        for _ in range(8)
    ]
    scene = Scene(250, shapes=shapes)
    return {
        frame: [(number, box) for number, _, box in scene.boxes(frame)]
        for frame in range(0, 250, step)
    }


@pytest.mark.parametrize("tracker", TRACKERS)
@pytest.mark.parametrize("step", [1, 2])
def test_track_objects_keeps_identities_in_a_crowd(tracker: str, step: int) -> None:
    truth = crowd(step)
    assert idf1(truth, followed(seen_boxes(truth), tracker=tracker)) >= 0.99


@pytest.mark.parametrize("tracker", TRACKERS)
def test_track_objects_keeps_identities_through_shaky_and_missed_boxes(tracker: str) -> None:
    truth = crowd(1)
    boxes = seen_boxes(truth, jitter_px=1.5, missed=0.05)
    assert idf1(truth, followed(boxes, tracker=tracker)) >= 0.95


@pytest.mark.parametrize("tracker", TRACKERS)
def test_track_objects_takes_an_object_up_again_within_the_time_it_may_be_lost(
    tracker: str,
) -> None:
    truth: dict[int, list[Sight]] = {
        frame: [(0, [frame, 10, frame + 40, 50])] if not 20 <= frame < 35 else []
        for frame in range(60)
    }
    boxes, frames = seen_boxes(truth), list(truth)

    def ids(lost_s: float) -> set[int]:
        found = followed(boxes, frames, tracker=tracker, lost_s=lost_s)
        return {number for sights in found.values() for number, _ in sights}

    assert (ids(1.0), ids(0.2)) == ({1}, {1, 2})


def by_ultralytics(detections: Detections, frames: Sequence[int]) -> Any:
    """What Ultralytics' own ByteTrack makes of the same boxes, with its settings."""
    import ultralytics
    from ultralytics.engine.results import Boxes
    from ultralytics.trackers.byte_tracker import BYTETracker

    settings = Path(ultralytics.__file__).parent / "cfg/trackers/bytetrack.yaml"
    tracker = BYTETracker(SimpleNamespace(**yaml.safe_load(settings.read_text())))
    scores = [detections.column(name)[:, None] for name in ("confidence", "class_id")]
    table = np.concatenate([detections.xyxy, *scores], axis=1).astype(np.float32)
    found = {}
    for frame in frames:
        rows = table[detections.column("frame_index") == frame]
        given = tracker.update(Boxes(rows.reshape(-1, 6), (272, 640)))
        found[frame] = [(int(row[4]), row[:4].tolist()) for row in given]
    return found


@pytest.fixture(scope="module")
def bikes(tmp_path_factory: pytest.TempPathFactory) -> Detections:
    """People's faces and bodies in every frame of a real clip of 250 frames."""
    stages = (
        "stages: [sample_frames: {every: 1}, detect_objects: "
        "{model: 'pkg:nudenet/320n.onnx', image_size: 480, min_confidence: 0.1}]"
    )
    _, tables = run_profile(tmp_path_factory.mktemp("bikes"), real_clip("bikes"), stages)
    found = tables["detections"]
    assert isinstance(found, Detections)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("step", [2, 3])
def test_track_objects_of_sampled_footage_is_no_worse_than_ultralytics_own(
    bikes: Detections, step: int
) -> None:
    """Truth is what Ultralytics makes of every frame; both get every second or third."""
    pytest.importorskip("lap", reason="Ultralytics' trackers need the package lap")
    whole, frames = by_ultralytics(bikes, range(250)), list(range(0, 250, step))
    some = bikes.take(np.flatnonzero(bikes.column("frame_index") % step == 0))
    truth = {frame: whole[frame] for frame in frames}
    assert sum(map(len, truth.values())) >= 10
    theirs = idf1(truth, by_ultralytics(some, frames))
    assert theirs > 0
    assert idf1(truth, followed(some, frames, min_confidence=0.25)) >= theirs


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
