"""Long videos out of short real clips, by copying packets."""

from __future__ import annotations

import sys
from pathlib import Path

import av

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

WORK = Path(__file__).parent / "made"


def repeated(source: Path, seconds: float) -> Path:
    """The clip again and again until it lasts so long; kept in ``bench/made``."""
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
