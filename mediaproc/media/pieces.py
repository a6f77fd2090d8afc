"""Rendering a long video in pieces: each encoded by itself, then joined packet by packet.

A piece is H.264 without B-frames that begins with an IDR frame, so its packets stand in the order
in which they are shown, one for each frame, and refer to nothing outside it. Pieces that were
encoded alike are joined without encoding again: packet n of a piece gets the time stamp of its
n-th frame in the source, to the unit.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.packet import Packet

from mediaproc.errors import MediaError
from mediaproc.media.probe import VideoInfo
from mediaproc.media.sound import Sound
from mediaproc.timing import timed

# Longest run without a keyframe, in seconds: how far a player has to go back to seek.
_KEYFRAME_S = 4.0
# H.273 numbers of the matrices that swscale converts to, by its names; others become BT.709.
_MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020"}
_UNSPECIFIED = 2
# Rounded to the nearest value, and with all columns of the picture in its chroma.
_SCALER = "flags=bilinear+accurate_rnd+full_chroma_inp"


@dataclass(frozen=True, slots=True)
class Encoding:
    """How pieces are encoded.

    Attributes:
        crf: constant rate factor of x264, 0..51. Lower is larger and nearer to the frames given.
        preset: of x264, such as ``medium``: how much time is spent on a smaller file.
    """

    crf: int = 20
    preset: str = "veryfast"


def even_size(width: int, height: int) -> tuple[int, int]:
    """The size of the encoded picture: H.264 in 4:2:0 takes even numbers of pixels only."""
    return width + width % 2, height + height % 2


def encode_piece(
    path: Path,
    frames: Iterable[tuple[int, npt.NDArray[np.uint8]]],
    info: VideoInfo,
    encoding: Encoding,
) -> int:
    """Encode adjacent frames as a piece of H.264 in MP4.

    Args:
        path: the file.
        frames: PTS in the time base of ``info``, ascending, and image, uint8, BGR, of its display
            size. Where a side is odd, its last row or column is shown twice.
        info: the video they are of; its colours are told alike, so that players show them alike.
        encoding: how.

    Returns:
        How many frames.
    """
    width, height = even_size(info.display_width, info.display_height)
    primaries, transfer, matrix = info.colour
    if matrix not in _MATRICES and matrix != _UNSPECIFIED:  # RGB and the like
        primaries, transfer, matrix = 1, 1, 1
    rate, base = Fraction(*info.avg_frame_rate), Fraction(*info.time_base)
    convert = _converter(width, height, base, _MATRICES.get(matrix, "bt601"))
    options = {
        "crf": str(encoding.crf),
        "preset": encoding.preset,
        "bf": "0",
        "g": str(max(1, round(_KEYFRAME_S * float(rate)))),
        # The same bytes on machines of few and of many cores.
        "threads": "1",
    }
    count = 0
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context: Any = stream.codec_context
        context.time_base = base
        context.sample_aspect_ratio = _shown_aspect(info)
        context.color_range = 1  # "limited", 16..235
        context.color_primaries, context.color_trc = primaries, transfer
        context.colorspace = matrix
        for pts, image in frames:
            with timed("encode"):
                container.mux(stream.encode(convert(pts, image)))
            count += 1
        container.mux(stream.encode(None))
    return count


def join_pieces(
    path: Path,
    pieces: Iterable[tuple[Path, Sequence[int]]],
    *,
    time_base: Fraction,
    last_duration: int,
    sound: Sound | None = None,
) -> int:
    """Join pieces to one MP4, without encoding them again, and put sound to it.

    Args:
        path: the file; a player can begin before it has all of it.
        pieces: each file with the PTS of its frames, in order; it is read before the next one is
            asked for, so that one at a time has to be there.
        time_base: seconds per unit of the PTS. The first PTS becomes the time 0.
        last_duration: how long the last frame stays, in units of the PTS.
        sound: what is heard with it, in seconds of the source.

    Returns:
        How many frames.

    Raises:
        MediaError: there is no piece, or one was not encoded as the first one.
    """
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as output:
        joined = _Joined(output, iter(pieces), time_base, last_duration)
        streams: list[Iterator[tuple[Fraction, Packet[Any]]]] = [joined.packets()]
        if sound is not None:
            streams.append(sound.packets(output, joined.start_s))
        # By time, so that the muxer has to hold back little of either.
        for _, packet in heapq.merge(*streams, key=lambda timed: timed[0]):
            output.mux(packet)
    return joined.count


class _Joined:
    """The packets of pieces as one stream of ``output``."""

    def __init__(
        self,
        output: Any,
        pieces: Iterator[tuple[Path, Sequence[int]]],
        time_base: Fraction,
        last_duration: int,
    ) -> None:
        first = next(pieces, None)
        if first is None:
            raise MediaError("there is no frame to make a video of")
        self._first, self._rest = first, pieces
        self._time_base, self._last_duration = time_base, last_duration
        self._start = first[1][0]
        with av.open(str(first[0]), format="mp4") as piece:
            self._stream = output.add_stream_from_template(piece.streams.video[0])
            self._parameters = _parameters(piece)
        # MP4 counts in fractions of 1/N s.
        self._stream.time_base = Fraction(1, time_base.denominator)
        self.count = 0

    @property
    def start_s(self) -> Fraction:
        """When the first frame is shown, in seconds of the source's clock."""
        return self._start * self._time_base

    def packets(self) -> Iterator[tuple[Fraction, Packet[Any]]]:
        """Each packet with its time, seconds from the first frame."""
        waiting: Packet[Any] | None = None
        shown = 0
        for path, stamps in self._pieces():
            with av.open(str(path), format="mp4") as piece:
                if _parameters(piece) != self._parameters:
                    raise MediaError(
                        f"piece {self.count} was not encoded as those before it: the versions of "
                        "PyAV or x264 differ; start a new job"
                    )
                packets = [p for p in piece.demux(video=0) if p.size]
                if len(packets) != len(stamps):
                    raise MediaError(
                        f"a rendered piece holds {len(packets)} frames and should hold "
                        f"{len(stamps)}; start a new job"
                    )
                for packet, pts in zip(packets, stamps, strict=True):
                    if waiting is not None:
                        yield self._timed(waiting, shown, pts - shown)
                    waiting, shown = packet, pts
                    self.count += 1
        assert waiting is not None
        yield self._timed(waiting, shown, self._last_duration)

    def _pieces(self) -> Iterator[tuple[Path, Sequence[int]]]:
        yield self._first
        yield from self._rest

    def _timed(self, packet: Packet[Any], pts: int, duration: int) -> tuple[Fraction, Packet[Any]]:
        units = self._time_base.numerator
        packet.stream = self._stream
        packet.time_base = Fraction(1, self._time_base.denominator)
        packet.pts = packet.dts = (pts - self._start) * units
        packet.duration = duration * units
        return (pts - self._start) * self._time_base, packet


