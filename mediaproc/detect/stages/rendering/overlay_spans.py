"""From sights in sampled frames to what is drawn over every frame between them.

Decided for the whole video at once, so that nothing depends on how it is cut into segments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.detect.products import Overlays
from mediaproc.detect.state import Frames, VideoSource
from mediaproc.detect.tables import Detections, Tracks

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_TO = ("to_x1", "to_y1", "to_x2", "to_y2")
_FROM = ("x1", "y1", "x2", "y2")


class Timeline:
    """The frames of a video, and when they are shown.

    Args:
        media: the video.
    """

    def __init__(self, media: VideoSource) -> None:
        self._pts = media.index.pts
        self._base = Fraction(media.index.time_base)

    def __len__(self) -> int:
        return len(self._pts)

    def before(self, frames: Ints, seconds: float) -> Ints:
        """For each frame, the first one that is shown at most ``seconds`` earlier."""
        return self._found(self._pts[frames] - self._units(seconds), "left")

    def after(self, frames: Ints, seconds: float) -> Ints:
        """For each frame, the one after the last that begins at most ``seconds`` later."""
        return self._found(self._pts[frames] + self._units(seconds), "right")

    def between(self, start_s: float, end_s: float) -> tuple[int, int]:
        """Every frame of which something is shown in a stretch of seconds from the first frame."""
        first = int(self._pts[0])
        start = first + int(Fraction(start_s) / self._base)
        # The frame that is on screen at that time began earlier.
        frame = int(np.searchsorted(self._pts, start, "right")) - 1
        return max(0, frame), int(self._found(np.array([first + self._units(end_s)]), "right")[0])

    def _units(self, seconds: float) -> int:
        return round(Fraction(seconds) / self._base)

    def _found(self, pts: Ints, side: Any) -> Ints:
        return np.searchsorted(self._pts, pts, side).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Sights:
    """The sights of any number of tracks, track by track and in the order of time.

    Attributes:
        rows: position of each in the table they come from, shape (N,).
        frames: index of its frame, shape (N,).
        times: seconds from the first frame, shape (N,).
        boxes: shape (N, 4), xyxy, pixels.
        first: whether it is the first one of its track, shape (N,), bool.
        last: whether it is the last one, shape (N,), bool.
    """

    rows: Ints
    frames: Ints
    times: Floats
    boxes: Floats
    first: npt.NDArray[np.bool_]
    last: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, tracks: Tracks, *, margin: float = 0.0) -> Sights:
        """Those of a table; boxes reach further by a share of their size on each side."""
        nodes = np.unique(np.array(tracks.column("node"), dtype=np.str_), return_inverse=True)[1]
        ids, frames = tracks.column("track_id"), tracks.column("frame_index")
        rows = np.lexsort((frames, ids, nodes)).astype(np.int64)
        parts = (np.diff(ids[rows]) != 0) | (np.diff(nodes[rows]) != 0)
        some = np.ones(min(1, len(rows)), dtype=np.bool_)
        return cls(
            rows,
            frames[rows],
            tracks.column("time_s")[rows],
            grown(tracks.xyxy[rows], margin),
            np.concatenate([some, parts]),
            np.concatenate([parts, some]),
        )

    @property
    def after(self) -> Ints:
        """Position of the next sight of the same track; its own of the last one."""
        return np.arange(len(self.rows)) + ~self.last


def follow(
    sights: Sights, ends: Callable[[Ints], Ints] = lambda frames: frames + 1
) -> dict[str, Any]:
    """The way of each track through every frame from its first sight to its last one.

    Args:
        sights: of the tracks.
        ends: from the frames of last sights to those in which each is there no more.

    Returns:
        The columns of ``Overlays`` that tell where and when, a row for each sight.
    """
    after = sights.after
    end = np.where(sights.last, ends(sights.frames), sights.frames[after])
    boxes, times = sights.boxes, sights.times
    return _places(sights.frames, end, boxes, boxes[after], times, times[after])


def beyond(sights: Sights, timeline: Timeline, seconds: float) -> Iterator[dict[str, Any]]:
    """Where each track may be ahead of its first sight, and after its last one.

    It stayed where it was, went on as it went between the nearest two sights, or did something
    between: the box grows towards all of it.

    Args:
        sights: of the tracks.
        timeline: the video's.
        seconds: for how long.

    Yields:
        The columns of ``Overlays`` that tell where and when.
    """
    for ahead in (True, False):
        here = np.flatnonzero(sights.first if ahead else sights.last)
        # The sight next to it, on the side where the track is known.
        near = sights.after[here] if ahead else here - ~sights.first[here]
        lapse = np.abs(sights.times[near] - sights.times[here])[:, None]
        moved = sights.boxes[here] - sights.boxes[near]
        went = np.divide(moved * seconds, lapse, out=np.zeros_like(moved), where=lapse > 0)
        boxes, frames, times = sights.boxes[here], sights.frames[here], sights.times[here]
        far = np.concatenate(
            [
                np.minimum(boxes, boxes + went)[:, :2],
                np.maximum(boxes, boxes + went)[:, 2:],
            ],
            axis=1,
        )
        if ahead:
            start = timeline.before(frames, seconds)
            yield _places(start, frames, far, boxes, times - seconds, times)
        else:
            end = timeline.after(frames, seconds)
            yield _places(frames + 1, end, boxes, far, times, times + seconds)


def fixed(starts: Ints, ends: Ints, boxes: Floats) -> dict[str, Any]:
    """The columns of ``Overlays`` of what stays in its place.

    Args:
        starts: first frames, shape (N,).
        ends: frames after the last ones, shape (N,).
        boxes: shape (N, 4), xyxy, pixels.
    """
    never = np.zeros(len(boxes))
    return _places(starts, ends, boxes, boxes, never, never)


def _places(
    starts: Ints, ends: Ints, boxes: Floats, to: Floats, start_s: Floats, end_s: Floats
) -> dict[str, Any]:
    return {
        "start_frame": starts,
        "end_frame": ends,
        "start_s": start_s,
        "end_s": end_s,
        # Hundredths of a pixel are enough, and keep the table of a long video small.
        **{name: boxes[:, side].round(2) for side, name in enumerate(_FROM)},
        **{name: to[:, side].round(2) for side, name in enumerate(_TO)},
    }


def overlays(
    places: Mapping[str, Any],
    kind: str,
    *,
    labels: Sequence[str] | None = None,
    colours: Sequence[int] | Ints | None = None,
    points: Sequence[Any] | None = None,
    detail: int = 0,
) -> Overlays:
    """A table of what ``follow``, ``beyond`` or ``fixed`` gave the places of."""
    count = len(places["start_frame"])
    return Overlays(
        {
            **places,
            "node": [""] * count,
            "kind": [kind] * count,
            "label": [""] * count if labels is None else labels,
            "colour": np.zeros(count, dtype=np.int64) if colours is None else colours,
            "detail": np.full(count, detail, dtype=np.int64),
            "points": [None] * count if points is None else points,
        }
    )


def grown(boxes: Floats, margin: float) -> Floats:
    """Boxes, shape (N, 4), that reach further by a share of their size on each side."""
    by = np.concatenate([boxes[:, :2] - boxes[:, 2:], boxes[:, 2:] - boxes[:, :2]], axis=1)
    return boxes + margin * by


def untracked(detections: Detections, tracks: Tracks) -> Detections:
    """The detections that belong to no track: those seen too seldom or too faintly for one."""
    keys = [
        np.ascontiguousarray(
            np.column_stack([rows.column("frame_index").astype(np.float64), rows.xyxy])
        ).view(np.dtype((np.void, 40)))
        for rows in (detections, tracks)
    ]
    return detections.take(np.flatnonzero(~np.isin(keys[0].ravel(), keys[1].ravel())))


def of_labels(rows: Any, labels: Iterable[str]) -> Any:
    """The rows of these classes; all of them where none is named."""
    wanted = set(labels)
    if not wanted:
        return rows
    return rows.take([i for i, label in enumerate(rows.column("label")) if label in wanted])


def sampled_after(frames: Frames | Sequence[Frames] | None, timeline: Timeline, at: Ints) -> Ints:
    """For each frame, the next one that was looked at; the end of the video where none was."""
    pieces = [frames] if isinstance(frames, Frames) else list(frames or ())
    end = np.array([len(timeline)], dtype=np.int64)
    looked_at = np.unique(np.concatenate([*(piece.indexes for piece in pieces), end]))
    found: Ints = looked_at[np.searchsorted(looked_at, at, "right").clip(0, len(looked_at) - 1)]
    return found
