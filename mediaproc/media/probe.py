"""Opening videos safely, and what is known of one before a frame is decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from mediaproc.errors import MediaError
from mediaproc.media.source import Source, open_source

# Real containers only: playlists and scripts (hls, dash, concat) make FFmpeg open other files.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,mxf,ivf,gif,"
    "h264,hevc,m4v,obu,wtv,dv,nut"
)


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What is known of a video.

    Attributes:
        path: as it was given; of a URL, credentials and query are masked.
        fingerprint: SHA-256 of all its bytes, hex.
        size_bytes: size of the file or object.
        container: FFmpeg's name of the format.
        codec: FFmpeg's name of the video codec.
        width: of the coded frame, pixels.
        height: of the coded frame, pixels.
        rotation: degrees clockwise that turn the coded frame into the displayed one: 0, 90, 180
            or 270.
        time_base: seconds per PTS unit, as (numerator, denominator).
        avg_frame_rate: frames per second over the whole, as (numerator, denominator).
        start_pts: PTS of the first displayed frame.
        duration_s: from the first frame to the end of the last, seconds.
        frame_count: number of displayed frames.
        has_audio: whether there is an audio stream.
        identity: digest, hex, of what the same bytes are known again by at this place; None where
            nothing tells.
        pixel_aspect: width and height that a pixel of the coded frame is shown with.
        colour: primaries, transfer and matrix of the colours, as numbered in ITU-T H.273; 2 where
            the file does not say.
    """

    path: str
    fingerprint: str
    size_bytes: int
    container: str
    codec: str
    width: int
    height: int
    rotation: int
    time_base: tuple[int, int]
    avg_frame_rate: tuple[int, int]
    start_pts: int
    duration_s: float
    frame_count: int
    has_audio: bool
    identity: str | None = None
    pixel_aspect: tuple[int, int] = (1, 1)
    colour: tuple[int, int, int] = (2, 2, 2)

    @property
    def display_width(self) -> int:
        """Width of the displayed frame, pixels."""
        return self.height if self.rotation % 180 else self.width

    @property
    def display_height(self) -> int:
        """Height of the displayed frame, pixels."""
        return self.width if self.rotation % 180 else self.height

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            **asdict(self),
            "time_base": list(self.time_base),
            "avg_frame_rate": list(self.avg_frame_rate),
            "pixel_aspect": list(self.pixel_aspect),
            "colour": list(self.colour),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> VideoInfo:
        """What ``to_json`` gave, also that of earlier versions."""
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
        }
        return cls(**plain)


@contextmanager
def open_video(
    address: str, check: Callable[[Source], None] | None = None
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a path or URL and its first video stream.

    Only real container formats are opened, whatever the file says of itself, and nothing that it
    names.

    Args:
        address: a path, ``s3://`` or ``http(s)://``.
        check: called with the source before anything is read from it.

    Raises:
        MediaError: missing, a folder, empty, not a video container, damaged, or without video; a
            server that does not give its bytes; or what ``check`` raises.
    """
    with open_source(address) as source:
        if check is not None:
            check(source)
        with open_container(source) as opened:
            yield opened


@contextmanager
def open_container(source: Source) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container of an open source, from its start, and its first video stream.

    Raises:
        MediaError: as ``open_video``.
    """
    path = source.shown
    try:
        container = av.open(
            source.rewound(),
            "r",
            container_options={"format_whitelist": FORMATS, "protocol_whitelist": source.protocols},
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        source.check()
        raise MediaError(
            f"{path}: cannot be opened as a video: not a supported container, or its header is "
            f"damaged or missing ({_reason(error)})",
            path=path,
        ) from error
    with container:
        streams = [
            s
            for s in container.streams.video
            # A cover picture in an audio file is a video stream too.
            if not s.disposition & av.stream.Disposition.attached_pic
        ]
        if not streams:
            kinds = sorted({str(s.type) for s in container.streams}) or ["none"]
            raise MediaError(
                f"{path}: has no video stream; its streams: {', '.join(kinds)}", path=path
            )
        try:
            yield container, streams[0]
        except Exception:
            # What FFmpeg makes of a read that failed is not the cause.
            source.check()
            raise
        source.check()


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
