"""Decoding sound: mono, 16 kHz, on a time axis that begins with the video's first frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from math import ceil, gcd

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

from mediaproc.media.probe import open_video
from mediaproc.media.source import Source

# Samples per second of what is decoded; speech models want no other.
AUDIO_HZ = 16_000
# Decoding begins so much earlier: codecs need a few packets before theirs is right, and the
# resampler a few samples.
_LEAD_S = Fraction(1)
# Stamps are rounded to the container's time base, 1 ms in Matroska; only more than this is a gap.
_GAP_S = Fraction(1, 50)

Samples = npt.NDArray[np.float32]


def decode_audio(
    address: str,
    start_pts: int,
    time_base: Fraction,
    start_s: float,
    end_s: float,
    *,
    check: Callable[[Source], None] | None = None,
) -> Samples:
    """The sound of a stretch of a video, from its first audio track, channels mixed into one.

    Sample ``n`` of the video is heard ``n / AUDIO_HZ`` seconds after its first frame appears. What
    is returned are the samples from ``round(start_s * AUDIO_HZ)`` up to ``round(end_s *
    AUDIO_HZ)``; they are silence where the track has nothing. A sample comes out the same wherever
    reading begins, up to one unit of the container's time base: Matroska rounds stamps to 1 ms, so
    that there a piece may lie 1 ms beside where reading from the start would put it.

    Args:
        address: a path, ``s3://`` or ``http(s)://``.
        start_pts: PTS of the video's first frame.
        time_base: seconds per unit of ``start_pts``.
        start_s: seconds from the first frame.
        end_s: seconds from the first frame.
        check: called with the opened source; see ``SameVideo``.

    Returns:
        Shape (N,), float32, -1..1; N = 0 where the video has no audio track.

    Raises:
        MediaError: the bytes cannot be had, or are others than ``check`` allows.
    """
    first, last = round(start_s * AUDIO_HZ), round(end_s * AUDIO_HZ)
    with open_video(address, check) as (container, _):
        if not container.streams.audio or last <= first:
            return np.zeros(0, dtype=np.float32)
        stream = container.streams.audio[0]
        samples = np.zeros(last - first, dtype=np.float32)
        origin = start_pts * time_base
        for position, piece in _resampled(container, stream, origin, Fraction(first, AUDIO_HZ)):
            if position >= last:
                break
            low, high = max(position, first), min(position + len(piece), last)
            if low < high:
                samples[low - first : high - first] = piece[low - position : high - position]
        return samples


def _resampled(
    container: InputContainer, stream: AudioStream, origin: Fraction, start: Fraction
) -> Iterator[tuple[int, Samples]]:
    """Runs of samples, each with the position of its first one, from before ``start`` on.

    Args:
        container: the opened container.
        stream: the track.
        origin: container time of the video's first frame, seconds.
        start: seconds from there.
    """
    run: _Run | None = None
    for frame in _decoded(container, stream, origin + start - _LEAD_S):
        at = None
        if frame.pts is not None and frame.time_base is not None:
            at = (frame.pts * frame.time_base - origin) * frame.sample_rate
        if run is None or run.is_over(frame, at):
            if run is not None:
                yield from run.rest()
            run = _Run(frame.sample_rate, round(at or 0))
        yield from run.added(frame)
    if run is not None:
        yield from run.rest()


class _Run:
    """Sound without a gap: frame after frame in, samples on our own axis out.

    Args:
        rate: samples per second of what comes in.
        first: position of the first sample that comes in, at that rate.
    """

    def __init__(self, rate: int, first: int) -> None:
        self._rate = rate
        self._next = first
        # The resampler counts from what it is given first: a sample that falls on one of ours.
        step = rate // gcd(rate, AUDIO_HZ)
        begin = ceil(Fraction(first, step)) * step
        self._skip = begin - first
        self._position = begin * AUDIO_HZ // rate
        self._mono = AudioResampler(format="flt", layout="mono", rate=rate)
        self._slow = AudioResampler(format="flt", layout="mono", rate=AUDIO_HZ)

    def is_over(self, frame: AudioFrame, at: Fraction | None) -> bool:
        """Whether a frame whose stamp says ``at``, in samples, does not go on with the run."""
        if frame.sample_rate != self._rate:
            return True
        return at is not None and abs(at - self._next) > _GAP_S * self._rate

    def added(self, frame: AudioFrame) -> Iterator[tuple[int, Samples]]:
        """What comes out for a frame."""
        self._next += frame.samples
        for mono in self._mono.resample(frame):
            samples = mono.to_ndarray()[:, self._skip :]
            self._skip -= min(self._skip, mono.samples)
            if samples.shape[1]:
                given = AudioFrame.from_ndarray(samples, format="flt", layout="mono")
                given.sample_rate = self._rate
                yield from self._out(self._slow.resample(given))

    def rest(self) -> Iterator[tuple[int, Samples]]:
        """What the resampler still holds at the end of the run."""
        yield from self._out(self._slow.resample(None))

    def _out(self, frames: list[AudioFrame]) -> Iterator[tuple[int, Samples]]:
        for frame in frames:
            yield self._position, frame.to_ndarray()[0]
            self._position += frame.samples


def _decoded(
    container: InputContainer, stream: AudioStream, start: Fraction
) -> Iterator[AudioFrame]:
    """Frames from a packet at or before ``start``, in seconds of container time."""
    assert stream.time_base is not None
    begin = stream.start_time or 0
    target = max(begin, int(start / stream.time_base))
    if target > begin:
        container.seek(target, stream=stream, backward=True)
    try:
        for packet in container.demux(stream):
            try:
                yield from packet.decode()
            except av.error.InvalidDataError:
                # A damaged packet leaves a gap, which is silence.
                continue
    except av.error.FFmpegError:
        # A damaged tail: what came before it counts.
        return