def _parameters(piece: Any) -> tuple[Any, ...]:
    context = piece.streams.video[0].codec_context
    return context.name, context.width, context.height, bytes(context.extradata or b"")


def _shown_aspect(info: VideoInfo) -> Fraction:
    width, height = info.pixel_aspect
    return Fraction(height, width) if info.rotation % 180 else Fraction(width, height)


def _converter(width: int, height: int, base: Fraction, matrix: str) -> Any:
    """A function of PTS and BGR image to the frame that the encoder takes."""
    graph = av.filter.Graph()
    pixels_in = av.VideoFormat("bgr24", width, height)
    source = graph.add_buffer(width=width, height=height, format=pixels_in, time_base=base)
    scale = graph.add("scale", f"{_SCALER}:out_color_matrix={matrix}:out_range=tv")
    pixels, sink = graph.add("format", "yuv420p"), graph.add("buffersink")
    source.link_to(scale)
    scale.link_to(pixels)
    pixels.link_to(sink)
    graph.configure()

    def convert(pts: int, image: npt.NDArray[np.uint8]) -> av.VideoFrame:
        if image.shape[:2] != (height, width):
            down, right = height - image.shape[0], width - image.shape[1]
            image = cv2.copyMakeBorder(image, 0, down, 0, right, cv2.BORDER_REPLICATE).astype(
                np.uint8, copy=False
            )
        frame = av.VideoFrame.from_ndarray(image, format="bgr24")
        frame.pts, frame.time_base = pts, base
        graph.push(frame)
        converted = graph.pull()
        assert isinstance(converted, av.VideoFrame)
        return converted

    return convert
