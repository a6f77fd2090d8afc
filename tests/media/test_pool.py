"""Frames decoded once for many readers, who get what decoding alone would give them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Generator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediaproc.errors import MediaError
from mediaproc.media import Decoder, FrameIndex, FramePool, Scaler, index_video, write_video

COUNT = 60


class Counted(Decoder):
    """A decoder that tells which frames came out of it."""

    runs: list[list[int]]

    def frames(self, wanted: Sequence[int]) -> Generator[tuple[int, Any]]:
        out: list[int] = []
        self.runs.append(out)
        for number, frame in super().frames(wanted):
            out.append(number)
            yield number, frame


class Fixture:
    """A pool over a clip, with what its decoders did."""

    def __init__(self, path: Path, most_bytes: int) -> None:
        _, self.index = index_video(str(path))
        self.path = path
        self.opened: list[Counted] = []
        self.runs: list[list[int]] = []
        self.pool = FramePool(self._open, most_bytes)

    def _open(self) -> Counted:
        decoder = Counted(str(self.path), self.index)
        decoder.runs = self.runs
        self.opened.append(decoder)
        return decoder


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pool") / "clip.mp4"
    noise = np.random.default_rng(7)
    frames = [noise.integers(0, 255, (96, 128, 3), dtype=np.uint8) for _ in range(COUNT)]
    write_video(path, frames, fps=Fraction(25), size_wh=(128, 96), options={"g": "15", "bf": "2"})
    return path


@pytest.fixture
def make(clip: Path) -> Callable[..., Fixture]:
    return lambda most_bytes=10**8: Fixture(clip, most_bytes)


def digests(frames: Any) -> dict[int, str]:
    scaler = Scaler(None, "smooth")
    return {
        number: hashlib.sha256(scaler.image(frame).tobytes()).hexdigest()
        for number, frame in frames
    }


def plain(clip: Path, index: FrameIndex, wanted: Sequence[int]) -> dict[int, str]:
    return digests(Decoder(str(clip), index).frames(wanted))


def test_pool_decodes_once_what_two_read_at_the_same_time(make: Callable[..., Fixture]) -> None:
    fixture = make()
    wanted = range(0, COUNT, 2)
    first = fixture.pool.frames(wanted, readers=2, shared=wanted)
    second = fixture.pool.frames(wanted, readers=2, shared=wanted)
    both = [(next(first)[0], next(second)[0]) for _ in wanted]
    assert both == [(n, n) for n in wanted]
    assert fixture.runs == [list(wanted)]


def test_pool_holds_shared_frames_for_a_reader_to_come(make: Callable[..., Fixture]) -> None:
    fixture = make()
    shared = range(0, COUNT, 12)
    for _ in fixture.pool.frames(range(COUNT), readers=1, shared=shared):
        pass
    found = digests(fixture.pool.frames(shared, readers=1, shared=shared))
    assert found == plain(fixture.path, fixture.index, shared)
    assert fixture.runs == [list(range(COUNT))]


def test_pool_lets_go_of_what_every_expected_reader_has_had(make: Callable[..., Fixture]) -> None:
    fixture = make()
    shared = range(0, COUNT, 12)
    for _ in fixture.pool.frames(range(COUNT), readers=2, shared=shared):
        pass
    held = []
    for _ in range(2):
        held.append(fixture.pool.held_bytes())
        for _ in fixture.pool.frames(shared, readers=2, shared=shared):
            pass
    assert held[0] == held[1] > 0
    assert fixture.pool.held_bytes() == 0


def test_pool_holds_no_more_than_its_budget_for_readers_to_come(
    make: Callable[..., Fixture],
) -> None:
    fixture = make(most_bytes=200_000)
    for _ in fixture.pool.frames(range(COUNT), readers=2, shared=range(COUNT)):
        pass
    assert 0 < fixture.pool.held_bytes() <= 200_000


def test_pool_reader_that_lags_beyond_the_budget_decodes_for_itself(
    make: Callable[..., Fixture],
) -> None:
    fixture = make(most_bytes=200_000)
    slow = fixture.pool.frames(range(COUNT))
    begun = [next(slow)]
    fast = digests(fixture.pool.frames(range(COUNT)))
    late = digests([*begun, *slow])
    assert late == fast == plain(fixture.path, fixture.index, range(COUNT))
    assert len(fixture.runs) == 2


def test_pool_frames_of_many_threads_are_those_of_plain_decoding(
    make: Callable[..., Fixture],
) -> None:
    fixture = make(most_bytes=400_000)
    asked = [range(COUNT), range(0, COUNT, 5), range(0, COUNT, 5), range(20, 50), range(3, 40, 3)]
    found: dict[int, dict[int, str]] = {}

    def read(number: int) -> None:
        found[number] = digests(
            fixture.pool.frames(asked[number], readers=2, shared=range(0, COUNT, 5))
        )

    threads = [threading.Thread(target=read, args=(n,)) for n in range(len(asked))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, wanted in enumerate(asked):
        assert found[number] == plain(fixture.path, fixture.index, wanted), wanted


def test_pool_hands_an_error_of_decoding_to_its_reader(make: Callable[..., Fixture]) -> None:
    fixture = make()
    fixture.pool._open = lambda: Counted(str(fixture.path) + ".gone", fixture.index)
    with pytest.raises(MediaError, match="no such file"):
        list(fixture.pool.frames(range(5)))


def test_pool_stops_decoding_when_nobody_reads_on(make: Callable[..., Fixture]) -> None:
    fixture = make()
    before = set(threading.enumerate())
    frames = fixture.pool.frames(range(COUNT))
    next(frames)
    frames.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=10)
        assert not thread.is_alive()
    assert len(fixture.runs[0]) < COUNT
    assert fixture.pool.held_bytes() == 0


def test_pool_opens_a_video_once_for_runs_in_a_row(make: Callable[..., Fixture]) -> None:
    fixture = make()
    for start in range(0, COUNT, 20):
        wanted = range(start, start + 20, 3)
        assert digests(fixture.pool.frames(wanted)) == plain(fixture.path, fixture.index, wanted)
        for thread in threading.enumerate():
            if thread.name == "mediaproc-decode":
                thread.join(timeout=10)
    assert len(fixture.opened) == 1


def test_pool_opens_a_video_that_changed_again(
    make: Callable[..., Fixture], tmp_path: Path
) -> None:
    fixture = make()
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(fixture.path.read_bytes())
    fixture.path = copy
    list(fixture.pool.frames(range(5)))
    for thread in threading.enumerate():
        if thread.name == "mediaproc-decode":
            thread.join(timeout=10)
    copy.write_bytes(copy.read_bytes() + b"more")
    list(fixture.pool.frames(range(5, 10)))
    assert len(fixture.opened) == 2
