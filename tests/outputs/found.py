"""Findings of videos that there are not, of every kind and size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from mediaproc.detect.rows import Rows
from mediaproc.detect.tables import Detections, Events, Shots, Texts, Tracks
from mediaproc.outputs import Findings, SeenFrames, Table, TableColumn, VideoFacts

# name -> width, height, frames, step between the frames that were looked at.
CASES = {
    "plain": (640, 360, 40, 2),
    "every-frame": (640, 360, 10, 1),
    "one-frame": (320, 240, 1, 1),
    "4k": (3840, 2160, 12, 4),
    "vertical-odd": (243, 431, 9, 2),
    "nothing-found": (640, 360, 40, 2),
    "no-frame": (640, 360, 0, 1),
}
BASE = Fraction(1, 90_000)


def findings(case: str) -> Findings:
    """What was found in a video of the given case; its frames are unequally long."""
    width, height, count, step = CASES[case]
    times = [float(pts * BASE) for pts in _stamps(count)]
    seen = SeenFrames(tuple(range(0, count, step)), tuple(times[::step]))
    # Nobody is in the second frame that was looked at, and again in the third.
    shown = [] if case == "nothing-found" else [f for f in seen.indexes if f != step]
    duration = float(_stamps(count + 1)[-1] * BASE)
    tables: list[tuple[str, Rows]] = [
        ("detections", Detections.from_records(_detections(shown, width, height))),
        ("tracks", Tracks.from_records(_tracks(shown, width, height))),
        ("texts", Texts.from_records(_texts(shown, width, height))),
        ("shots", Shots.from_records(_shots(times, duration))),
        ("events", Events.from_records(_events(times, duration, shown))),
    ]
    return Findings(
        video=VideoFacts(
            name="a clip.mp4",
            fingerprint="0" * 64,
            width=width,
            height=height,
            frame_rate=Fraction(30_000, 1001),
            duration_s=duration,
            frame_count=count,
            time_base=BASE,
        ),
        tables={name: table(name, rows, seen) for name, rows in tables},
        failures=[],
        images=lambda frames: _images(frames, width, height),
    )


def table(name: str, rows: Rows, seen: SeenFrames) -> Table:
    columns = [
        TableColumn(c.name, c.kind, rows.column(c.name), c.description) for c in rows.columns
    ]
    return Table(name, tuple(columns), seen)


def _stamps(count: int) -> list[int]:
    return [3003 * frame + 700 * (frame // 3) for frame in range(count)]


def _place(frame: int, node: str) -> dict[str, Any]:
    pts = _stamps(frame + 1)[-1]
    return {"node": node, "frame_index": frame, "pts": pts, "time_s": float(pts * BASE)}


def _box(frame: int, width: int, height: int, at: float) -> dict[str, float]:
    x, y = width * at + frame / 3, height * at + frame / 7
    return {"x1": x, "y1": y, "x2": x + width / 9, "y2": y + height / 5}


def _detections(frames: Sequence[int], width: int, height: int) -> Iterator[dict[str, Any]]:
    for frame in frames:
        for number, label in enumerate(["car", "person", "car"]):
            box = _box(frame, width, height, 0.1 + 0.2 * number)
            x1, y1, x2, y2 = box.values()
            yield {
                **_place(frame, "boxes"),
                "label": label,
                "class_id": number,
                "confidence": 0.9 - number / 7,
                **box,
                "polygon": [[x1, y1], [x2, y1], [x1, y2]] if label == "person" else None,
                "keypoints": [[x1, y1, 0.9], [x2, y2, 0.3], [0, 0, 0]]
                if label == "person"
                else None,
            }


def _tracks(frames: Sequence[int], width: int, height: int) -> Iterator[dict[str, Any]]:
    for frame in frames:
        # Two trackers number from 1, each for itself.
        for node, track, label in [("a", 1, "car"), ("a", 2, "person"), ("b", 1, "car")]:
            at = 0.1 * track + (0.4 if node == "b" else 0.0)
            yield {
                **_place(frame, node),
                "track_id": track,
                "label": label,
                "class_id": 0,
                "confidence": 0.8,
                **_box(frame, width, height, at),
            }


def _texts(frames: Sequence[int], width: int, height: int) -> Iterator[dict[str, Any]]:
    for frame in frames:
        for text in ["A <b> & c --> d", "score\n\n3:2 über"]:
            yield {
                **_place(frame, "read"),
                "text": text,
                "confidence": 0.7,
                **_box(frame, width, height, 0.3),
                "quad": [[0, 0], [1, 0], [1, 1], [0, 1]],
            }


def _shots(times: Sequence[float], duration: float) -> Iterator[dict[str, Any]]:
    starts = sorted({0, len(times) // 2}) if times else []
    for number, start in enumerate(starts):
        last = number + 1 == len(starts)
        yield {
            "node": "cuts",
            "shot": number,
            "pts": _stamps(start + 1)[-1],
            "start_frame": start,
            "end_frame": len(times) if last else starts[number + 1],
            "start_s": times[start],
            "end_s": duration if last else times[starts[number + 1]],
            "transition": "cut" if number else "start",
        }


def _events(
    times: Sequence[float], duration: float, frames: Sequence[int]
) -> Iterator[dict[str, Any]]:
    for frame in frames[:1]:
        yield {
            "node": "rules",
            "kind": "flag",
            "label": "logo",
            "pts": _stamps(frame + 1)[-1],
            "start_frame": frame,
            "end_frame": len(times),
            "start_s": times[frame],
            "end_s": duration,
            "score": 1.0,
            "track_id": 0,
            "details": {"why": "a --> b\u2028c"},
        }


def _images(frames: Sequence[int], width: int, height: int) -> Iterator[tuple[int, Any]]:
    for frame in frames:
        yield frame, np.full((height, width, 3), frame % 256, dtype=np.uint8)
