"""Small pictures of single frames, for sheets and pages that people look at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.detect.rows import Rows
from mediaproc.detect.state import VideoSource

Image = npt.NDArray[np.uint8]


def thumbnails(
    media: VideoSource, frames: Iterable[int], within_wh: tuple[int, int]
) -> dict[int, Image]:
    """Frames by index, uint8, BGR, scaled to fit a size, in the proportions of a player.

    Each is decoded by itself: they lie far apart.
    """
    info = media.info
    wide, high = info.pixel_aspect if info.rotation % 180 == 0 else info.pixel_aspect[::-1]
    shown = info.display_width * wide / high, float(info.display_height)
    scale = min(within_wh[0] / shown[0], within_wh[1] / shown[1])
    size = max(2, round(shown[0] * scale)), max(2, round(shown[1] * scale))
    return {
        index: frame.image
        for index in sorted(set(frames))
        for frame in media.images([index], size_wh=size)
    }


def evenly(rows: list[Any], most: int) -> list[Any]:
    """At most so many of the rows, spread evenly."""
    if len(rows) <= most:
        return rows
    return [rows[(2 * i + 1) * len(rows) // (2 * most)] for i in range(most)]


def clock(seconds: float) -> str:
    """A time as ``1:02:03.4``; hours only where there are some.

    >>> clock(75.25), clock(3723.4)
    ('1:15.2', '1:02:03.4')
    """
    tenths = int(seconds * 10 + 1e-6)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    tail = f"{rest // 10:02d}.{rest % 10}"
    return f"{hours}:{minutes:02d}:{tail}" if hours else f"{minutes}:{tail}"


def shot_pictures(shots: Rows) -> list[tuple[int, dict[str, Any]]]:
    """Each shot with the frame that stands for it: the middle one."""
    return [((row["start_frame"] + row["end_frame"] - 1) // 2, row) for row in shots.records()]


def event_pictures(events: Rows) -> list[tuple[int, dict[str, Any]]]:
    """Each event with the frame that shows it: that of its strongest evidence, or the middle."""
    found = []
    for row in events.records():
        details = row["details"] if isinstance(row["details"], dict) else {}
        evidence = [e for e in details.get("evidence", []) if "frame_index" in e]
        frame = (row["start_frame"] + max(row["start_frame"], row["end_frame"] - 1)) // 2
        if evidence:
            frame = max(evidence, key=lambda e: e.get("score", 0.0))["frame_index"]
        found.append((int(frame), row))
    return found
