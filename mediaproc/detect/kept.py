"""Frames kept in the blob store, so that a job needs its video no more once it has chosen them.

What stages see of kept frames is always what was kept, JPEG's losses included, also in the process
that kept them: so results are the same wherever a job goes on.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import cv2

from mediaproc.blobs import BlobRef, BlobStore
from mediaproc.detect.state import Frame, Frames
from mediaproc.errors import MediaError
from mediaproc.media import PackIndex, PackWriter, decode_jpeg, encode_jpeg, prefetch, read_frames
from mediaproc.timing import timed

if TYPE_CHECKING:
    from mediaproc.media import Resample

# Frames of one stored object, as long as they stay below so many bytes.
PACK_FRAMES = 64
PACK_BYTES = 32 * 2**20
# What was packed lately, and so is not read back.
_RECENT_BYTES = 96 * 2**20
_DECODE_AHEAD = 8


@dataclass(frozen=True, slots=True)
class KeptPack:
    """A stored pack of frames.

    Attributes:
        ref: the stored object.
        index: the frames in it.
    """

    ref: BlobRef
    index: PackIndex

    def to_json(self) -> dict[str, Any]:
        """The pack as JSON values."""
        return {"blob": self.ref.to_json(), "index": self.index.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> KeptPack:
        """The pack that ``to_json`` gave."""
        return cls(BlobRef.from_json(data["blob"]), PackIndex.from_json(data["index"]))


class KeptMedia:
    """The pixels of kept frames.

    Args:
        packs: where they are, ascending.
        times: frame index -> (PTS, seconds from the first frame).
        blobs: the store.
    """

    def __init__(
        self, packs: Sequence[KeptPack], times: Mapping[int, tuple[int, float]], blobs: BlobStore
    ) -> None:
        self.packs = tuple(packs)
        self._times = times
        self._blobs = blobs

    def images(
        self,
        frame_indexes: Sequence[int],
        *,
        size_wh: tuple[int, int] | None = None,
        resample: Resample = "smooth",
    ) -> Iterator[Frame]:
        """The given frames, ascending, scaled to ``size_wh`` where given.

        Raises:
            MediaError: a frame was not kept, or is damaged.
            BlobError: a stored object is missing.
        """
        with prefetch(self._decoded(frame_indexes, size_wh, resample), _DECODE_AHEAD) as frames:
            yield from frames

    def stored(self) -> list[dict[str, Any]]:
        """Where the frames are, as JSON values."""
        return [pack.to_json() for pack in self.packs]

    def joined(self, pieces: Sequence[KeptMedia]) -> KeptMedia:
        """The kept frames of several pieces, in the order given."""
        packs: dict[BlobRef, KeptPack] = {p.ref: p for piece in pieces for p in piece.packs}
        times = {index: time for piece in pieces for index, time in piece._times.items()}
        return KeptMedia(tuple(packs.values()), times, self._blobs)

    def _decoded(
        self, wanted: Sequence[int], size_wh: tuple[int, int] | None, resample: Resample
    ) -> Iterator[Frame]:
        method = cv2.INTER_LINEAR if resample == "linear" else cv2.INTER_AREA
        for pack, here in self._found(wanted):
            name = f"frame pack {pack.ref.key} in {self._blobs}"
            for index, jpeg in read_frames(pack.index, self._reader(pack), here, name=name):
                with timed("decode"):
                    image = decode_jpeg(jpeg)
                    if size_wh is not None and size_wh != (image.shape[1], image.shape[0]):
                        image = cv2.resize(image, size_wh, interpolation=method)
                pts, time_s = self._times[index]
                yield Frame(index, pts, time_s, image)

    def _found(self, wanted: Sequence[int]) -> Iterator[tuple[KeptPack, list[int]]]:
        """Runs of the wanted frames, each with the first pack that holds it.

        Packs overlap where a piece of the video was kept once more with other neighbours.
        """
        holder: dict[int, KeptPack] = {}
        for pack in self.packs:
            for index in pack.index.frame_indexes:
                holder.setdefault(index, pack)
        indexes = [int(index) for index in wanted]
        for index in indexes:
            if index not in holder:
                raise MediaError(f"frame {index} was not kept: start the job anew")
        for _, run in groupby(indexes, key=lambda index: holder[index].ref):
            here = list(run)
            yield holder[here[0]], here

    def _reader(self, pack: KeptPack) -> Any:
        def read(start: int, length: int) -> bytes:
            recent = _RECENT.get(pack.ref)
            if recent is not None:
                return recent[start : start + length]
            return self._blobs.get_range(pack.ref, start, length)

        return read


def keep(frames: Frames, blobs: BlobStore, quality: int) -> Frames:
    """Store the pixels of frames in packs; the same frames, read from there.

    Args:
        frames: frames read from the video.
        blobs: the store.
        quality: of the JPEGs, 1..100.
    """
    packs: list[KeptPack] = []
    writer = PackWriter()

    def stored() -> None:
        nonlocal writer
        data, index = writer.finish()
        ref = blobs.put(data)
        _RECENT.put(ref, data)
        packs.append(KeptPack(ref, index))
        writer = PackWriter()

    for frame in frames.images():
        with timed("encode"):
            jpeg = encode_jpeg(frame.image, quality)
        writer.add(frame.index, jpeg)
        if len(writer) >= PACK_FRAMES or writer.size >= PACK_BYTES:
            stored()
    if len(writer):
        stored()
    return kept_frames(frames, packs, blobs)


def kept_frames(frames: Frames, packs: Sequence[KeptPack], blobs: BlobStore) -> Frames:
    """The same frames, read from packs."""
    stamps = zip(frames.pts.tolist(), frames.time_s.tolist(), strict=True)
    times = dict(zip(frames.indexes.tolist(), stamps, strict=True))
    return frames.read_from(KeptMedia(packs, times, blobs))


def frames_from_json(data: Mapping[str, Any], packs: Any, blobs: BlobStore) -> Frames:
    """Kept frames out of what ``Frames.to_json`` and ``KeptMedia.stored`` gave."""
    frames = Frames.from_json(data, KeptMedia((), {}, blobs))
    return kept_frames(frames, [KeptPack.from_json(pack) for pack in packs], blobs)


class _Recent:
    """Packs by digest, the least recently used going first once they are too many bytes."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._packs: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, ref: BlobRef) -> bytes | None:
        with self._lock:
            data = self._packs.get(ref.sha256)
            if data is not None:
                self._packs.move_to_end(ref.sha256)
            return data

    def put(self, ref: BlobRef, data: bytes) -> None:
        with self._lock:
            if ref.sha256 not in self._packs:
                self._packs[ref.sha256] = data
                self._bytes += len(data)
            while self._bytes > self._most and len(self._packs) > 1:
                _, gone = self._packs.popitem(last=False)
                self._bytes -= len(gone)


_RECENT = _Recent(_RECENT_BYTES)
