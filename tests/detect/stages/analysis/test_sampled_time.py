"""Sights as stretches of time: each holds until the next frame that was looked at."""

from __future__ import annotations

from typing import Any

import pytest

from mediaproc.detect.stages.analysis.sampled_time import SampledTime, Sight
from mediaproc.detect.state import Span
from tests.detect.stages.made import state


def sights(*frames: int) -> list[Sight]:
    return [Sight(frame, frame * 40, frame / 25) for frame in frames]


def stretches(
    sampled: range, seen: list[int], gap: float = 0.0, cuts: Any = (), **more: Any
) -> list[tuple[int, int]]:
    """First frame and frame after the last of each stretch, in a video of 250 frames."""
    time = SampledTime.of(state(sampled, **more))  # type: ignore[arg-type]
    found = time.stretches(sights(*seen), gap, cuts)
    for stretch in found:
        assert stretch.end_s == pytest.approx(stretch.end_frame / 25)
        assert stretch.start_s == pytest.approx(stretch.start_frame / 25)
    return [(stretch.start_frame, stretch.end_frame) for stretch in found]


@pytest.mark.parametrize(
    ("seen", "gap", "expected"),
    [
        ([], 0.0, []),
        ([0], 0.0, [(0, 10)]),
        ([240], 0.0, [(240, 250)]),  # to the end of the video
        ([30, 10, 20], 0.0, [(10, 40)]),
        ([10, 30], 0.0, [(10, 20), (30, 40)]),
        ([10, 30], 0.4, [(10, 40)]),
        ([10, 30], 0.39, [(10, 20), (30, 40)]),
        ([10, 10, 10], 0.0, [(10, 20)]),
    ],
)
def test_sampled_time_joins_sights_over_gaps_that_are_bridged(
    seen: list[int], gap: float, expected: list[tuple[int, int]]
) -> None:
    assert stretches(range(0, 250, 10), seen, gap) == expected


def test_sampled_time_ends_stretches_at_cuts() -> None:
    cuts = [(15, 0.6), (40, 1.6)]
    assert stretches(range(0, 250, 10), [0, 10, 20, 30, 40], 9.0, cuts) == [
        (0, 15),
        (20, 40),
        (40, 50),
    ]


def test_sampled_time_ends_with_the_part_that_was_looked_at() -> None:
    spans = (Span(50, 75, 2.0, 3.0), Span(200, 225, 8.0, 9.0))
    sampled = range(0, 250, 10)
    kept = [frame for frame in sampled if 50 <= frame < 75 or 200 <= frame < 225]
    assert stretches(kept, [50, 60, 70, 200], 0.0, spans=spans) == [(50, 75), (200, 210)]  # type: ignore[arg-type]


def test_sampled_time_counts_what_was_seen_without_the_gaps() -> None:
    time = SampledTime.of(state(range(0, 250, 10)))  # type: ignore[arg-type]
    (stretch,) = time.stretches(sights(10, 30), 1.0)
    assert stretch.end_s - stretch.start_s == pytest.approx(1.2)
    assert stretch.seen_s == pytest.approx(0.8)


def test_sampled_time_of_a_single_frame_lasts_to_the_end() -> None:
    assert stretches(range(1), [0], frame_count=1) == [(0, 1)]
