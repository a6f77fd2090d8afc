"""What is laid over which frame, decided for the whole video."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mediaproc.detect.products import Overlays
from mediaproc.detect.stages.base import get_stage
from mediaproc.detect.stages.rendering.overlay_spans import Sights, Timeline, beyond, follow
from mediaproc.detect.stages.rendering.plan_overlays import plan_overlays
from mediaproc.detect.state import Frames
from mediaproc.detect.tables import Detections, Events, Texts, Totals, Tracks
from mediaproc.media import FrameIndex

# 4 s at 25 frames a second.
INDEX = FrameIndex(
    np.arange(100) * 512, np.arange(100) % 25 == 0, np.arange(100) * 512, Fraction(1, 12800), 512
)
MEDIA: Any = SimpleNamespace(index=INDEX)


def sights(*found: tuple[int, int, float], label: str = "car") -> Tracks:
    """Tracks of (number, frame, left edge) of boxes of 10 pixels."""
    return Tracks.from_records(
        {
            "node": "t",
            "frame_index": frame,
            "pts": 512 * frame,
            "time_s": frame / 25,
            "track_id": number,
            "label": label,
            "class_id": 0,
            "confidence": 0.9,
            "x1": left,
            "y1": 0.0,
            "x2": left + 10,
            "y2": 10.0,
        }
        for number, frame, left in found
    )


def detections(*found: tuple[str, int, float]) -> Detections:
    """(label, frame, left edge) of boxes of 10 pixels."""
    return Detections.from_records(
        {
            "node": "d",
            "frame_index": frame,
            "pts": 512 * frame,
            "time_s": frame / 25,
            "label": label,
            "class_id": 0,
            "confidence": 0.9,
            "x1": left,
            "y1": 0.0,
            "x2": left + 10,
            "y2": 10.0,
            "polygon": None,
            "keypoints": None,
        }
        for label, frame, left in found
    )


def looked_at(*frames: int) -> Frames:
    indexes = np.array(frames, dtype=np.int64)
    media: Any = None
    return Frames(indexes, indexes * 512, indexes / 25, (64, 48), (64, 48), media)


def planned(config: dict[str, Any] | None = None, **channels: Any) -> list[dict[str, Any]]:
    filled = get_stage("plan_overlays").filled_config(config or {})
    state: Any = channels
    table: Overlays = plan_overlays(state, config=filled, media=MEDIA)["overlays"]
    return table.records()


def spans(rows: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    return [(row["label"], row["start_frame"], row["end_frame"]) for row in rows]


def test_plan_overlays_leads_each_track_from_sight_to_sight() -> None:
    tracks = sights((1, 0, 0.0), (2, 0, 50.0), (1, 10, 20.0), (2, 5, 60.0), (1, 20, 0.0))
    rows = planned(tracks=tracks, frames=looked_at(0, 5, 10, 20, 30))
    assert spans(rows) == [
        ("car 1", 0, 10),
        ("car 1", 10, 20),
        ("car 1", 20, 30),
        ("car 2", 0, 5),
        ("car 2", 5, 10),
    ]
    assert [(row["x1"], row["to_x1"]) for row in rows[:3]] == [(0, 20), (20, 0), (0, 0)]


def test_plan_overlays_draws_what_belongs_to_a_track_once() -> None:
    rows = planned(tracks=sights((1, 0, 0.0)), detections=detections(("car", 0, 0), ("dog", 0, 40)))
    assert [row["label"] for row in rows] == ["dog 0.90", "car 1"]


def test_plan_overlays_without_tracks_shown_draws_every_detection() -> None:
    found = {"tracks": sights((1, 0, 0.0)), "detections": detections(("car", 0, 0))}
    assert [row["label"] for row in planned({"show": ["detections"]}, **found)] == ["car 0.90"]


def test_plan_overlays_holds_a_sight_no_longer_than_it_is_told() -> None:
    rows = planned({"hold_s": 0.2}, detections=detections(("car", 10, 0)), frames=looked_at(10, 90))
    assert spans(rows) == [("car 0.90", 10, 16)]


def test_plan_overlays_colours_classes_alike_and_tracks_apart() -> None:
    tracks = Tracks.concat([sights((1, 0, 0.0), (2, 0, 20.0)), sights((3, 0, 40.0), label="dog")])
    by_class = [row["colour"] for row in planned({"colours": "class"}, tracks=tracks)]
    by_track = [row["colour"] for row in planned({"colours": "track"}, tracks=tracks)]
    assert by_class[0] == by_class[1] != by_class[2]
    assert len(set(by_track)) == 3


def test_plan_overlays_outlines_texts_and_shortens_long_ones() -> None:
    texts = Texts.from_records(
        [
            {
                "node": "x",
                "frame_index": 5,
                "pts": 2560,
                "time_s": 0.2,
                "text": "a" * 100,
                "confidence": 0.9,
                "x1": 1.0,
                "y1": 2.0,
                "x2": 30.0,
                "y2": 9.0,
                "quad": [[1, 2], [30, 2], [30, 9], [1, 9]],
            }
        ]
    )
    [row] = planned(texts=texts, frames=looked_at(5, 15))
    assert (row["kind"], row["start_frame"], row["end_frame"]) == ("outline", 5, 15)
    assert (row["points"], len(row["label"])) == ([[1, 2], [30, 2], [30, 9], [1, 9]], 60)


@pytest.mark.parametrize(("kinds", "shown"), [(["flag"], ["flag: gun"]), (["dwell"], [])])
def test_plan_overlays_names_events_of_the_kinds_that_are_asked_for(
    kinds: list[str], shown: list[str]
) -> None:
    events = Events.from_records(
        [
            {
                "node": "m",
                "kind": "flag",
                "label": "gun",
                "pts": 0,
                "start_frame": 3,
                "end_frame": 9,
                "start_s": 0.12,
                "end_s": 0.36,
                "score": 0.9,
                "track_id": 0,
                "details": {},
            }
        ]
    )
    rows = planned({"events": kinds}, events=events)
    assert spans(rows) == [(name, 3, 9) for name in shown]


def test_plan_overlays_draws_zones_whose_corners_are_told() -> None:
    corners = [[0.0, 0.0], [40.0, 0.0], [40.0, 30.0]]
    totals = Totals.from_records(
        {"node": "z", "topic": "area", "label": label, "values": values}
        for label, values in {
            "yard": {"visits": 3, "points": corners},
            "all": {"visits": 3},
        }.items()
    )
    [row] = planned(totals=totals)
    assert (row["label"], row["points"]) == ("yard", corners)
    assert (row["start_frame"], row["end_frame"]) == (0, 100)


def test_follow_keeps_tracks_of_two_nodes_apart() -> None:
    one, other = sights((1, 0, 0.0)), sights((1, 10, 50.0))
    both = Tracks.concat([one, Tracks({**other._data, "node": ["u"]})])  # type: ignore[dict-item]
    places = follow(Sights.of(both))
    assert places["end_frame"].tolist() == [1, 11]


def test_beyond_reaches_where_the_track_was_going() -> None:
    found = Sights.of(sights((1, 50, 0.0), (1, 55, 5.0)))
    ahead, behind = beyond(found, Timeline(MEDIA), 0.4)
    # 25 pixels a second: 10 pixels further in 0.4 s.
    assert (ahead["start_frame"].tolist(), ahead["end_frame"].tolist()) == ([40], [50])
    assert (*ahead["x1"], *ahead["x2"]) == pytest.approx((-10.0, 10.0))
    assert (behind["start_frame"].tolist(), behind["end_frame"].tolist()) == ([56], [66])
    assert (*behind["to_x1"], *behind["to_x2"]) == pytest.approx((5.0, 25.0))


def test_beyond_a_single_sight_stays_in_its_place() -> None:
    ahead, behind = beyond(Sights.of(sights((1, 50, 5.0))), Timeline(MEDIA), 0.4)
    assert (ahead["x1"].tolist(), behind["to_x2"].tolist()) == ([5.0], [15.0])


def test_timeline_knows_the_frame_on_screen_at_a_time() -> None:
    timeline = Timeline(MEDIA)
    assert timeline.between(0.05, 0.05) == (1, 2)
    assert timeline.between(0.0, 4.0) == (0, 100)
