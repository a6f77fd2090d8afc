"""Exposure: on rendered footage whose captions are known, and the arithmetic by itself."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mediaproc.detect.analysis import analyze
from mediaproc.detect.profile import parse_profile
from mediaproc.detect.stages.analysis.measure_exposure import _covered
from mediaproc.detect.tables import Detections, Matches, Shots
from tests.detect.running import run_profile
from tests.detect.stages.made import box, call, place, problems, state
from tests.scenes import Caption, Scene

BRANDS = ("Acme Cola", "Nordwind", "Globex")


def match(frame: int, label: str = "Acme", xyxy: Any = (0, 0, 64, 36), **columns: Any) -> Any:
    row = {
        **place(frame),
        "label": label,
        "alias": label,
        "text": label,
        "source": "texts",
        "score": 1.0,
        "confidence": 1.0,
        **box(*xyxy),
    }
    return {**row, **columns}


def measured(*rows: Any, sampled: range = range(0, 250, 5), **config: Any) -> dict[str, Any]:
    tables = {key: config.pop(key) for key in ("shots", "detections") if key in config}
    made = state(sampled, matches=Matches.from_records(rows), **tables)
    return call("measure_exposure", made, **config)


def rows_of(update: dict[str, Any]) -> list[tuple[str, float, float]]:
    return [(r["label"], r["start_s"], r["end_s"]) for r in update["exposure"].records()]


def values(update: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = update["totals"].records()[0]["values"]
    return found


def advertising() -> Scene:
    """12 s in which three brands come and go, among captions that name none."""
    return Scene(
        300,
        captions=[
            Caption("DRINK ACME COLA NOW", 16, 68, (60, 290)),
            Caption("Coming up: the weather", 30, 110, (60, 30), 24),
            Caption("Powered by Nordwind", 80, 145, (200, 200), 28),
            Caption("Acme Cola Zero", 165, 205, (300, 120)),
            Caption("GLOBEX", 220, 300, (230, 160), 52),
            Caption("Global news of today", 150, 215, (40, 300), 24),
            Caption("cold wind from the north", 225, 280, (120, 300), 24),
        ],
        cuts=[62, 152, 210],
        seed=5,
    )


def truth(scene: Scene, label: str) -> list[tuple[float, float]]:
    return [
        (caption.start_frame / 25, caption.end_frame / 25)
        for caption in scene.captions
        if label.casefold() in caption.text.casefold()
    ]


@pytest.mark.slow
def test_measure_exposure_meets_the_truth_within_one_sampled_interval(tmp_path: Path) -> None:
    scene = advertising().render(tmp_path / "scene.mp4")
    terms = '[Acme Cola, Nordwind, Globex, Initech, "Fed = Go, CO"]'
    stages = (
        "stages: [sample_frames: {fps: 2}, detect_text, "
        f"match_text: {{terms: {terms}}}, measure_exposure]"
    )
    _, tables = run_profile(tmp_path, tmp_path / "scene.mp4", stages, more="segment: {max_s: 6}")
    found = rows_of(tables)
    assert {label for label, _, _ in found} == set(BRANDS), "none missed, none invented"
    for label in BRANDS:
        mine = [(start_s, end_s) for other, start_s, end_s in found if other == label]
        assert len(mine) == len(truth(scene, label))
        for (start_s, end_s), (true_start_s, true_end_s) in zip(
            mine, truth(scene, label), strict=True
        ):
            assert 0 <= start_s - true_start_s <= 0.5
            assert 0 <= end_s - true_end_s <= 0.5
    for row in tables["totals"].records():
        true_s = sum(end_s - start_s for start_s, end_s in truth(scene, row["label"]))
        assert abs(row["values"]["seconds"] - true_s) <= 0.5 * row["values"]["stretches"]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 249), st.integers(1, 250), st.integers(1, 60))
def test_measure_exposure_of_any_stretch_is_right_within_one_sampled_interval(
    start: int, length: int, every: int
) -> None:
    end = min(250, start + length)
    sampled = range(0, 250, every)
    seen = [match(frame) for frame in sampled if start <= frame < end]
    found = rows_of(measured(*seen, sampled=sampled))
    if not found:
        assert end - start < every, "only what falls between two samples is missed"
        return
    ((_, start_s, end_s),) = found
    assert 0 <= start_s - start / 25 < every / 25
    assert 0 <= end_s - end / 25 < every / 25


def test_measure_exposure_sums_up_each_label() -> None:
    seen = [match(f) for f in (0, 5, 10, 100)] + [match(5, "Other")]
    update = measured(*seen)
    assert rows_of(update) == [("Acme", 0.0, 0.6), ("Other", 0.2, 0.4), ("Acme", 4.0, 4.2)]
    assert [row["label"] for row in update["totals"].records()] == ["Acme", "Other"]
    assert values(update) == {
        "seconds": 0.8,
        "seen_s": 0.8,
        "share_of_time": 0.08,
        "stretches": 2,
        "sights": 4,
        "mean_area_share": 0.01,
        "mean_prominence": 0.11,
        "prominent_s": 0.088,
        "longest_s": 0.6,
    }


def test_measure_exposure_time_of_bridged_gaps_is_on_screen_and_not_seen() -> None:
    found = values(measured(match(0), match(20), max_gap_s=1.0))
    assert (found["seconds"], found["seen_s"], found["stretches"]) == (1.0, 0.4, 1)


@pytest.mark.parametrize(
    ("xyxy", "confidence", "prominence"),
    [
        ((160, 90, 480, 270), 1.0, 1.0),  # a quarter of the frame, in its middle
        ((160, 90, 480, 270), 0.5, 0.5),
        ((0, 0, 640, 360), 1.0, 1.0),
        ((240, 135, 400, 225), 1.0, 0.5),  # half as wide
        ((0, 0, 320, 180), 1.0, 0.75),  # a quarter, half way out
        ((320, 180, 320, 180), 1.0, 0.0),
    ],
)
def test_measure_exposure_prominence_is_size_times_centrality_times_confidence(
    xyxy: Any, confidence: float, prominence: float
) -> None:
    update = measured(match(0, xyxy=xyxy, confidence=confidence))
    (row,) = update["exposure"].records()
    assert row["prominence"] == pytest.approx(prominence)


def test_measure_exposure_share_is_that_of_the_boxes_together() -> None:
    boxes = [(0, 0, 320, 180), (160, 90, 480, 270), (600, 300, 900, 900)]
    (row,) = measured(*(match(0, xyxy=xyxy) for xyxy in boxes))["exposure"].records()
    union = 2 * 320 * 180 - 160 * 90 + 40 * 60  # the last one inside the frame
    assert row["area_share"] == pytest.approx(union / (640 * 360))
    assert row["sights"] == 1


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(*[st.integers(0, 12)] * 4).map(
            lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3]))
        ),
        max_size=6,
    )
)
def test_measure_exposure_covered_area_is_the_number_of_covered_cells(boxes: Any) -> None:
    cells = {(x, y) for x1, y1, x2, y2 in boxes for x in range(x1, x2) for y in range(y1, y2)}
    assert math.isclose(_covered(boxes), len(cells))


def test_measure_exposure_ends_at_cuts_only_where_asked() -> None:
    shots = Shots.from_records(
        {
            "node": "s",
            "shot": number,
            "pts": start * 40,
            "start_frame": start,
            "end_frame": end,
            "start_s": start / 25,
            "end_s": end / 25,
            "transition": "cut",
        }
        for number, (start, end) in enumerate([(0, 12), (12, 250)])
    )
    seen = [match(frame) for frame in range(0, 25, 5)]
    assert rows_of(measured(*seen)) == [("Acme", 0.0, 1.0)]
    update = measured(*seen, shots=shots, split_at_cuts=True)
    assert rows_of(update) == [("Acme", 0.0, 0.48), ("Acme", 0.6, 1.0)]


def test_measure_exposure_of_classes_and_brands_counts_equal_labels_as_one() -> None:
    logo = {
        **place(5),
        "label": "Acme",
        "class_id": 0,
        "confidence": 0.5,
        **box(0, 0, 64, 36),
        "polygon": None,
        "keypoints": None,
    }
    update = measured(
        match(0), detections=Detections.from_records([logo]), of=["matches", "detections"]
    )
    assert rows_of(update) == [("Acme", 0.0, 0.4)]


def test_measure_exposure_leaves_out_what_was_only_said() -> None:
    assert rows_of(measured(match(0, source="transcript"))) == []


def test_measure_exposure_thresholds_drop_weak_sights_and_short_stretches() -> None:
    weak = match(0, confidence=0.9, score=0.5)
    assert rows_of(measured(weak, min_confidence=0.45)) == [("Acme", 0.0, 0.2)]
    assert rows_of(measured(weak, min_confidence=0.46)) == []
    assert rows_of(measured(weak, min_s=0.2)) == [("Acme", 0.0, 0.2)]
    assert rows_of(measured(weak, min_s=0.21)) == []
    assert rows_of(measured(match(0), match(0, "Other"), labels=["Other"])) == [("Other", 0.0, 0.2)]


@pytest.mark.parametrize("sampled", [range(0), range(1), range(0, 250, 5)])
def test_measure_exposure_without_sights_is_two_empty_tables(sampled: range) -> None:
    update = measured(sampled=sampled)
    assert (len(update["exposure"]), len(update["totals"])) == (0, 0)


@pytest.mark.parametrize("size_wh", [(3840, 2160), (720, 1280), (321, 241)])
def test_measure_exposure_shares_do_not_hang_on_the_size_of_the_frame(
    size_wh: tuple[int, int],
) -> None:
    width, height = size_wh
    xyxy = (width * 0.25, height * 0.25, width * 0.75, height * 0.75)
    made = state([0], size_wh=size_wh, matches=Matches.from_records([match(0, xyxy=xyxy)]))
    (row,) = call("measure_exposure", made)["exposure"].records()
    assert (row["area_share"], row["prominence"]) == pytest.approx((0.25, 1.0))


def test_measure_exposure_of_nothing_is_told() -> None:
    assert problems("measure_exposure", of=[]) == [
        "of: name at least one of matches, tracks, detections"
    ]


STAGES = (
    "version: 1\nname: t\nstages:\n  - sample_frames\n  - detect_text\n"
    "  - match_text: {terms: [A]}\n"
)


@pytest.mark.parametrize(
    ("config", "missing"), [("of: [tracks]", "'tracks'"), ("split_at_cuts: true", "'shots'")]
)
def test_measure_exposure_needs_what_its_settings_name(config: str, missing: str) -> None:
    profile = parse_profile(f"{STAGES}  - measure_exposure: {{{config}}}\n")
    (problem,) = analyze(profile).problems
    assert f"reads {missing}, which no earlier stage writes" in problem.message


def test_measure_exposure_does_not_read_what_its_settings_leave_out() -> None:
    profile = parse_profile(
        f"{STAGES}  - detect_shots\n  - detect_objects: {{model: 'pkg:nudenet/320n.onnx'}}\n"
        "  - measure_exposure\n"
    )
    plan = analyze(profile).plan
    assert plan is not None
    assert sorted(plan.node("measure_exposure").inputs) == ["frames", "matches"]
