"""Findings in the plain form that exporters take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.addresses import video_name
from mediaproc.detect.rows import Rows
from mediaproc.detect.state import Frames, MediaSource, Video
from mediaproc.outputs import Findings, SeenFrames, Table, TableColumn, VideoFacts


def plain_findings(
    video: Video,
    tables: Mapping[str, Table],
    *,
    chosen: Sequence[Frames],
    failures: Sequence[Mapping[str, Any]],
    media: Callable[[], MediaSource],
) -> Findings:
    """The findings of a video.

    Args:
        video: the video.
        tables: the tables by name.
        chosen: the frames that stages chose, which may be kept.
        failures: what failed and was skipped.
        media: opens the video; called where pixels of frames are wanted that no stage chose.
    """
    return Findings(
        video=VideoFacts(
            name=video_name(video.path),
            fingerprint=video.fingerprint,
            width=video.width,
            height=video.height,
            # The rate is a fraction of such a denominator; see ``media.index_video``.
            frame_rate=Fraction(video.fps).limit_denominator(100_000),
            duration_s=video.duration_s,
            frame_count=video.frame_count,
            time_base=Fraction(*video.time_base),
        ),
        tables=tables,
        failures=failures,
        images=lambda wanted: _images(wanted, chosen, media, (video.width, video.height)),
    )


def plain_table(name: str, rows: Rows, seen: Iterable[Frames]) -> Table:
    """A table, with the frames that its makers looked at."""
    columns = tuple(
        TableColumn(c.name, c.kind, rows.column(c.name), c.description) for c in rows.columns
    )
    times: dict[int, float] = {}
    for frames in seen:
        times.update(zip(frames.indexes.tolist(), frames.time_s.tolist(), strict=True))
    ordered = sorted(times.items())
    stamps = SeenFrames(tuple(f for f, _ in ordered), tuple(time_s for _, time_s in ordered))
    return Table(name, columns, stamps)


def _images(
    wanted: Sequence[int],
    chosen: Sequence[Frames],
    media: Callable[[], MediaSource],
    size_wh: tuple[int, int],
) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """The pixels of frames: from where those are kept that were chosen, else from the video."""
    holder: dict[int, MediaSource] = {}
    for frames in chosen:
        for index in frames.indexes.tolist():
            holder.setdefault(index, frames.media)
    if any(index not in holder for index in wanted):
        video = media()
        holder.update((index, video) for index in wanted if index not in holder)
    for source, run in groupby(wanted, key=lambda index: holder[index]):
        for frame in source.images([*run], size_wh=size_wh):
            yield frame.index, frame.image
