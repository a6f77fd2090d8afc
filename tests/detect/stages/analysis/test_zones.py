"""Zones and lines: counts are those of the rendered traffic, exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mediaproc.detect.analysis import analyze
from mediaproc.detect.profile import parse_profile
from mediaproc.detect.stages.analysis.zone_shapes import Line
from mediaproc.detect.tables import Tracks
from mediaproc.errors import StageError
from tests.detect.running import run_profile
from tests.detect.stages.made import box, call, place, problems, state, true_tracks
from tests.scenes import Scene, traffic, walker
from tests.weights import SHAPES

LINE = "gate: 320,0 320,300"
AREA = "yard: 420,200 560,200 560,340 420,340"


def totals(update: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["label"]: row["values"] for row in update["totals"].records()}


def moments(update: dict[str, Any], kind: str) -> list[tuple[int, float, float]]:
    return [
        (row["track_id"], row["start_s"], row["end_s"])
        for row in update["events"].records()
        if row["kind"] == kind
    ]


def through(scene: Scene, every: int, **config: Any) -> dict[str, Any]:
    config = {"lines": [LINE], "areas": [AREA], "anchor": "center", **config}
    made = state(
        range(0, scene.frames, every),
        frame_count=scene.frames,
        size_wh=scene.size_wh,
        tracks=true_tracks(scene, every),
    )
    return call("zones", made, **config)


def one(*centres: tuple[float, float], **config: Any) -> dict[str, Any]:
    """One object of 20x20 pixels at these centres, a frame apart."""
    rows = [
        {
            **place(frame),
            "track_id": 1,
            "label": "person",
            "class_id": 0,
            "confidence": 1.0,
            **box(x - 10, y - 10, x + 10, y + 10),
        }
        for frame, (x, y) in enumerate(centres)
    ]
    made = state(range(len(rows)), frame_count=len(rows), tracks=Tracks.from_records(rows))
    return call("zones", made, **{"anchor": "center", "margin": 0.0, **config})


@pytest.mark.parametrize("every", [1, 2, 5, 12, 25])
@pytest.mark.parametrize("margin", [0.0, 0.01])
def test_zones_count_the_crossings_of_traffic_exactly(every: int, margin: float) -> None:
    update = through(traffic(), every, margin=margin)
    found = totals(update)["gate"]
    assert (found["in"], found["out"], found["objects"]) == (3, 2, 4)
    assert found["by_class"] == {
        "circle": {"in": 1, "out": 0},
        "square": {"in": 1, "out": 0},
        "star": {"in": 1, "out": 1},
        "triangle": {"in": 0, "out": 1},
    }


def test_zones_tell_each_crossing_at_the_first_frame_beyond_the_line() -> None:
    update = through(traffic(), 1, margin=0.0)
    scene, found = traffic(), []
    for row in update["events"].records():
        if row["kind"] == "crossing":
            before, after = (
                scene.shapes[row["track_id"] - 1].centre(frame / 25, scene.size_wh)[0] - 320
                for frame in (row["start_frame"] - 1, row["start_frame"])
            )
            found.append((before <= 0 < after, before >= 0 > after, row["details"]["direction"]))
    assert sorted(found) == [(False, True, "out")] * 2 + [(True, False, "in")] * 3


def test_zones_tell_their_corners_in_pixels() -> None:
    shapes = {"lines": ["gate: 0.5,0 0.5,1"], "areas": ["yard: 0,0 0.25,0 0.25,0.5"]}
    found = totals(one((100, 10), (100, 350), **shapes))
    width, height = traffic().size_wh
    assert found["gate"]["points"] == [[width / 2, 0], [width / 2, height]]
    assert found["yard"]["points"] == [[0, 0], [width / 4, 0], [width / 4, height / 2]]


@pytest.mark.parametrize("every", [1, 2, 5, 12, 25])
def test_zones_measure_stays_within_one_sampled_interval(every: int) -> None:
    update = through(traffic(), every)
    stays = moments(update, "dwell")
    truth = [(8, 1 + 60 / 140, 6 + 80 / 140), (9, 7.5, 10.5)]
    assert [track for track, _, _ in stays] == [track for track, _, _ in truth]
    for (_, start_s, end_s), (_, true_start_s, true_end_s) in zip(stays, truth, strict=True):
        assert 0 <= start_s - true_start_s < every / 25
        assert 0 <= end_s - true_end_s <= every / 25 + 1e-9
    found = totals(update)["yard"]
    assert (found["visits"], found["objects"], found["most_at_once"]) == (2, 2, 1)


def test_zones_write_an_entry_and_an_exit_for_each_stay() -> None:
    update = through(traffic(), 1)
    assert [track for track, _, _ in moments(update, "enter")] == [8, 9]
    assert [track for track, _, _ in moments(update, "leave")] == [8, 9]
    assert (totals(update)["yard"]["entered"], totals(update)["yard"]["left"]) == (2, 2)


@pytest.mark.slow
def test_zones_count_traffic_that_was_detected_and_tracked(tmp_path: Path) -> None:
    traffic().render(tmp_path / "traffic.mp4")
    stages = f"""
