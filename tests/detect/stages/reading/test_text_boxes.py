"""Boxes around text."""

from __future__ import annotations

from mediaproc.detect.stages.reading.text_boxes import known, merged, padded


def test_text_boxes_knows_a_box_that_another_covers() -> None:
    assert known((10, 10, 100, 30), [(0, 5, 110, 35)])


def test_text_boxes_does_not_know_a_line_that_grew_by_a_word() -> None:
    assert not known((10, 10, 200, 30), [(10, 10, 150, 30)])


def test_text_boxes_merges_those_that_meet_only_through_a_third() -> None:
    apart: list[tuple[float, float, float, float]] = [(0, 0, 10, 10), (20, 0, 30, 10)]
    assert merged([*apart, (8, 5, 22, 8)]) == [(0, 0, 30, 10)]


def test_text_boxes_pads_within_the_image() -> None:
    assert padded((5, 5, 45, 25), 0.5, 8.0, (50, 100)) == (0, 0, 50, 35)
