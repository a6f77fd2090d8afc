"""Tables of findings: immutable, inline in the checkpoint while small, else in the blob store."""

from __future__ import annotations

import json
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from mediaproc.blobs import BlobRef, BlobStore

# A table whose JSON is at most this long travels in the checkpoint itself.
INLINE_BYTES = 2048


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its name and the kind of its values."""

    name: str
    kind: Literal["int", "float", "str", "json"]
    description: str = ""


class Rows:
    """An immutable table of findings of one kind, ordered by (pts, node, row).

    Subclasses name their columns. Numbers are numpy arrays (int64, float64), the rest are lists.
    Of the blobs that a column refers to, the references stand beside a table that is itself in a
    blob, so that whoever holds the table holds them too.
    """

    columns: ClassVar[tuple[Column, ...]] = ()
    # JSON columns that hold references to blobs, or null.
    blob_columns: ClassVar[tuple[str, ...]] = ()

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
        sealed: dict[str, Any] = {"rows": self._length, "blob": ref.to_json()}
        named = {blob["sha256"]: blob for name in self.blob_columns for blob in data[name] if blob}
        return {**sealed, "refers_to": [*named.values()]} if named else sealed

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
