"""Clips: real ones at another size, and long ones by copying packets; in ``bench/made``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from measure import ROOT

sys.path.insert(0, str(ROOT))

from mediaproc.media import write_video

WORK = Path(__file__).parent / "made"
FPS = Fraction(25)

Picture = npt.NDArray[np.uint8]


def repeated(source: Path, seconds: float) -> Path:
    """The clip again and again until it lasts so long."""
    WORK.mkdir(exist_ok=True)
    target = WORK / f"{source.stem}-{seconds:.0f}s.mp4"
    if target.exists():
        return target
    partial = target.with_suffix(".part.mp4")
    with av.open(str(source)) as given, av.open(str(partial), "w") as made:
        stream = given.streams.video[0]
        copied = made.add_stream_from_template(stream)
        length = round(float(stream.duration * stream.time_base) / float(stream.time_base))
        offset = 0
        while offset * float(stream.time_base) < seconds:
            given.seek(0)
            for packet in given.demux(stream):
                if packet.dts is None:
                    continue
                packet.pts += offset
                packet.dts += offset
                packet.stream = copied
                made.mux(packet)
            offset += length
    partial.replace(target)
    return target


def pictures(source: Path, size_wh: tuple[int, int]) -> Iterator[Picture]:
    """The frames of a clip at another size, each shape (H, W, 3), uint8, BGR."""
    width, height = size_wh
    with av.open(str(source)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(
                format="bgr24", width=width, height=height, interpolation="BICUBIC"
            )


def encoded(name: str, frames: Iterable[Picture], size_wh: tuple[int, int], gop: int) -> Path:
    """Frames at 25 a second as H.264 with 2 B-frames, a keyframe every ``gop`` frames."""
    WORK.mkdir(exist_ok=True)
    target = WORK / f"{name}.mp4"
    if not target.exists():
        partial = target.with_suffix(".part.mp4")
        # Keyframes at cuts would make the distance between them another.
        options = {"g": str(gop), "sc_threshold": "0", "bf": "2", "crf": "20"}
        write_video(partial, frames, fps=FPS, size_wh=size_wh, options=options)
        partial.replace(target)
    return target


def scaled(source: Path, size_wh: tuple[int, int], gop: int) -> Path:
    """A clip of 25 frames a second at another size; see ``encoded``."""
    name = f"{source.stem}-{size_wh[0]}x{size_wh[1]}-g{gop}"
    return encoded(name, pictures(source, size_wh), size_wh, gop)