stages:
  - sample_frames: {{fps: 12.5}}
  - detect_objects: {{model: '{SHAPES}', image_size: 320, min_confidence: 0.3}}
  - track_objects
  - zones: {{lines: ['{LINE}'], areas: ['{AREA}'], anchor: center}}
"""
    _, tables = run_profile(tmp_path, tmp_path / "traffic.mp4", stages, more="segment: {max_s: 4}")
    found = totals(tables)
    assert (found["gate"]["in"], found["gate"]["out"]) == (3, 2)
    assert (found["yard"]["visits"], found["yard"]["most_at_once"]) == (2, 1)
    lengths = [end_s - start_s for _, start_s, end_s in moments(tables, "dwell")]
    assert lengths == pytest.approx([5.143, 3.0], abs=0.08)


# ---- lines


@pytest.mark.parametrize(
    ("centres", "counts"),
    [
        ([(100, 50), (100, 150)], (0, 1)),  # down over a line drawn from left to right
        ([(100, 150), (100, 50)], (1, 0)),
        ([(100, 50), (100, 100), (100, 50)], (0, 0)),  # touches it
        ([(100, 50), (100, 100), (100, 100), (100, 150)], (0, 1)),  # rests on it
        ([(100, 100), (100, 150)], (0, 0)),  # begins on it
        ([(100, 50), (100, 100)], (0, 0)),  # ends on it
        ([(100, 50), (300, 50), (300, 150), (100, 150)], (0, 0)),  # around its end
        ([(100, 50), (300, 50), (300, 150), (100, 150), (100, 50)], (1, 0)),  # around and back
        ([(100, 50), (100, 150), (100, 50), (100, 150)], (1, 2)),
        ([(200, 50), (200, 150)], (0, 1)),  # through its very end
        ([(201, 50), (201, 150)], (0, 0)),
        ([(190, 50), (230, 150)], (0, 0)),  # passes beyond it, though seen beside it
        ([(210, 50), (180, 150)], (0, 1)),
    ],
)
def test_zones_count_a_crossing_where_the_way_leads_over_the_line(
    centres: list[tuple[float, float]], counts: tuple[int, int]
) -> None:
    found = totals(one(*centres, lines=["gate: 0,100 200,100"]))["gate"]
    assert (found["in"], found["out"]) == counts


def test_zones_margin_keeps_a_trembling_object_from_being_counted_again() -> None:
    trembling = [(100.0, 100.0 + 3 * (-1) ** i) for i in range(20)]
    ways = [(100.0, 50.0), *trembling, (100.0, 150.0)]
    lines = ["gate: 0,100 200,100"]
    assert totals(one(*ways, lines=lines, margin=0.02))["gate"]["out"] == 1
    assert totals(one(*ways, lines=lines, margin=0.0))["gate"]["out"] > 5


def test_zones_see_a_crossing_between_two_distant_sights() -> None:
    assert totals(one((100, 10), (100, 350), lines=["g: 0,100 200,100"]))["g"]["out"] == 1


def test_zones_lines_count_like_those_of_supervision() -> None:
    import supervision as sv

    zone = sv.LineZone(sv.Point(0, 100), sv.Point(400, 100), [sv.Position.CENTER])
    random = np.random.default_rng(3)
    ways = np.cumsum(random.normal(0, 40, (60, 2)), axis=0)
    # Away from the line's ends, where both count what passes; never exactly on it.
    centres = [(200 + 100 * float(np.tanh(x / 100)), 100.5 + float(y)) for x, y in ways]
    for x, y in centres:
        zone.trigger(
            sv.Detections(
                xyxy=np.array([[x - 10, y - 10, x + 10, y + 10]]), tracker_id=np.array([1])
            )
        )
    found = totals(one(*centres, lines=["gate: 0,100 400,100"]))["gate"]
    assert (found["in"], found["out"]) == (zone.in_count, zone.out_count)
    assert zone.in_count > 2


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=2, max_size=12),
    st.tuples(st.integers(0, 40), st.integers(0, 40)),
)
def test_zone_shapes_a_closed_way_passes_a_closed_outline_evenly(
    way: list[tuple[float, float]], corner: tuple[float, float]
) -> None:
    x, y = corner
    # Off the grid of the way, so that none goes through a corner.
    corners = [(x - 7.31, y - 5.17), (x + 6.43, y - 4.91), (x + 5.77, y + 8.29)]
    edges = zip(corners, corners[1:] + corners[:1], strict=True)
    closed = [*way, way[0]]
    assert sum(Line(a, b, 0.0).passed(closed) for a, b in edges) == 0


# ---- areas


def test_zones_area_holds_its_edge_and_nothing_beyond() -> None:
    inside = one((100, 100), (150, 100), areas=["a: 100,50 150,50 150,100 100,100"])
    beyond = one((99.99, 75), (125, 100.01), areas=["a: 100,50 150,50 150,100 100,100"])
    assert (totals(inside)["a"]["visits"], totals(beyond)["a"]["visits"]) == (1, 0)


def test_zones_an_area_may_be_hollowed() -> None:
    horseshoe = "u: 100,100 200,100 200,200 170,200 170,130 130,130 130,200 100,200"
    found = one((150, 180), (115, 180), (150, 115), (150, 180), areas=[horseshoe], max_gap_s=0.0)
    assert [(s, e) for _, s, e in moments(found, "dwell")] == [(0.04, 0.12)]


@pytest.mark.parametrize(("max_gap_s", "visits"), [(0.0, 2), (0.04, 2), (0.08, 1)])
def test_zones_short_absence_is_part_of_a_stay(max_gap_s: float, visits: int) -> None:
    centres = [(120.0, 75.0)] * 3 + [(300.0, 75.0)] * 2 + [(120.0, 75.0)] * 3
    found = one(*centres, areas=["a: 100,50 150,50 150,100 100,100"], max_gap_s=max_gap_s)
    assert totals(found)["a"]["visits"] == visits


def test_zones_object_that_was_unseen_for_a_while_did_not_leave() -> None:
    rows = [
        {
            **place(frame),
            "track_id": 4,
            "label": "person",
            "class_id": 0,
            "confidence": 1.0,
            **box(110, 60, 130, 80),
        }
        for frame in (0, 1, 60, 61)
    ]
    made = state(range(100), frame_count=100, tracks=Tracks.from_records(rows))
    found = call("zones", made, areas=["a: 100,50 150,50 150,100 100,100"])
    assert moments(found, "dwell") == [(4, 0.0, 2.48)]
    assert totals(found)["a"]["left"] == 0


def test_zones_count_how_many_are_there_at_once() -> None:
    scene = Scene(
        100,
        shapes=[
            walker("square", 0, (start, 100, 100), (end, 100, 100))
            for start, end in [(0.0, 1.0), (0.4, 2.0), (0.8, 1.2), (2.04, 3.0)]
        ],
    )
    found = through(scene, 1, areas=["a: 50,50 150,50 150,150 50,150"], lines=[])
    assert totals(found)["a"]["most_at_once"] == 3


@pytest.mark.parametrize(("least_s", "visits"), [(0.0, 2), (4.0, 1), (6.0, 0)])
def test_zones_min_dwell_leaves_out_shorter_stays(least_s: float, visits: int) -> None:
    update = through(traffic(), 1, min_dwell_s=least_s)
    assert totals(update)["yard"]["visits"] == visits
    assert len(moments(update, "enter")) == visits


def test_zones_labels_narrow_what_counts() -> None:
    found = totals(through(traffic(), 1, labels=["square"]))
    assert (found["gate"]["in"], found["gate"]["out"], found["yard"]["visits"]) == (1, 0, 1)


@pytest.mark.parametrize(("anchor", "crossed"), [("bottom", 1), ("center", 0), ("top", 0)])
def test_zones_anchor_says_which_point_of_a_box_counts(anchor: str, crossed: int) -> None:
    found = one((100, 80), (100, 95), lines=["g: 0,100 200,100"], anchor=anchor)
    assert totals(found)["g"]["out"] == crossed


# ---- settings


@pytest.mark.parametrize("size_wh", [(3840, 2160), (360, 640), (641, 359)])
def test_zones_relative_shapes_fit_every_size(size_wh: tuple[int, int]) -> None:
    width, height = size_wh
    way = ((0.0, 0.1 * width, 0.5 * height), (2.0, 0.9 * width, 0.5 * height))
    scene = Scene(60, size_wh=size_wh, shapes=[walker("square", 0, *way)])
    found = totals(
        through(
            scene, 1, lines=["gate: 0.5,0 0.5,1"], areas=["half: 0.5,0.25 1,0.25 1,0.75 0.5,0.75"]
        )
    )
    assert (found["gate"]["in"], found["gate"]["out"], found["half"]["visits"]) == (1, 0, 1)


@pytest.mark.parametrize("frames", [0, 1])
def test_zones_of_no_tracks_are_counted_as_zero(frames: int) -> None:
    made = state(range(frames), frame_count=1, tracks=Tracks.empty())
    update = call("zones", made, lines=[LINE], areas=[AREA])
    assert len(update["events"]) == 0
    assert [row["values"]["objects"] for row in update["totals"].records()] == [0, 0]


def test_zones_of_a_single_frame_hold_who_is_there() -> None:
    update = one((120, 75), areas=["a: 100,50 150,50 150,100 100,100"], lines=["g: 0,0 9,9"])
    assert moments(update, "dwell") == [(1, 0.0, 0.04)]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "lines: give at least one line or one of areas"),
        ({"lines": ["gate 0,0 1,1"]}, "lines: 'gate 0,0 1,1' is not of the form 'NAME: x,y x,y"),
        ({"lines": ["gate: 0,0 1;1"]}, "is not of the form"),
        ({"lines": ["gate: 0,0 1,1 0,1"]}, "lines: line 'gate' needs two points, and has 3"),
        ({"lines": ["gate: 5,5 5,5"]}, "lines: 'gate' has the same point twice"),
        ({"areas": ["a: 0,0 1,1"]}, "areas: area 'a' needs three points or more, and has 2"),
        ({"areas": ["a: 0,0 0.5,0.5 1,1"]}, "'a' encloses nothing: its points are in a row"),
        ({"areas": ["a: 0,0 1,1 1,0 0,1"]}, "'a' is no plain outline: Self-intersection"),
        (
            {"areas": ["a: 0.1,0.5 300,20 40,80"]},
            "'a' mixes shares of the frame (0..1) with pixels",
        ),
        ({"areas": ["g: 0,0 1,0 1,1"], "lines": ["g: 0,0 1,1"]}, "the name 'g' is given twice"),
    ],
)
def test_zones_settings_that_make_no_shape_are_told(config: dict[str, Any], message: str) -> None:
    assert message in "\n".join(problems("zones", **config))


def test_zones_tell_of_every_shape_that_is_none() -> None:
    assert len(problems("zones", lines=["a", "b: 0,0", "c: 0,0 1,1"], areas=["d: 0,0 1,1"])) == 3


def test_zones_outside_of_the_frame_are_an_error_that_names_its_size() -> None:
    with pytest.raises(StageError, match=r"zones: 'far' lies outside of the frame, .* 640x360"):
        one((1, 1), lines=["far: 700,5 900,5"])


def test_zones_are_refused_detections() -> None:
    profile = parse_profile(
        "version: 1\nname: t\nstages:\n  - sample_frames\n  - detect_objects: {model: "
        "'pkg:nudenet/320n.onnx'}\n  - zones: {lines: ['g: 0,0 1,1']}\n"
    )
    (problem,) = analyze(profile).problems
    assert "reads 'tracks', which no earlier stage writes" in problem.message
    assert "track_objects" in problem.message


def test_zones_unquoted_line_is_told_apart_from_a_mapping() -> None:
    profile = parse_profile(
        "version: 1\nname: t\nstages:\n  - sample_frames\n  - detect_objects: {model: "
        "'pkg:nudenet/320n.onnx'}\n  - track_objects\n  - zones:\n      lines:\n"
        "        - gate: 0,0 1,1\n"
    )
    (problem,) = analyze(profile).problems
    assert "put quotes around the line" in problem.message
    assert problem.line == 8
