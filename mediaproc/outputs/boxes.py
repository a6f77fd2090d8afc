"""What the formats for boxes share: labels, track numbers, frames, names of images."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from mediaproc.outputs.exporter import ExportOption
from mediaproc.outputs.tables import Findings, Row, Table, VideoFacts

# Quality of the JPEGs that go with a data set: high, since models are trained on them.
IMAGE_QUALITY = 95

LABELS = ExportOption(
    "labels",
    "list",
    (),
    "The classes in the order of their numbers; others are left out. Empty: all, by name.",
)
IMAGES = ExportOption(
    "images", "bool", False, "Write the frames too, as JPEG; the job's video must be in its place."
)


def label(row: Row) -> str:
    """The class of a box; of a line of text, which has none, ``text``."""
    return str(row["label"]) if "label" in row else "text"


def labels(tables: Iterable[Table], asked: Sequence[str]) -> list[str]:
    """The classes to write, in the order of their numbers."""
    if asked:
        return list(asked)
    found: set[str] = set()
    for table in tables:
        found.update(table.values("label") if table.has("label") else ["text"])
    return sorted(found)


def track_numbers(table: Table) -> dict[tuple[str, int], int]:
    """(node, track_id) -> a number from 1 that is unique in the video.

    The numbers of one tracker are kept; those of several, which may be equal, are given anew.
    """
    if not table.has("track_id"):
        return {}
    pairs = sorted(set(zip(table.values("node"), table.values("track_id"), strict=True)))
    if len({node for node, _ in pairs}) == 1:
        return {pair: pair[1] for pair in pairs}
    return {pair: number for number, pair in enumerate(pairs, 1)}


def frames(tables: Iterable[Table]) -> dict[int, float]:
    """Frame index -> seconds of the frames that were looked at or hold something, ascending."""
    found: dict[int, float] = {}
    for table in tables:
        found.update(zip(table.seen.indexes, table.seen.time_s, strict=True))
        found.update(zip(table.values("frame_index"), table.values("time_s"), strict=True))
    return dict(sorted(found.items()))


def sights(table: Table) -> list[list[Row]]:
    """The rows of each track in the order of frames; each row alone where there are no tracks."""
    if not table.has("track_id"):
        return [[row] for row in table.rows()]
    numbers = track_numbers(table)
    tracks: dict[int, list[Row]] = {}
    for row in table.rows():
        tracks.setdefault(numbers[row["node"], row["track_id"]], []).append(row)
    return [sorted(tracks[n], key=lambda row: row["frame_index"]) for n in sorted(tracks)]


def gone(frame: int, known: Sequence[int]) -> int:
    """The first of the ``known`` frames, ascending, after ``frame``; else the one right after."""
    position = bisect_right(known, frame)
    return known[position] if position < len(known) else frame + 1


def clipped(row: Row, video: VideoFacts) -> tuple[float, float, float, float]:
    """The box of a row within the frame, ``(x1, y1, x2, y2)`` in pixels."""
    return (
        min(max(row["x1"], 0.0), float(video.width)),
        min(max(row["y1"], 0.0), float(video.height)),
        min(max(row["x2"], 0.0), float(video.width)),
        min(max(row["y2"], 0.0), float(video.height)),
    )


def stem(video: VideoFacts) -> str:
    """The video's name without its suffix, fit for a file name on any system."""
    return re.sub(r"[^\w.-]+", "_", Path(video.name).stem, flags=re.ASCII).strip("._") or "video"


def image_name(video: VideoFacts, frame: int) -> str:
    """The name of a frame's image, without suffix; names sort as frames do."""
    digits = max(6, len(str(video.frame_count)))
    return f"{stem(video)}_{frame:0{digits}d}"


def write_images(
    folder: Path, findings: Findings, wanted: Sequence[int], name: Callable[[int], str]
) -> None:
    """Write frames as ``NAME.jpg`` into a new folder.

    Raises:
        MediaError: the pixels cannot be had.
    """
    from mediaproc.media import encode_jpeg

    folder.mkdir()
    for frame, image in findings.images(wanted):
        (folder / f"{name(frame)}.jpg").write_bytes(encode_jpeg(image, IMAGE_QUALITY))
