"""Videos that stages made in a test, and clips of every awkward shape for them to work on."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from mediaproc.blobs import BlobRef, LocalBlobStore
from mediaproc.detect.rows import Rows
from mediaproc.media import FrameIndex, decode_frames, index_video, write_video
from tests.media.sounding import write_clip

Image = npt.NDArray[np.uint8]

AWKWARD = ("one frame", "4K", "vertical", "odd", "variable rate", "with sound")


def made(folder: Path, tables: dict[str, Rows]) -> dict[str, Path]:
    """The files that stages made, by name, written where a test can read them."""
    blobs, found = LocalBlobStore(folder / "blobs"), {}
    for row in tables["files"].records():
        path = folder / "made" / row["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        blobs.copy_to(BlobRef.from_json(row["blob"]), path)
        found[row["name"]] = path
    return found


def images(path: Path) -> Iterator[Image]:
    """All frames of a video."""
    _, index = index_video(str(path))
    return (frame.image for frame in decode_frames(str(path), index, range(len(index))))


def stamps(path: Path) -> list[Fraction]:
    """When each frame is shown, exactly, from the first one."""
    _, index = index_video(str(path))
    return [_since(index, frame) for frame in range(len(index))]


def awkward(kind: str, folder: Path) -> Path:
    """A clip of one of the kinds in ``AWKWARD``, with a light square in its upper left quarter."""
    path = folder / "clip.mp4"
    if kind == "with sound":
        write_clip(path, "aac")
    elif kind == "odd":
        path = folder / "clip.mkv"
        with av.open(str(path), "w") as container:
            stream: Any = container.add_stream("ffv1", rate=25)
            stream.width, stream.height, stream.pix_fmt = 161, 121, "bgr0"
            for image in _squares(161, 121, 20):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
            container.mux(stream.encode(None))
    elif kind == "vertical":
        plain = folder / "plain.mp4"
        write_video(plain, _squares(320, 180, 20), fps=Fraction(25), size_wh=(320, 180))
        with av.open(str(plain)) as container, av.open(str(path), "w") as output:
            stream = output.add_stream_from_template(container.streams.video[0])
            stream.set_display_rotation(90)
            for packet in container.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    output.mux(packet)
    elif kind == "variable rate":
        pts = np.cumsum([40, 40, 120, 33, 47, 500, 40, 40, 10, 90] * 4).tolist()
        base = Fraction(1, 1000)
        frames = _squares(160, 120, len(pts))
        write_video(path, frames, fps=Fraction(25), size_wh=(160, 120), pts=pts, time_base=base)
    else:
        size = (3840, 2160) if kind == "4K" else (160, 120)
        frames = _squares(*size, 1 if kind == "one frame" else 3)
        options = {"preset": "ultrafast"}
        write_video(path, frames, fps=Fraction(25), size_wh=size, options=options)
    return path


def _squares(width: int, height: int, count: int) -> Iterator[Image]:
    for _ in range(count):
        image = np.full((height, width, 3), 60, dtype=np.uint8)
        image[height // 8 : height // 4, width // 8 : width // 4] = 220
        yield image


def _since(index: FrameIndex, frame: int) -> Fraction:
    return int(index.pts[frame] - index.pts[0]) * index.time_base
