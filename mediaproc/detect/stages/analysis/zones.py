"""``zones``: who crosses a line, which way, and who stays in an area for how long.

Where an object is, is one point of its box: the middle of its lower edge, where feet and wheels
are, unless ``anchor`` says otherwise. Between two sights it is taken to have gone straight, so that
no crossing is missed at a low sampling rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.detect.stages.analysis.sampled_time import SAME_S, SampledTime
from mediaproc.detect.stages.analysis.zone_shapes import (
    Line,
    Point,
    ZoneError,
    ZoneShape,
    parse_shapes,
)
from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO
from mediaproc.detect.stages.channels import EVENTS, TOTALS, tables_serializers
from mediaproc.detect.state import DetectState, Video
from mediaproc.detect.tables import Events, Totals, Tracks
from mediaproc.errors import StageError

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Path:
    """The sights of one track, in order.

    Attributes:
        track_id: its number.
        label: its class.
        frames: index of each sight's frame.
        pts: presentation time stamp of each.
        times: seconds of each.
        points: where the object is, shape (N, 2), float64, pixels.
    """

    track_id: int
    label: str
    frames: list[int]
    pts: list[int]
    times: list[float]
    points: npt.NDArray[np.float64]


def zones(state: DetectState, *, config: dict[str, Any]) -> dict[str, Any]:
    """Follow every track over the lines and through the areas."""
    time, video = SampledTime.of(state), state["video"]
    paths = list(_paths(state["tracks"], config))
    events: list[Row] = []
    totals: list[Row] = []
    try:
        for shape in parse_shapes(config["lines"], corners=2):
            found = _crossings(shape, paths, time, video, config["margin"])
            events += found
            totals.append(_with_points(_line_total(shape.name, found), shape, video))
        for shape in parse_shapes(config["areas"], corners=3):
            stays = _stays(shape, paths, time, video, config)
            events += [event for stay in stays for event in _stay_events(shape.name, stay, time)]
            totals.append(_with_points(_area_total(shape.name, stays), shape, video))
    except ZoneError as error:
        raise StageError(f"zones: {error}") from error
    events.sort(key=lambda event: (event["start_frame"], event["track_id"]))
    return {"events": Events.from_records(events), "totals": Totals.from_records(totals)}


def _with_points(total: Row, shape: ZoneShape, video: Video) -> Row:
    """A total that tells where it was counted, so that it can be drawn."""
    points = [list(point) for point in shape.in_pixels(video.width, video.height)]
    return {**total, "values": {**total["values"], "points": points}}


def check(config: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """What is wrong with the shapes."""
    if not config["lines"] and not config["areas"]:
        yield "lines", "give at least one line or one of areas"
    names: set[str] = set()
    for field, corners in (("lines", 2), ("areas", 3)):
        for setting in config[field]:
            try:
                (shape,) = parse_shapes([setting], corners=corners)
            except ZoneError as error:
                yield field, str(error)
                continue
            if shape.name in names:
                yield field, f"the name {shape.name!r} is given twice"
            names.add(shape.name)


def _paths(tracks: Tracks, config: dict[str, Any]) -> Iterator[Path]:
    labels = tracks.column("label")
    wanted = set(config["labels"])
    rows_of: dict[tuple[str, int], list[int]] = {}
    numbers = zip(tracks.column("node"), tracks.column("track_id").tolist(), strict=True)
    for row, track in enumerate(numbers):
        if not wanted or labels[row] in wanted:
            rows_of.setdefault(track, []).append(row)
    points = _anchors(tracks.xyxy, config["anchor"])
    for (_, number), rows in sorted(rows_of.items()):
        frames, pts, times = (
            tracks.column(name)[rows].tolist() for name in ("frame_index", "pts", "time_s")
        )
        yield Path(number, labels[rows[0]], frames, pts, times, points[rows])


def _anchors(xyxy: npt.NDArray[np.float64], anchor: str) -> npt.NDArray[np.float64]:
    x1, y1, x2, y2 = xyxy.T
    y = {"bottom": y2, "center": (y1 + y2) / 2, "top": y1}[anchor]
    return np.stack([(x1 + x2) / 2, y], axis=1)


# ---- lines


def _crossings(
    shape: ZoneShape, paths: list[Path], time: SampledTime, video: Video, margin: float
) -> list[Row]:
    start, end = shape.in_pixels(video.width, video.height)
    line = Line(start, end, margin * min(video.width, video.height))
    events = []
    for path in paths:
        side, since = 0, 0
        points: list[Point] = [(x, y) for x, y in path.points.tolist()]
        for i, point in enumerate(points):
            now = line.side(point)
            if now == 0:
                continue
            # Where it came over the line between two sides it was seen on, and not around it.
            if side not in (0, now) and line.passed(points[since : i + 1]) * now > 0:
                events.append(_event("crossing", shape.name, path, i, time.end_of(path.frames[i])))
                events[-1]["details"]["direction"] = "in" if now > 0 else "out"
                events[-1]["details"]["seen_before_s"] = path.times[since]
            side, since = now, i
    return events


def _line_total(name: str, events: list[Row]) -> Row:
    counts: dict[str, dict[str, int]] = {}
    for event in events:
        counts.setdefault(event["details"]["object"], {"in": 0, "out": 0})[
            event["details"]["direction"]
        ] += 1
    values = {
        "in": sum(count["in"] for count in counts.values()),
        "out": sum(count["out"] for count in counts.values()),
        "objects": len({event["track_id"] for event in events}),
        "by_class": dict(sorted(counts.items())),
    }
    return {"node": "", "topic": "line", "label": name, "values": values}


# ---- areas


@dataclass(slots=True)
class Stay:
    """One stay of one object in an area.

    Attributes:
        path: of the object.
        first: its first sight inside.
        last: its last sight inside.
        end: frame and time at which the stay ends: where the next frame was looked at.
    """

    path: Path
    first: int
    last: int
    end: tuple[int, float]

    @property
    def start_s(self) -> float:
        """When it begins."""
        return self.path.times[self.first]

    @property
    def lasts_s(self) -> float:
        """How long it is, seconds."""
        return self.end[1] - self.start_s

    @property
    def entered(self) -> bool:
        """Whether the object was seen outside before."""
        return self.first > 0

    @property
    def left(self) -> bool:
        """Whether the object was seen outside afterwards."""
        return self.last + 1 < len(self.path.frames)


def _stays(
    shape: ZoneShape, paths: list[Path], time: SampledTime, video: Video, config: dict[str, Any]
) -> list[Stay]:
    import shapely

    area = shapely.Polygon(shape.in_pixels(video.width, video.height))
    shapely.prepare(area)
    stays: list[Stay] = []
    for path in paths:
        mine: list[Stay] = []
        inside = shapely.intersects_xy(area, path.points[:, 0], path.points[:, 1])
        for i in np.flatnonzero(inside).tolist():
            end = time.end_of(path.frames[i])
            last = mine[-1] if mine else None
            # Where it was not seen in between, it did not leave.
            if last is not None and (
                last.last == i - 1 or path.times[i] - last.end[1] <= config["max_gap_s"] + SAME_S
            ):
                last.last, last.end = i, end
            else:
                mine.append(Stay(path, i, i, end))
        stays += [stay for stay in mine if stay.lasts_s >= config["min_dwell_s"] - SAME_S]
    return sorted(stays, key=lambda stay: (stay.start_s, stay.path.track_id))


def _stay_events(name: str, stay: Stay, time: SampledTime) -> Iterator[Row]:
    path = stay.path
    if stay.entered:
        yield _event("enter", name, path, stay.first, time.end_of(path.frames[stay.first]))
    dwell = _event("dwell", name, path, stay.first, stay.end)
    dwell["details"] |= {"entered": stay.entered, "left": stay.left}
    yield dwell
    if stay.left:
        after = stay.last + 1
        yield _event("leave", name, path, after, time.end_of(path.frames[after]))


def _area_total(name: str, stays: list[Stay]) -> Row:
    lengths = [stay.lasts_s for stay in stays]
    counts: dict[str, int] = {}
    for stay in stays:
        counts[stay.path.label] = counts.get(stay.path.label, 0) + 1
    # Who leaves at a moment goes before who comes.
    moves = sorted(
        [(stay.start_s, 1) for stay in stays] + [(stay.end[1], -1) for stay in stays],
    )
    there = most = 0
    for _, step in moves:
        there += step
        most = max(most, there)
    values = {
        "visits": len(stays),
        "objects": len({stay.path.track_id for stay in stays}),
        "entered": sum(stay.entered for stay in stays),
        "left": sum(stay.left for stay in stays),
        "most_at_once": most,
        "dwell_s": round(sum(lengths), 3),
        "mean_dwell_s": round(sum(lengths) / len(lengths), 3) if lengths else 0.0,
        "longest_dwell_s": round(max(lengths, default=0.0), 3),
        "by_class": dict(sorted(counts.items())),
    }
    return {"node": "", "topic": "area", "label": name, "values": values}


def _event(kind: str, name: str, path: Path, sight: int, end: tuple[int, float]) -> Row:
    x, y = path.points[sight].tolist()
    return {
        "node": "",
        "kind": kind,
        "label": name,
        "pts": path.pts[sight],
        "start_frame": path.frames[sight],
        "end_frame": end[0],
        "start_s": path.times[sight],
        "end_s": end[1],
        "score": 1.0,
        "track_id": path.track_id,
        "details": {"object": path.label, "xy": [round(x, 1), round(y, 1)]},
    }


_SERIALIZE, _DESERIALIZE = tables_serializers({"events": Events, "totals": Totals})

STAGE = StageDefinition(
    name="zones",
    label="Zones",
    description="Counts tracked objects over lines by direction, and their stays in areas.",
    io=StageIO(reads=["tracks", "frames"], writes=["events", "totals"]),
    config_fields=[
        StageConfigField(
            "lines",
            "list[str]",
            [],
            "Lines as 'NAME: x,y x,y', in shares of the frame (0..1) or in pixels. What comes over "
            "one to its left, seen from its first point, comes in; over a line drawn from left to "
            "right, in is upwards.",
        ),
        StageConfigField(
            "areas",
            "list[str]",
            [],
            "Areas as 'NAME: x,y x,y x,y ...', the corners in order; their edge belongs to them.",
        ),
        StageConfigField(
            "anchor",
            "str",
            "bottom",
            "Which point of a box stands for the object: the middle of its lower edge, its center, "
            "or the middle of its upper edge.",
            options=["bottom", "center", "top"],
        ),
        StageConfigField("labels", "list[str]", [], "Classes that count; empty for all."),
        StageConfigField(
            "margin",
            "float",
            0.01,
            "How far beyond a line an object must be seen, as a share of the frame's shorter side. "
            "Raising it keeps one that stands on the line from being counted again and again.",
            min=0.0,
            max=0.5,
        ),
        StageConfigField(
            "max_gap_s",
            "float",
            0.5,
            "Seconds outside of an area after which a stay has ended; shorter ones are part of it.",
            min=0.0,
        ),
        StageConfigField(
            "min_dwell_s",
            "float",
            0.0,
            "Shortest stay in seconds. Raising it leaves out those that only pass through.",
            min=0.0,
        ),
    ],
    category="analysis",
    fn=zones,
    check_fn=check,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    scope="video",
    channels=[EVENTS, TOTALS],
)
