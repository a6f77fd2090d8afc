"""Servers and clips that the tests of sources share."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from mediaproc.media import remote, write_video
from tests.servers import Served, http_server

ENDINGS = ["mp4", "faststart.mp4", "mkv", "ts", "avi"]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(remote, "RETRY_WAIT_S", 0.001)
    with http_server() as server:
        yield server


def noise(count: int, size_wh: tuple[int, int]) -> Iterator[npt.NDArray[np.uint8]]:
    """Frames that do not compress, so that a short clip has many bytes."""
    random = np.random.default_rng(3)
    for _ in range(count):
        yield random.integers(0, 256, (size_wh[1], size_wh[0], 3), dtype=np.uint8)


def moov_first(source: Path, target: Path) -> None:
    with (
        av.open(str(source)) as old,
        av.open(str(target), "w", options={"movflags": "+faststart"}) as new,
    ):
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same 100 frames, about 4 MB, in every container."""
    folder = tmp_path_factory.mktemp("clips")
    found = {}
    for ending in ENDINGS:
        found[ending] = folder / f"clip.{ending}"
        if ending == "faststart.mp4":
            moov_first(found["mp4"], found[ending])
            continue
        write_video(
            found[ending],
            noise(100, (240, 176)),
            fps=Fraction(25),
            size_wh=(240, 176),
            options={"g": "25", "bf": "2", "crf": "16", "preset": "ultrafast"},
        )
    return found


@pytest.fixture(scope="session")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 s, about 15 MB, a keyframe every second."""
    path = tmp_path_factory.mktemp("clips") / "long.mp4"
    options = {"g": "10", "crf": "10", "preset": "ultrafast"}
    write_video(path, noise(600, (160, 120)), fps=Fraction(10), size_wh=(160, 120), options=options)
    return path
