"""Zones and lines as they stand in a profile, and which side of them a point is on.

A line leads from its first point to its second one. What crosses it to its left comes *in*, what
crosses it to its right goes *out*, as in supervision: over a line drawn from left to right, upwards
is in. Geometry is that of the points themselves and not of pixels, so that counts are exact.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Point = tuple[float, float]

_FORM = "'NAME: x,y x,y ...', relative to the frame (0..1) or in pixels"
_POINT = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*,\s*([+-]?\d+(?:\.\d+)?)\Z")
# A spare blank after the comma of a point does no harm.
_SPACED = re.compile(r"\s*,\s*")


class ZoneError(ValueError):
    """A zone or line that cannot be read, or that encloses nothing."""


@dataclass(frozen=True, slots=True)
class ZoneShape:
    """A polygon or a line.

    Attributes:
        name: what reports call it.
        points: corners, or the two ends of a line.
        relative: whether points are shares of the frame's width and height, else pixels.
    """

    name: str
    points: tuple[Point, ...]
    relative: bool

    def in_pixels(self, width: int, height: int) -> tuple[Point, ...]:
        """The points in pixels of a frame of that size.

        Raises:
            ZoneError: all of it lies outside of the frame, so that nothing could ever be there.
        """
        if self.relative:
            return tuple((x * width, y * height) for x, y in self.points)
        xs, ys = [x for x, _ in self.points], [y for _, y in self.points]
        if max(xs) < 0 or max(ys) < 0 or min(xs) > width or min(ys) > height:
            raise ZoneError(f"{self.name!r} lies outside of the frame, which is {width}x{height}")
        return self.points


def parse_shapes(settings: Iterable[str], *, corners: int) -> list[ZoneShape]:
    """Zones (``corners=3``, at least that many points) or lines (``corners=2``, exactly).

    Raises:
        ZoneError: one is not of the form, or it is not a shape.
    """
    found: list[ZoneShape] = []
    for setting in settings:
        name, colon, rest = setting.rpartition(":")
        name = name.strip()
        pieces = [_POINT.match(piece) for piece in _SPACED.sub(",", rest.strip()).split()]
        if not (colon and name and pieces and all(pieces)):
            raise ZoneError(f"{setting!r} is not of the form {_FORM}")
        points = tuple((float(m[1]), float(m[2])) for m in pieces if m is not None)
        _count(name, len(points), corners)
        if len(set(points)) < len(points):
            raise ZoneError(f"{name!r} has the same point twice")
        relative = all(0 <= value <= 1 for point in points for value in point)
        if not relative and any(0 < value < 1 for point in points for value in point):
            raise ZoneError(
                f"{name!r} mixes shares of the frame (0..1) with pixels; give all points in one"
            )
        if corners > 2:
            _enclose(name, points)
        found.append(ZoneShape(name, points, relative))
    return found


def _count(name: str, given: int, corners: int) -> None:
    if corners == 2 and given != 2:
        raise ZoneError(f"line {name!r} needs two points, and has {given}")
    if given < corners:
        raise ZoneError(f"area {name!r} needs three points or more, and has {given}")


def _enclose(name: str, points: Sequence[Point]) -> None:
    from shapely import MultiPoint, Polygon, is_valid_reason

    polygon = Polygon(points)
    if MultiPoint(points).convex_hull.area == 0:
        raise ZoneError(f"area {name!r} encloses nothing: its points are in a row")
    if not polygon.is_valid:
        raise ZoneError(f"area {name!r} is no plain outline: {is_valid_reason(polygon)}")


@dataclass(frozen=True, slots=True)
class Line:
    """A line between two points, in pixels.

    Attributes:
        start: first point.
        end: second point.
        margin: pixels from it within which a point is on neither side.
    """

    start: Point
    end: Point
    margin: float

    def side(self, point: Point) -> int:
        """1 to the left of the line as the viewer sees it (in), -1 to the right, 0 on it."""
        away = self._left(point)
        length = ((self.end[0] - self.start[0]) ** 2 + (self.end[1] - self.start[1]) ** 2) ** 0.5
        if abs(away) <= self.margin * length:
            return 0
        return 1 if away > 0 else -1

    def passed(self, path: Sequence[Point]) -> int:
        """How often a path goes over the line to the left, less how often to the right.

        A path beyond either end of the line passes it by.
        """
        return sum(self._step(a, b) for a, b in itertools.pairwise(path))

    def _step(self, before: Point, after: Point) -> int:
        one, other = self._left(before), self._left(after)
        # A point on the line counts as left of it, so that a touch from there is no crossing and
        # a step that ends on the line and one that begins there are not two.
        if (one >= 0) == (other >= 0):
            return 0
        share = one / (one - other)
        x = before[0] + share * (after[0] - before[0])
        y = before[1] + share * (after[1] - before[1])
        dx, dy = self.end[0] - self.start[0], self.end[1] - self.start[1]
        along = ((x - self.start[0]) * dx + (y - self.start[1]) * dy) / (dx * dx + dy * dy)
        if not 0 <= along <= 1:
            return 0
        return 1 if other >= 0 else -1

    def _left(self, point: Point) -> float:
        # Positive to the left of the direction of travel, where y grows downwards.
        return (self.end[1] - self.start[1]) * (point[0] - self.start[0]) - (
            self.end[0] - self.start[0]
        ) * (point[1] - self.start[1])
