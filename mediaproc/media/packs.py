"""Frame packs: many JPEG frames in one object, each readable and checkable on its own.

A pack is a header of eight bytes (magic, version) and then the frames, one behind the other. Its
index is kept apart, beside whatever names the object, so that one range read fetches a frame. What
stores the object is for the caller to choose: packs know bytes only.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

from mediaproc.errors import MediaError

VERSION = 1
_MAGIC = b"MPFPACK"
_HEADER = _MAGIC + bytes([VERSION])
# A frame's digest is the first bytes of a SHA-256: short in the index, and long enough.
_DIGEST_BYTES = 16
# Frames near each other come by one read: up to this gap between them, and this length in all.
_GAP_BYTES, _RUN_BYTES = 64 * 2**10, 8 * 2**20
# Reads of a frame whose bytes are wrong, the first included: they may have suffered on the way.
_READS = 3

ReadRange = Callable[[int, int], bytes]


class PackWriter:
    """Puts frames together in a pack."""

    def __init__(self) -> None:
        self._data = bytearray(_HEADER)
        self._frames: list[int] = []
        self._lengths: list[int] = []
        self._digests: list[bytes] = []

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def size(self) -> int:
        """Bytes of the pack so far."""
        return len(self._data)

    def add(self, frame_index: int, jpeg: bytes) -> None:
        """Append a frame.

        Args:
            frame_index: index of the frame, from 0; above that of the frame before.
            jpeg: its encoded bytes.

        Raises:
            ValueError: the index is out of order, or there are no bytes.
        """
        last = self._frames[-1] if self._frames else -1
        if frame_index <= last:
            raise ValueError(f"frame {frame_index} comes after frame {last} in a pack")
        if not jpeg:
            raise ValueError(f"frame {frame_index} has no bytes")
        self._data += jpeg
        self._frames.append(frame_index)
        self._lengths.append(len(jpeg))
        self._digests.append(_digest(frame_index, jpeg))

    def finish(self) -> tuple[bytes, PackIndex]:
        """The pack's bytes and its index."""
        index = PackIndex(tuple(self._frames), tuple(self._lengths), tuple(self._digests))
        return bytes(self._data), index


@dataclass(frozen=True)
class PackIndex:
    """Which frames a pack holds, and where.

    Attributes:
        frame_indexes: indexes of the frames, from 0, ascending.
        lengths: number of bytes of each frame.
        digests: of each frame's index and bytes.
    """

    frame_indexes: tuple[int, ...]
    lengths: tuple[int, ...]
    digests: tuple[bytes, ...]

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Where in the pack each frame begins, bytes."""
        return tuple(accumulate(self.lengths[:-1], initial=len(_HEADER)))

    def __len__(self) -> int:
        return len(self.frame_indexes)

    def to_json(self) -> dict[str, Any]:
        """The index as JSON values, of some 30 bytes a frame."""
        steps = (b - a for a, b in zip((0, *self.frame_indexes), self.frame_indexes, strict=False))
        return {
            "pack": VERSION,
            "steps": list(steps),
            "lengths": list(self.lengths),
            "digests": base64.b64encode(b"".join(self.digests)).decode(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PackIndex:
        """The index that ``to_json`` gave.

        Raises:
            MediaError: it is none, is damaged, or was written by another version.
        """
        version = data.get("pack")
        if version != VERSION:
            raise MediaError(
                f"frame pack index: version {version!r}, and this version of mediaproc reads "
                f"{VERSION}: start the job anew"
            )
        try:
            steps, lengths = list(data["steps"]), list(data["lengths"])
            joined = base64.b64decode(data["digests"], validate=True)
            sound = (
                len(steps) == len(lengths) == len(joined) / _DIGEST_BYTES
                and all(type(n) is int and n > 0 for n in (*steps[1:], *lengths))
                and all(type(n) is int and n >= 0 for n in steps[:1])
            )
        except (KeyError, TypeError, binascii.Error):
            sound = False
        if not sound:
            raise MediaError("frame pack index: it is damaged; start the job anew")
        cuts = range(0, len(joined), _DIGEST_BYTES)
        digests = tuple(joined[cut : cut + _DIGEST_BYTES] for cut in cuts)
        return cls(tuple(accumulate(steps)), tuple(lengths), digests)


def read_frames(
    index: PackIndex,
    read_range: ReadRange,
    frame_indexes: Sequence[int],
    *,
    name: str = "frame pack",
) -> Iterator[tuple[int, bytes]]:
    """Read frames out of a pack, those near each other by one read.

    Args:
        index: of the pack.
        read_range: ``(start, length) -> bytes`` of the pack.
        frame_indexes: indexes of the wanted frames, ascending.
        name: of the pack, for messages.

    Yields:
        Frame index and JPEG bytes, checked against the digest.

    Raises:
        MediaError: the pack has no such frame, or its bytes are damaged even when read again; the
            text names the frame.
    """
    positions = {frame: position for position, frame in enumerate(index.frame_indexes)}
    for frame in frame_indexes:
        if frame not in positions:
            raise MediaError(f"{name}: it has no frame {frame}")
    for run in _runs(index, [positions[frame] for frame in frame_indexes]):
        start = index.offsets[run[0]]
        data = read_range(start, index.offsets[run[-1]] + index.lengths[run[-1]] - start)
        for position in run:
            offset = index.offsets[position] - start
            jpeg = data[offset : offset + index.lengths[position]]
            yield index.frame_indexes[position], _checked(index, position, jpeg, read_range, name)


def _runs(index: PackIndex, positions: Sequence[int]) -> Iterator[list[int]]:
    """The positions in runs that one read fetches."""
    run: list[int] = []
    for position in positions:
        start, end = index.offsets[position], index.offsets[position] + index.lengths[position]
        if run:
            gap = start - index.offsets[run[-1]] - index.lengths[run[-1]]
            if gap > _GAP_BYTES or end - index.offsets[run[0]] > _RUN_BYTES:
                yield run
                run = []
        run.append(position)
    if run:
        yield run


def _checked(
    index: PackIndex, position: int, jpeg: bytes, read_range: ReadRange, name: str
) -> bytes:
    """``jpeg``, or what further reads give, once it matches its digest."""
    frame, length = index.frame_indexes[position], index.lengths[position]
    for attempt in range(_READS):
        if attempt:
            jpeg = read_range(index.offsets[position], length)
        if _digest(frame, jpeg) == index.digests[position]:
            return jpeg
    head = read_range(0, len(_HEADER))
    if not head.startswith(_MAGIC):
        raise MediaError(f"{name}: it is no frame pack; frame {frame} cannot be read from it")
    if len(head) == len(_HEADER) and head != _HEADER:
        raise MediaError(
            f"{name}: a frame pack of version {head[-1]}, and this version of mediaproc reads "
            f"{VERSION}; frame {frame} cannot be read from it"
        )
    short = f"{len(jpeg)} of its {length} bytes are there"
    problem = short if len(jpeg) < length else "its bytes do not match its digest"
    raise MediaError(f"{name}: frame {frame} is damaged: {problem}; delete it and start anew")


def _digest(frame_index: int, jpeg: bytes) -> bytes:
    """Digest of a frame; its index is in it, so that two frames cannot change places."""
    mark = frame_index.to_bytes(8, "little")
    return hashlib.sha256(mark + jpeg).digest()[:_DIGEST_BYTES]
