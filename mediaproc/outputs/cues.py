"""Cues: what is to be said of a video from one time to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mediaproc.errors import OutputError
from mediaproc.outputs import boxes
from mediaproc.outputs.tables import Row, Table, VideoFacts

# What a row needs to tell when it is: either of these.
SPAN_COLUMNS = ("start_s", "end_s")
FRAME_COLUMNS = ("frame_index", "time_s")


@dataclass(frozen=True, slots=True)
class Cue:
    """A stretch of time, and the rows that it is about.

    Attributes:
        start_ms: start, milliseconds.
        end_ms: end, milliseconds, later than the start.
        rows: at least one.
    """

    start_ms: int
    end_ms: int
    rows: tuple[Row, ...]


def milliseconds(time_s: float) -> int:
    """Seconds as the nearest whole number of milliseconds."""
    return round(time_s * 1000)


def cues(table: Table, video: VideoFacts) -> list[Cue]:
    """The cues of a table in the order of time.

    A row that says from when to when is a cue. Rows of frames are joined: a cue for each line of
    text of a node from the first frame that it was read in, up to the first that was looked at
    without it. Readings that differ in space and case are one, worded as the surest.

    Raises:
        OutputError: the rows have no times.
    """
    if table.has(*SPAN_COLUMNS):
        found = [_cue(row["start_s"], row["end_s"], [row]) for row in table.rows()]
    elif table.has(*FRAME_COLUMNS, "text"):
        found = _joined(table, video)
    else:
        raise OutputError(f"no cues can be made of {table.name}: its rows have no times")
    return sorted(found, key=lambda cue: (cue.start_ms, cue.end_ms))


def frame_cues(table: Table, video: VideoFacts) -> list[Cue]:
    """A cue for each frame that holds a row, up to the next frame that was looked at."""
    times = boxes.frames([table])
    known = [*times]
    rows: dict[int, list[Row]] = {}
    for row in table.rows():
        rows.setdefault(row["frame_index"], []).append(row)
    return [
        _cue(times[frame], _gone_s(frame, known, times, video), here)
        for frame, here in sorted(rows.items())
    ]


def _joined(table: Table, video: VideoFacts) -> list[Cue]:
    times = boxes.frames([table])
    known = [*times]
    lines: dict[tuple[str, str], list[Row]] = {}
    for row in table.rows():
        lines.setdefault((row["node"], "".join(row["text"].split()).casefold()), []).append(row)
    found: list[Cue] = []
    for rows in lines.values():
        run: list[Row] = []
        for row, following in zip(rows, [*rows[1:], None], strict=True):
            run.append(row)
            end = boxes.gone(row["frame_index"], known)
            if following is None or following["frame_index"] > end:
                best = max(run, key=lambda row: row.get("confidence", 1.0))
                end_s = _gone_s(row["frame_index"], known, times, video)
                found.append(_cue(run[0]["time_s"], end_s, [best]))
                run = []
    return found


def _gone_s(
    frame: int, known: Sequence[int], times: Mapping[int, float], video: VideoFacts
) -> float:
    """When what was last seen in a frame is gone; the last frame stays to the video's end."""
    return times.get(boxes.gone(frame, known), video.duration_s)


def _cue(start_s: float, end_s: float, rows: Sequence[Row]) -> Cue:
    start = milliseconds(start_s)
    return Cue(start, max(start + 1, milliseconds(end_s)), tuple(rows))
