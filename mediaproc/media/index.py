"""The frames of a video, from one pass over its packets, and the blocks it falls into."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.video.stream import VideoStream

from mediaproc.errors import MediaError
from mediaproc.media.fingerprint import FingerprintMemory, Hashing
from mediaproc.media.probe import VideoInfo, open_container
from mediaproc.media.source import Source, open_source

# Shortest and longest anchor block, in seconds: shorter runs between keyframes are joined, longer
# ones are cut. Both follow from the video alone. Encoders like to put keyframes 250 frames apart,
# which are 10.4 s of film: a block that does not begin at one costs decoding from there.
BLOCK_MIN_S = 1.0
BLOCK_MAX_S = 12.5


@dataclass(frozen=True, slots=True, eq=False)
class FrameIndex:
    """Every displayed frame of a video, in presentation order.

    Attributes:
        pts: presentation time stamps, ascending, shape (N,), int64.
        keyframes: whether decoding can start at the frame, shape (N,), bool.
        labels: the time stamps that the decoder puts on the frames, shape (N,), int64: equal to
            ``pts``, but for containers without presentation times, where they are out of order.
        time_base: seconds per PTS unit.
        last_duration: length of the last frame, in PTS units.
    """

    pts: npt.NDArray[np.int64]
    keyframes: npt.NDArray[np.bool_]
    labels: npt.NDArray[np.int64]
    time_base: Fraction
    last_duration: int

    def __len__(self) -> int:
        return len(self.pts)

    def time_s(self, frame: int) -> float:
        """Seconds from the first frame to ``frame``."""
        return float((int(self.pts[frame]) - int(self.pts[0])) * self.time_base)

    def end_s(self, frame: int) -> float:
        """Seconds from the first frame to the end of ``frame``."""
        if frame + 1 < len(self.pts):
            return self.time_s(frame + 1)
        last = int(self.pts[-1]) + self.last_duration - int(self.pts[0])
        return float(last * self.time_base)

    def keyframe_before(self, frame: int) -> int:
        """The last keyframe at or before ``frame``; 0 where there is none."""
        found = np.flatnonzero(self.keyframes[: frame + 1])
        return int(found[-1]) if len(found) else 0

    def to_bytes(self) -> bytes:
        """The index as bytes, equal for equal indexes."""
        head = np.array(
            [self.time_base.numerator, self.time_base.denominator, self.last_duration, len(self)],
            dtype="<i8",
        )
        stamps = self.pts.astype("<i8").tobytes() + self.labels.astype("<i8").tobytes()
        return head.tobytes() + stamps + self.keyframes.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> FrameIndex:
        """The index that ``to_bytes`` gave."""
        stream = io.BytesIO(data)
        num, den, last, count = np.frombuffer(stream.read(32), dtype="<i8").tolist()
        pts = np.frombuffer(stream.read(8 * count), dtype="<i8").astype(np.int64)
        labels = np.frombuffer(stream.read(8 * count), dtype="<i8").astype(np.int64)
        keyframes = np.frombuffer(stream.read(count), dtype=np.bool_)
        return cls(pts, keyframes, labels, Fraction(num, den), last)


@dataclass(frozen=True, slots=True)
class AnchorBlock:
    """A run of frames that is the same however the video is cut into segments.

    Attributes:
        start_frame: first frame.
        end_frame: frame after the last one.
    """

    start_frame: int
    end_frame: int


def anchors(index: FrameIndex) -> list[AnchorBlock]:
    """The blocks of a video, in order: from keyframe to keyframe, at least 1 s long.

    Runs of more than 12.5 s without a keyframe are cut into equal pieces.
    """
    shortest, longest = (s / float(index.time_base) for s in (BLOCK_MIN_S, BLOCK_MAX_S))
    end = int(index.pts[-1]) + index.last_duration
    starts = [0]
    for frame in np.flatnonzero(index.keyframes).tolist():
        if int(index.pts[frame]) - int(index.pts[starts[-1]]) >= shortest:
            starts.append(frame)
    # A tail too short to stand alone belongs to the block before it.
    if len(starts) > 1 and end - int(index.pts[starts[-1]]) < shortest:
        starts.pop()
    blocks = []
    for start, after in zip(starts, [*starts[1:], len(index)], strict=True):
        first = int(index.pts[start])
        length = (int(index.pts[after]) if after < len(index) else end) - first
        pieces = math.ceil(length / longest)
        ticks = [first + length * piece // pieces for piece in range(1, pieces)]
        inner = np.searchsorted(index.pts, ticks).tolist()
        # Where frames are far apart, two cuts may fall on the same one.
        cuts = sorted({start, after, *inner})
        blocks += [AnchorBlock(a, b) for a, b in itertools.pairwise(cuts)]
    return blocks


def index_video(
    address: str, remembered: FingerprintMemory | None = None
) -> tuple[VideoInfo, FrameIndex]:
    """Read a video's packets and its first frame, and hash its bytes.

    Args:
        address: a path, ``s3://`` or ``http(s)://``.
        remembered: fingerprints; a file that is in it is not read a second time to be hashed.

    Raises:
        MediaError: it cannot be opened, holds no frame that can be decoded, or changes meanwhile.
    """
    with open_source(address) as source:
        return _indexed(source, remembered)


def _indexed(source: Source, remembered: FingerprintMemory | None) -> tuple[VideoInfo, FrameIndex]:
    path = source.shown
    with open_container(source) as (container, stream):
        hashing = Hashing(source, remembered)
        # AVI stores no presentation times: only decoding tells the order of its frames.
        ordered = container.format.name != "avi"
        found = _packet_index(container, stream, path) if ordered else None
        has_audio = bool(container.streams.audio)
        kind, codec = container.format.name, stream.codec_context.name
    with open_container(source) as (container, stream):
        first = _first_frame(container, stream, path)
        aspect = stream.sample_aspect_ratio or Fraction(1)
    if found is None:
        with open_container(source) as (container, stream):
            found = _decoded_index(container, stream, path)
    fingerprint = hashing.result()
    duration = Fraction(int(found.pts[-1]) - int(found.pts[0]) + found.last_duration)
    duration_s = duration * found.time_base
    rate = Fraction(len(found)) / duration_s if duration_s else Fraction(1)
    rate = rate.limit_denominator(100_000)
    info = VideoInfo(
        path=path,
        fingerprint=fingerprint,
        size_bytes=source.size,
        container=kind,
        codec=codec,
        width=first.width,
        height=first.height,
        rotation=-first.rotation % 360,
        time_base=(found.time_base.numerator, found.time_base.denominator),
        avg_frame_rate=(rate.numerator, rate.denominator),
        start_pts=int(found.pts[0]),
        duration_s=float(duration_s),
        frame_count=len(found),
        has_audio=has_audio,
        identity=source.identity,
        pixel_aspect=(aspect.numerator, aspect.denominator),
        colour=(int(first.color_primaries), int(first.color_trc), int(first.colorspace)),
    )
    return info, found


def _packet_index(container: InputContainer, stream: VideoStream, path: str) -> FrameIndex | None:
    """The index from packets alone, or None where some packets carry no time stamp."""
    pts: list[int] = []
    keyframes: list[bool] = []
    durations: list[int] = []
    base = stream.time_base
    try:
        for packet in container.demux(stream):
            # The last packet of a demuxer is an empty one that flushes the decoder; discarded ones
            # lie outside the edit list and are never displayed.
            if packet.size == 0 or packet.is_discard or packet.is_corrupt:
                continue
            if packet.pts is None:
                return None
            pts.append(packet.pts)
            keyframes.append(packet.is_keyframe)
            durations.append(packet.duration or 0)
    except av.error.FFmpegError:
        # The end of a truncated file: what came before it counts.
        if not pts:
            raise MediaError(f"{path}: no packet of it can be read", path=path) from None
    if not pts or base is None:
        raise MediaError(f"{path}: the video stream holds no frame", path=path)
    return _ordered(pts, keyframes, durations, base)


def _decoded_index(container: InputContainer, stream: VideoStream, path: str) -> FrameIndex:
    """The index from decoding everything, for packets that do not tell when they are shown."""
    labels: list[int] = []
    keyframes: list[bool] = []
    base = stream.time_base
    for frame in _decoded(container, stream):
        if frame.pts is not None and frame.pts not in labels[-64:]:
            labels.append(frame.pts)
            keyframes.append(frame.key_frame)
    if not labels or base is None:
        raise MediaError(f"{path}: its frames carry no time stamps", path=path)
    found = _ordered(sorted(labels), keyframes, [0] * len(labels), base)
    return replace(found, labels=np.array(labels[-len(found) :], dtype=np.int64))


def _ordered(
    pts: list[int], keyframes: list[bool], durations: list[int], base: Fraction
) -> FrameIndex:
    stamps, positions = np.unique(np.array(pts, dtype=np.int64), return_index=True)
    flags = np.array(keyframes, dtype=np.bool_)[positions]
    last = durations[int(positions[-1])]
    if last <= 0:
        span = int(stamps[-1] - stamps[0])
        last = round(span / (len(stamps) - 1)) if len(stamps) > 1 else round(1 / (25 * base))
    # Frames ahead of the first keyframe cannot be decoded.
    first = int(np.argmax(flags)) if flags.any() else 0
    return FrameIndex(stamps[first:], flags[first:], stamps[first:], base, max(1, last))


def _first_frame(container: InputContainer, stream: VideoStream, path: str) -> Any:
    for frame in _decoded(container, stream):
        return frame
    raise MediaError(
        f"{path}: no frame of it can be decoded ({stream.codec_context.name})", path=path
    )


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[Any]:
    stream.codec_context.thread_count = 1
    try:
        for packet in container.demux(stream):
            try:
                yield from packet.decode()
            except av.error.InvalidDataError:
                continue
    except av.error.FFmpegError:
        return
