"""What exporters are given: the findings of one video, as plain values.

Times are seconds from the video's first frame, frame indexes count its displayed frames from 0,
boxes are ``xyxy`` in pixels of the displayed frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table.

    Attributes:
        name: its name.
        kind: ``"int"`` (int64), ``"float"`` (float64), ``"str"``, or ``"json"`` (JSON values).
        values: one per row.
        description: what it says, and in which unit.
    """

    name: str
    kind: Literal["int", "float", "str", "json"]
    values: Sequence[Any]
    description: str = ""


@dataclass(frozen=True, slots=True)
class SeenFrames:
    """The frames that were looked at, ascending, in which there may be nothing.

    Attributes:
        indexes: frame indexes.
        time_s: seconds from the first frame, one for each.
    """

    indexes: tuple[int, ...] = ()
    time_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """Findings of one kind.

    Attributes:
        name: the channel that they come from, for instance ``detections``.
        columns: the columns, equally long.
        seen: the frames that their makers looked at.
    """

    name: str
    columns: tuple[TableColumn, ...]
    seen: SeenFrames = field(default_factory=SeenFrames)

    def __len__(self) -> int:
        return len(self.columns[0].values) if self.columns else 0

    def has(self, *names: str) -> bool:
        """Whether it has all of these columns."""
        return set(names) <= {column.name for column in self.columns}

    def values(self, name: str) -> list[Any]:
        """The values of a column, as plain Python values; KeyError where there is none."""
        for column in self.columns:
            if column.name == name:
                return _plain(column.values)
        raise KeyError(name)

    def rows(self) -> Iterator[Row]:
        """The rows in order, as dicts of plain Python values."""
        names = [column.name for column in self.columns]
        lists = [_plain(column.values) for column in self.columns]
        for values in zip(*lists, strict=True):
            yield dict(zip(names, values, strict=True))


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """The video that was looked at.

    Attributes:
        name: its file name.
        fingerprint: SHA-256 of all its bytes, hex.
        width: of the displayed frame, pixels.
        height: of the displayed frame, pixels.
        frame_rate: mean frames per second.
        duration_s: from the first frame to the end of the last, seconds.
        frame_count: number of displayed frames.
        time_base: seconds per unit of ``pts``.
    """

    name: str
    fingerprint: str
    width: int
    height: int
    frame_rate: Fraction
    duration_s: float
    frame_count: int
    time_base: Fraction


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found in a video.

    Attributes:
        video: the video.
        tables: the tables of findings by name.
        failures: what failed and was skipped, as JSON values.
        images: takes frame indexes, ascending, and gives each with its pixels, shape (H, W, 3),
            uint8, BGR, at the size of the displayed frame.
    """

    video: VideoFacts
    tables: Mapping[str, Table]
    failures: Sequence[Mapping[str, Any]]
    images: Callable[[Sequence[int]], Iterator[tuple[int, npt.NDArray[np.uint8]]]]


def _plain(values: Sequence[Any]) -> list[Any]:
    # Numbers are mostly numpy arrays; loading numpy only to ask would slow the command line's help.
    listed: list[Any] = getattr(values, "tolist", lambda: list(values))()
    return listed
