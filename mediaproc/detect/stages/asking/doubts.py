"""What stages left uncertain: rows of any table, as questions, with pictures to look at."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.detect.rows import Rows
from mediaproc.detect.stages.base import StageConfigField
from mediaproc.detect.state import DetectState, Frames, MediaSource

# Of what a model and a person may be asked about, the part that is meant.
ASKED_FIELDS = (
    StageConfigField("only", "list[str]", [], "Labels to ask about; all where empty."),
    StageConfigField("kinds", "list[str]", ["flag"], "Kinds of events to ask about."),
)

Box = tuple[float, float, float, float]

# Where tables say what a row is about and how sure it is, the first that a table has.
_LABELS = ("label", "brand", "term", "text")
_SCORES = ("score", "confidence")
# Frames further apart are reached faster by a seek than by decoding what lies between.
_RUN_FRAMES = 300


@dataclass(frozen=True, slots=True)
class Doubt:
    """A row of a table, whatever kind of finding it is.

    Attributes:
        source: the channel.
        row: its position in the table that the node sees.
        key: tells it from all other rows, for whoever reads the same row elsewhere.
        maker: id of the node that made it.
        label: what it is about.
        text: what was read or said, or "".
        kind: of an event, or "".
        confidence: 0..1.
        frame_index: the frame to look at.
        pts: presentation time stamp of that frame.
        time_s: seconds from the first frame.
        xyxy: box in pixels of the source frame; None for the whole frame.
        others: rows of the same thing in frames close by, for which this one stands.
    """

    source: str
    row: int
    key: str
    maker: str
    label: str
    text: str
    kind: str
    confidence: float
    frame_index: int
    pts: int
    time_s: float
    xyxy: Box | None
    others: tuple[Doubt, ...] = field(default=())

    @property
    def id(self) -> str:
        """A short name for people."""
        return f"{self.source}:{self.row}"

    @property
    def keys(self) -> list[str]:
        """Its key, and those of the rows for which it stands."""
        return [self.key, *(other.key for other in self.others)]


def doubts_of(source: str, table: Rows) -> list[Doubt]:
    """Every row of a table."""
    names = {column.name for column in table.columns}
    label = next(name for name in _LABELS if name in names)
    score = next(name for name in _SCORES if name in names)
    return [
        _doubt(source, number, row, str(row[label]), float(row[score]))
        for number, row in enumerate(table.records())
    ]


def joined(doubts: Sequence[Doubt], same_s: float, min_iou: float = 0.3) -> list[Doubt]:
    """Rows of one thing in frames close to each other as one, the surest for all of them.

    Events stay as they are: they are stretches of time already.

    Args:
        doubts: rows.
        same_s: longest time between two sights of one thing, seconds; 0 leaves rows as they are.
        min_iou: least overlap of two sights.
    """
    if same_s <= 0:
        return list(doubts)
    groups: list[list[Doubt]] = []
    for doubt in sorted(doubts, key=lambda d: (d.pts, d.source, d.row)):
        for group in reversed(groups):
            last = group[-1]
            alike = not doubt.kind and _thing(last) == _thing(doubt)
            near = last.pts < doubt.pts and doubt.time_s - last.time_s <= same_s
            if alike and near and _overlap(last.xyxy, doubt.xyxy) >= min_iou:
                group.append(doubt)
                break
        else:
            groups.append([doubt])
    return [_standing_for(group) for group in groups]


def pictures(
    doubts: Sequence[Doubt],
    state: DetectState,
    media: MediaSource,
    *,
    margin: float,
    max_px: int,
) -> Iterator[tuple[Doubt, bytes]]:
    """Each doubt with a JPEG of it, cut out with some of what is around it, by time.

    Args:
        doubts: what to show.
        state: kept frames that the node sees are used where they are all that is needed.
        media: the pixels of the video.
        margin: how much of the box's size to add on each side.
        max_px: longer side of the picture at most, pixels.
    """
    from mediaproc.media import encode_jpeg

    by_frame: dict[int, list[Doubt]] = {}
    for doubt in doubts:
        by_frame.setdefault(doubt.frame_index, []).append(doubt)
    video = state["video"]
    source = _kept(state, by_frame) or media
    frames = np.array(sorted(by_frame), dtype=np.int64)
    for run in np.split(frames, np.flatnonzero(np.diff(frames) > _RUN_FRAMES) + 1):
        for frame in source.images(run.tolist()):
            scale = frame.image.shape[1] / video.width
            for doubt in by_frame[frame.index]:
                cut = _cut_out(frame.image, doubt.xyxy, scale, margin, max_px)
                yield doubt, encode_jpeg(cut)


def _kept(state: DetectState, wanted: Mapping[int, Any]) -> MediaSource | None:
    """The kept frames that the node sees, if there are any and all that are wanted."""
    seen: Any = state.get("frames", [])
    pieces = [seen] if isinstance(seen, Frames) else list(seen)
    kept = [frames for frames in pieces if frames.media.stored()]
    there = {index for frames in kept for index in frames.indexes.tolist()}
    return Frames.concat(kept).media if kept and set(wanted) <= there else None


def _doubt(source: str, number: int, row: Mapping[str, Any], label: str, score: float) -> Doubt:
    frame = row["frame_index"] if "frame_index" in row else row["start_frame"]
    time_s = row["time_s"] if "time_s" in row else row["start_s"]
    box = tuple(float(row[side]) for side in ("x1", "y1", "x2", "y2")) if "x1" in row else None
    rounded = [round(side, 2) for side in box] if box else []
    kind, text = str(row.get("kind", "")), str(row.get("text", ""))
    what = repr((source, row["node"], row["pts"], kind, label, text, rounded))
    return Doubt(
        source=source,
        row=number,
        key=hashlib.blake2b(what.encode(), digest_size=8).hexdigest(),
        maker=row["node"],
        label=label,
        text=text,
        kind=kind,
        confidence=score,
        frame_index=int(frame),
        pts=int(row["pts"]),
        time_s=float(time_s),
        xyxy=box,  # type: ignore[arg-type]
    )


def _thing(doubt: Doubt) -> tuple[str, str, str]:
    return doubt.source, doubt.maker, doubt.label


def _standing_for(group: Sequence[Doubt]) -> Doubt:
    best = max(group, key=lambda doubt: (doubt.confidence, -doubt.pts))
    return replace(best, others=tuple(doubt for doubt in group if doubt is not best))


def _overlap(one: Box | None, other: Box | None) -> float:
    if one is None or other is None:
        return 1.0
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    both = max(0.0, wide) * max(0.0, high)
    whole = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - both
    return both / whole if whole > 0 else 0.0


def _cut_out(
    image: npt.NDArray[np.uint8], box: Box | None, scale: float, margin: float, max_px: int
) -> npt.NDArray[np.uint8]:
    import cv2

    height, width = image.shape[:2]
    x1, y1, x2, y2 = (side * scale for side in box) if box else (0.0, 0.0, width, height)
    wide, high = (x2 - x1) * margin, (y2 - y1) * margin
    left, top = max(0, int(x1 - wide)), max(0, int(y1 - high))
    # At least one pixel, also of a box at the very edge.
    left, top = min(left, width - 1), min(top, height - 1)
    right = min(width, max(left + 1, int(np.ceil(x2 + wide))))
    bottom = min(height, max(top + 1, int(np.ceil(y2 + high))))
    cut = image[top:bottom, left:right]
    shrink = max_px / max(cut.shape[:2])
    if shrink >= 1:
        return cut
    size = (max(1, round(cut.shape[1] * shrink)), max(1, round(cut.shape[0] * shrink)))
    smaller: npt.NDArray[np.uint8] = cv2.resize(cut, size, interpolation=cv2.INTER_AREA)
    return smaller
