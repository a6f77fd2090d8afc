"""The state that stages read and write, and the types of what travels in it.

Times are seconds from the first frame (float), with the exact container PTS beside them; frame
indexes count displayed frames from 0; boxes are ``xyxy`` in pixels of the displayed source
frame; confidences lie in 0..1. Pixels never sit in the state: ``Frames`` decodes on demand, and
tables of findings are ``Rows``, which load from the blob store when they are large.
"""

from __future__ import annotations

import json
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, TypedDict

import numpy as np
import numpy.typing as npt

from mediaproc.blobs import BlobRef, BlobStore

if TYPE_CHECKING:
    from mediaproc.media import Resample

# A table whose JSON is at most this long travels in the checkpoint itself.
INLINE_BYTES = 2048


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its name and the kind of its values."""

    name: str
    kind: Literal["int", "float", "str", "json"]
    description: str = ""


_FRAME_COLUMNS = (
    Column("node", "str", "id of the node that made the row"),
    Column("frame_index", "int", "index of the frame, from 0"),
    Column("pts", "int", "presentation time stamp, in the video's time base"),
    Column("time_s", "float", "seconds from the first frame"),
)
_BOX_COLUMNS = (
    Column("x1", "float", "left edge, pixels"),
    Column("y1", "float", "upper edge, pixels"),
    Column("x2", "float", "right edge, pixels"),
    Column("y2", "float", "lower edge, pixels"),
)


class Rows:
    """An immutable table of findings of one kind, ordered by (pts, node, row).

    Subclasses name their columns. Numbers are numpy arrays (int64, float64), the rest are lists.
    """

    columns: ClassVar[tuple[Column, ...]] = ()

    def __init__(self, data: Mapping[str, Sequence[Any] | npt.NDArray[Any]]) -> None:
        names = [column.name for column in self.columns]
        if set(data) != set(names):
            raise ValueError(f"{type(self).__name__} has columns {names}, got {sorted(data)}")
        self._data: dict[str, Any] | None = {
            c.name: _as_column(c, data[c.name]) for c in self.columns
        }
        lengths = {len(values) for values in self._data.values()}
        if len(lengths) > 1:
            raise ValueError(f"{type(self).__name__}: columns of unequal length {sorted(lengths)}")
        self._length = lengths.pop() if lengths else 0
        self._load: Callable[[], dict[str, Any]] | None = None

    @classmethod
    def empty(cls) -> Self:
        """A table without rows."""
        return cls({column.name: [] for column in cls.columns})

    @classmethod
    def from_records(cls, records: Iterable[Mapping[str, Any]]) -> Self:
        """A table of the given rows; each has every column."""
        rows = list(records)
        return cls({c.name: [row[c.name] for row in rows] for c in cls.columns})

    @classmethod
    def concat(cls, tables: Sequence[Self]) -> Self:
        """All rows of several tables, ordered by (pts, node, row)."""
        if len(tables) == 1:
            return tables[0].ordered()
        merged: dict[str, Any] = {}
        for column in cls.columns:
            parts = [table.column(column.name) for table in tables]
            if column.kind in ("int", "float"):
                merged[column.name] = np.concatenate(parts) if parts else []
            else:
                merged[column.name] = [value for part in parts for value in part]
        return cls(merged).ordered()

    def ordered(self) -> Self:
        """The same rows ordered by (pts, node, row)."""
        if not {"pts", "node"} <= {column.name for column in self.columns}:
            return self
        pts, nodes = self.column("pts").tolist(), self.column("node")
        order = sorted(range(len(self)), key=lambda i: (pts[i], nodes[i]))
        return self if order == list(range(len(self))) else self.take(order)

    def take(self, rows: Sequence[int] | npt.NDArray[Any]) -> Self:
        """The rows of the given positions, in that order."""
        positions = np.asarray(rows, dtype=np.int64)
        return type(self)(
            {
                c.name: self.column(c.name)[positions]
                if c.kind in ("int", "float")
                else [self.column(c.name)[i] for i in positions.tolist()]
                for c in self.columns
            }
        )

    def within(self, start_frame: int, end_frame: int) -> Self:
        """The rows of the frames from ``start_frame`` up to ``end_frame``, which is left out."""
        frames = self.column("frame_index")
        return self.take(np.flatnonzero((frames >= start_frame) & (frames < end_frame)))

    @classmethod
    def by_frame(cls) -> bool:
        """Whether each row belongs to a frame, so that a table can be cut by time."""
        return any(column.name == "frame_index" for column in cls.columns)

    def made_by(self, node: str) -> Self:
        """The same rows, with ``node`` as the maker of those that name none."""
        if "node" not in {c.name for c in self.columns} or all(self.column("node")):
            return self
        data = {c.name: self.column(c.name) for c in self.columns}
        return type(self)({**data, "node": [value or node for value in data["node"]]})

    def __len__(self) -> int:
        return self._length

    def column(self, name: str) -> Any:
        """The values of one column: an array for numbers, else a list."""
        data = self._data
        if data is None:
            assert self._load is not None
            data = self._load()
        return data[name]

    def records(self) -> list[dict[str, Any]]:
        """The rows as dicts of plain Python values."""
        lists = [
            self.column(c.name).tolist() if c.kind in ("int", "float") else self.column(c.name)
            for c in self.columns
        ]
        names = [c.name for c in self.columns]
        return [dict(zip(names, values, strict=True)) for values in zip(*lists, strict=True)]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} rows)"

    def to_json(self, blobs: BlobStore) -> dict[str, Any]:
        """The table as JSON: inline while small, else a reference to a blob."""
        data = {
            c.name: self.column(c.name).tolist()
            if c.kind in ("int", "float")
            else self.column(c.name)
            for c in self.columns
        }
        text = json.dumps(data, separators=(",", ":"), allow_nan=False)
        if len(text) <= INLINE_BYTES:
            return {"rows": self._length, "inline": data}
        ref = blobs.put(zlib.compress(text.encode(), 6))
        return {"rows": self._length, "blob": ref.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], blobs: BlobStore) -> Self:
        """The table that ``to_json`` gave; rows in a blob load when they are first read."""
        if "inline" in data:
            return cls(data["inline"])
        table = cls.__new__(cls)
        ref = BlobRef.from_json(data["blob"])
        table._data = None
        table._length = int(data["rows"])
        table._load = lambda: _TABLES.get(
            ref.sha256,
            lambda: {
                c.name: _as_column(c, values) for values, c in _decoded(blobs.get(ref), cls.columns)
            },
        )
        return table


def _decoded(blob: bytes, columns: Sequence[Column]) -> Iterator[tuple[Any, Column]]:
    data = json.loads(zlib.decompress(blob))
    return ((data[column.name], column) for column in columns)


def _as_column(column: Column, values: Sequence[Any] | npt.NDArray[Any]) -> Any:
    if column.kind == "int":
        return np.asarray(values, dtype=np.int64)
    if column.kind == "float":
        return np.asarray(values, dtype=np.float64)
    return list(values)


class _TableCache:
    """Decoded tables by digest, the least recently used going first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._tables: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._lock = Lock()

    def get(self, digest: str, load: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        with self._lock:
            if digest in self._tables:
                self._tables.move_to_end(digest)
                return self._tables[digest]
        table = load()
        with self._lock:
            self._tables[digest] = table
            while len(self._tables) > self._most:
                self._tables.popitem(last=False)
        return table


_TABLES = _TableCache(most=64)


class Detections(Rows):
    """Objects found in frames, one row each."""

    columns = (
        *_FRAME_COLUMNS,
        Column("label", "str", "class name"),
        Column("class_id", "int", "class number of the model"),
        Column("confidence", "float", "0..1"),
        *_BOX_COLUMNS,
        Column("polygon", "json", "outline as [[x, y], ...] in pixels, or null"),
        Column("keypoints", "json", "[[x, y, confidence], ...], or null"),
    )

    @property
    def xyxy(self) -> npt.NDArray[np.float64]:
        """Boxes, shape (N, 4), ``(x1, y1, x2, y2)`` in pixels."""
        return _xyxy(self)


class Tracks(Rows):
    """Objects followed through frames: a row for each sight of each track."""

    columns = (
        *_FRAME_COLUMNS,
        Column("track_id", "int", "number of the track, from 1, unique within node and job"),
        Column("label", "str", "class name"),
        Column("class_id", "int", "class number of the model"),
        Column("confidence", "float", "0..1"),
        *_BOX_COLUMNS,
    )

    @property
    def xyxy(self) -> npt.NDArray[np.float64]:
        """Boxes, shape (N, 4), ``(x1, y1, x2, y2)`` in pixels."""
        return _xyxy(self)


class Texts(Rows):
    """Lines of text seen in frames, one row each."""

    columns = (
        *_FRAME_COLUMNS,
        Column("text", "str", "what was read"),
        Column("confidence", "float", "0..1"),
        *_BOX_COLUMNS,
        Column("quad", "json", "corners as [[x, y] x 4] in pixels, clockwise from the upper left"),
    )


class FrameScores(Rows):
    """How each frame differs from the one before it; what shots are decided from."""

    columns = (
        *_FRAME_COLUMNS,
        Column("content", "float", "mean change of hue, saturation and value, 0..255"),
        Column("luma", "float", "mean brightness, 0..255"),
    )


class Shots(Rows):
    """Runs of frames between two transitions."""

    columns = (
        Column("node", "str", "id of the node that made the row"),
        Column("shot", "int", "number of the shot, from 0"),
        Column("pts", "int", "presentation time stamp of the first frame"),
        Column("start_frame", "int", "first frame"),
        Column("end_frame", "int", "frame after the last one"),
        Column("start_s", "float", "time of the first frame, seconds"),
        Column("end_s", "float", "time at which the last frame ends, seconds"),
        Column("transition", "str", "how the shot begins: start, cut or fade"),
    )


def _xyxy(rows: Rows) -> npt.NDArray[np.float64]:
    return np.stack([rows.column(name) for name in ("x1", "y1", "x2", "y2")], axis=1)


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded frame.

    Attributes:
        index: index of the frame, from 0.
        pts: presentation time stamp, in the video's time base.
        time_s: seconds from the first frame.
        image: shape (H, W, 3), uint8, BGR.
    """

    index: int
    pts: int
    time_s: float
    image: npt.NDArray[np.uint8]


class MediaSource(Protocol):
    """The ``media`` service: the pixels of the job's video."""

    def images(
        self,
        frame_indexes: Sequence[int],
        *,
        size_wh: tuple[int, int] | None = None,
        resample: Resample = "smooth",
    ) -> Iterator[Frame]:
        """Decode the given frames, ascending, scaled to ``size_wh`` where given."""
        ...

    def stored(self) -> list[dict[str, Any]]:
        """Where the frames are kept, as JSON values; empty where they come from the video."""
        ...

    def joined(self, pieces: Sequence[Any]) -> MediaSource:
        """One source of the frames of several of its kind."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Frames chosen from a segment; their pixels are decoded when asked for.

    Attributes:
        indexes: frame indexes, ascending, shape (N,), int64.
        pts: presentation time stamps, shape (N,), int64.
        time_s: seconds from the first frame of the video, shape (N,), float64.
        size_wh: width and height of the images, in pixels.
        source_wh: width and height of the displayed source frame, in pixels.
    """

    indexes: npt.NDArray[np.int64]
    pts: npt.NDArray[np.int64]
    time_s: npt.NDArray[np.float64]
    size_wh: tuple[int, int]
    source_wh: tuple[int, int]
    media: MediaSource

    def __len__(self) -> int:
        return len(self.indexes)

    def __repr__(self) -> str:
        return f"Frames({len(self)} of {self.size_wh[0]}x{self.size_wh[1]})"

    def images(
        self, *, size_wh: tuple[int, int] | None = None, resample: Resample = "smooth"
    ) -> Iterator[Frame]:
        """The frames with their pixels, at ``size_wh`` or at their own size."""
        size = size_wh or self.size_wh
        return self.media.images(self.indexes.tolist(), size_wh=size, resample=resample)

    def within(self, start_frame: int, end_frame: int) -> Frames:
        """The frames from ``start_frame`` up to ``end_frame``, which is left out."""
        return self.only((self.indexes >= start_frame) & (self.indexes < end_frame))

    @classmethod
    def by_frame(cls) -> bool:
        """Frames can be cut by time."""
        return True

    def read_from(self, media: MediaSource) -> Frames:
        """The same frames, with their pixels from elsewhere."""
        return replace(self, media=media)

    @classmethod
    def concat(cls, pieces: Sequence[Frames]) -> Frames:
        """The frames of several pieces of one video, in the order given."""
        first = pieces[0]
        return cls(
            np.concatenate([piece.indexes for piece in pieces]),
            np.concatenate([piece.pts for piece in pieces]),
            np.concatenate([piece.time_s for piece in pieces]),
            first.size_wh,
            first.source_wh,
            first.media.joined([piece.media for piece in pieces]),
        )

    def only(self, keep: npt.NDArray[np.bool_]) -> Frames:
        """The frames where ``keep``, shape (N,), is true."""
        return Frames(
            self.indexes[keep],
            self.pts[keep],
            self.time_s[keep],
            self.size_wh,
            self.source_wh,
            self.media,
        )

    def to_json(self) -> dict[str, Any]:
        """Which frames, as JSON; no pixels."""
        return {
            "indexes": self.indexes.tolist(),
            "pts": self.pts.tolist(),
            "time_s": self.time_s.tolist(),
            "size_wh": list(self.size_wh),
            "source_wh": list(self.source_wh),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], media: MediaSource) -> Frames:
        """The frames that ``to_json`` gave, to be read through ``media``."""
        return cls(
            np.asarray(data["indexes"], dtype=np.int64),
            np.asarray(data["pts"], dtype=np.int64),
            np.asarray(data["time_s"], dtype=np.float64),
            (int(data["size_wh"][0]), int(data["size_wh"][1])),
            (int(data["source_wh"][0]), int(data["source_wh"][1])),
            media,
        )


