"""States as video-scope stages see them, out of rows that a test makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mediaproc.detect.stages.base import get_stage
from mediaproc.detect.state import Frames, Span, Video
from mediaproc.detect.tables import Tracks
from tests.scenes import Scene

TICKS = 1000  # of the time base, per second


def state(
    frames: Iterable[int],
    *,
    size_wh: tuple[int, int] = (640, 360),
    fps: float = 25.0,
    frame_count: int = 250,
    spans: tuple[Span, ...] | None = None,
    **tables: Any,
) -> dict[str, Any]:
    """A state with the given sampled frames and tables, of a video of that size and length."""
    indexes = np.array(list(frames), dtype=np.int64)
    duration_s = frame_count / fps
    video = Video("made", "0", *size_wh, fps, duration_s, frame_count, (1, TICKS))
    times = indexes / fps
    sampled = Frames(indexes, np.round(times * TICKS).astype(int), times, size_wh, size_wh, None)  # type: ignore[arg-type]
    whole = (Span(0, frame_count, 0.0, duration_s),)
    return {"video": video, "frames": sampled, "spans": spans or whole, "failures": [], **tables}


def place(frame: int, fps: float = 25.0) -> dict[str, Any]:
    """The frame columns of a row."""
    return {
        "node": "",
        "frame_index": frame,
        "pts": round(frame / fps * TICKS),
        "time_s": frame / fps,
    }


def box(x1: float, y1: float, x2: float, y2: float) -> dict[str, float]:
    """The box columns of a row."""
    return {"x1": x1, "y1": y1, "x2": x2, "y2": y2}


def spoken(start: int, end: int, text: str, fps: float = 25.0) -> dict[str, Any]:
    """A row of a transcript, from one frame up to another."""
    return {
        "node": "",
        "pts": round(start / fps * TICKS),
        "start_frame": start,
        "end_frame": end,
        "start_s": start / fps,
        "end_s": end / fps,
        "text": text,
        "language": "en",
        "confidence": 0.8,
        "words": [],
    }


def true_tracks(scene: Scene, every: int) -> Tracks:
    """What is true of a scene's shapes in every so many frames, as tracks."""
    return Tracks.from_records(
        {
            **place(frame, float(scene.fps)),
            "track_id": number + 1,
            "label": label,
            "class_id": 0,
            "confidence": 1.0,
            **box(*xyxy),
        }
        for frame in range(0, scene.frames, every)
        for number, label, xyxy in scene.boxes(frame)
    )


def call(name: str, made: Mapping[str, Any], **config: Any) -> dict[str, Any]:
    """What a stage makes of a state, with the given settings and the defaults of the others."""
    stage = get_stage(name)
    assert stage.fn is not None
    filled = stage.filled_config(config)
    assert set(config) <= set(filled)
    assert stage.check_fn is None or list(stage.check_fn(filled)) == []
    update: dict[str, Any] = stage.fn(made, config=filled)
    return update


def problems(name: str, **config: Any) -> list[str]:
    """What a stage has against settings, as 'field: message'."""
    stage = get_stage(name)
    assert stage.check_fn is not None
    return [f"{field}: {why}" for field, why in stage.check_fn(stage.filled_config(config))]
