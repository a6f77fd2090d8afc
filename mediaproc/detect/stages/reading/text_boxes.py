"""Upright boxes in which text stands, as ``(x1, y1, x2, y2)`` in pixels."""

from __future__ import annotations

from collections.abc import Sequence

from mediaproc.detect.models.text import Box

# Share of a box that others must cover for it to be known, and how far it may stick out of them,
# in its own heights.
_COVERED = 0.5
_STICKS_OUT = 1.0
# Intersection over union of two boxes at the same place.
_ALIKE = 0.7


def known(box: Box, others: Sequence[Box]) -> bool:
    """Whether a box is covered by others, and does not stick out of them sideways.

    A line to which words are added sticks out of what it was.
    """
    met = [other for other in others if meet(box, other)]
    covered = sum(_area(_common(box, other)) for other in met)
    if not met or covered < _COVERED * _area(box):
        return False
    allowed = _STICKS_OUT * (box[3] - box[1])
    left, right = min(other[0] for other in met), max(other[2] for other in met)
    return left - box[0] <= allowed and box[2] - right <= allowed


def meet(one: Box, other: Box) -> bool:
    """Whether two boxes have some area in common."""
    x1, y1, x2, y2 = _common(one, other)
    return x1 < x2 and y1 < y2


def alike(one: Box, other: Box) -> bool:
    """Whether two boxes are the same place."""
    common = _area(_common(one, other))
    return common >= _ALIKE * (_area(one) + _area(other) - common)


def holds(box: Box, other: Box) -> bool:
    """Whether the middle of ``other`` lies in a box."""
    x, y = (other[0] + other[2]) / 2, (other[1] + other[3]) / 2
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def around(boxes: Sequence[Box]) -> Box:
    """The smallest box that holds all of these."""
    x1, y1, x2, y2 = zip(*boxes, strict=True)
    return min(x1), min(y1), max(x2), max(y2)


def padded(box: Box, heights: float, least: float, size_wh: tuple[int, int]) -> Box:
    """A box with room around it, within the image: in its own heights, and at least in pixels."""
    room = max(least, heights * (box[3] - box[1]))
    x1, y1, x2, y2 = box
    width, height = size_wh
    return max(0.0, x1 - room), max(0.0, y1 - room), min(width, x2 + room), min(height, y2 + room)


def merged(boxes: Sequence[Box]) -> list[Box]:
    """Boxes of which no two meet, that hold all of these."""
    apart: list[Box] = []
    for box in boxes:
        touched = box
        while met := [other for other in apart if meet(touched, other)]:
            touched = around([touched, *met])
            apart = [other for other in apart if other not in met]
        apart.append(touched)
    return apart


def share(boxes: Sequence[Box], size_wh: tuple[int, int]) -> float:
    """The share of an image, 0..1, that boxes cover that do not meet."""
    return sum(_area(box) for box in boxes) / (size_wh[0] * size_wh[1])


def _common(one: Box, other: Box) -> Box:
    return (
        max(one[0], other[0]),
        max(one[1], other[1]),
        min(one[2], other[2]),
        min(one[3], other[3]),
    )


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])