@dataclass(frozen=True, slots=True)
class Video:
    """What is known of the video before a frame is decoded.

    Attributes:
        path: as it was given; of a URL, credentials and query are masked. Pixels come from the
            ``media`` service, which knows the whole of it.
        fingerprint: SHA-256 of all its bytes, hex.
        width: of the displayed frame (after rotation), pixels.
        height: of the displayed frame, pixels.
        fps: mean frame rate, Hz.
        duration_s: from the first frame to the end of the last, seconds.
        frame_count: number of displayed frames.
        time_base: seconds per PTS unit, as (numerator, denominator).
    """

    path: str
    fingerprint: str
    width: int
    height: int
    fps: float
    duration_s: float
    frame_count: int
    time_base: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A run of anchor blocks that is processed in one go.

    Attributes:
        number: of the segment within its phase, from 0.
        blocks: (first frame, frame after the last) of each anchor block. What carries state from
            frame to frame restarts at each block, so that results do not depend on segments.
        pts: PTS of each frame of the segment, ascending, int64.
        time_s: seconds of each frame of the segment, float64.
        keyframes: whether each frame of the segment is a keyframe, bool.
        video_start_pts: PTS of the video's first frame.
        pts_before: PTS of the frame ahead of the segment, or None at the start of the video.
    """

    number: int
    blocks: tuple[tuple[int, int], ...]
    pts: npt.NDArray[np.int64]
    time_s: npt.NDArray[np.float64]
    keyframes: npt.NDArray[np.bool_]
    video_start_pts: int
    pts_before: int | None

    @property
    def start_frame(self) -> int:
        """First frame."""
        return self.blocks[0][0]

    @property
    def end_frame(self) -> int:
        """Frame after the last one."""
        return self.blocks[-1][1]


class DetectState(TypedDict, total=False):
    """What a stage sees: the given values, and the channels that its node reads.

    The builder adds the channels of the profile's stages; those of the shipped stages stand here.
    ``segment`` is there in segment scope; ``failures`` in video scope: what failed so far and was
    skipped, because the profile says ``on_error: skip``.
    """

    video: Video
    segment: Segment
    failures: list[dict[str, Any]]
    frames: Frames
    frame_scores: FrameScores
    detections: Detections
    texts: Texts
    shots: Shots
    tracks: Tracks
    report: dict[str, Any]
