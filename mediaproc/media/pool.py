"""Decoded frames of one video, shared by all who ask for the same ones at about the same time.

Several stages look at the same frames. The first to ask starts a run of decoding on a thread of its
own; others read along, or take what was held for them when they come later. Nobody waits for a
slower reader: one that falls so far behind that memory runs out decodes for itself from there on.
What a frame looks like never depends on any of this.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from av.video.frame import VideoFrame

from mediaproc.media.decode import Decoder
from mediaproc.timing import Clock, current_clock, timed

# Frames that decoding may be ahead of the fastest reader.
AHEAD = 8
# Open decoders that wait for the next run, so that a file is not opened again for each.
IDLE_DECODERS = 3


class FramePool:
    """Gives decoded frames to many readers; safe to use from several threads.

    Args:
        open_decoder: opens the video.
        most_bytes: of frames that are held for readers to come, or that lag behind.
    """

    def __init__(self, open_decoder: Callable[[], Decoder], most_bytes: int) -> None:
        self._open = open_decoder
        self._most = most_bytes
        self._changed = threading.Condition()
        self._runs: list[_Run] = []
        self._idle: list[Decoder] = []

    def frames(
        self, wanted: Sequence[int], *, readers: int = 1, shared: Collection[int] = ()
    ) -> Iterator[tuple[int, VideoFrame]]:
        """The ``wanted`` frames, ascending, each with its number.

        Args:
            wanted: frame numbers, ascending.
            readers: how many will ask for a shared frame in all; each is held until they have.
            shared: the frames that others will ask for as well.

        Raises:
            MediaError: see ``Decoder.frames``.
        """
        rest = list(wanted)
        while rest:
            reader = self._joined(rest, readers, frozenset(shared))
            try:
                while rest:
                    found = self._next(reader, rest[0])
                    if found is None:  # it fell too far behind
                        break
                    del rest[0]
                    yield found
            finally:
                self._left(reader)

    def held_bytes(self) -> int:
        """Bytes of the frames that are held now."""
        with self._changed:
            return sum(run.bytes for run in self._runs)

    def _joined(self, wanted: list[int], readers: int, shared: frozenset[int]) -> _Reader:
        with self._changed:
            run = next((run for run in self._runs if run.has(wanted)), None)
            if run is None:
                run = _Run(wanted, readers, shared, clock=current_clock())
                self._runs.append(run)
                threading.Thread(
                    target=self._decode, args=(run,), name="mediaproc-decode", daemon=True
                ).start()
            counts = run.shared.issuperset(wanted)
            reader = _Reader(run, frozenset(wanted), wanted[0], counts)
            run.readers.append(reader)
            return reader

    def _next(self, reader: _Reader, number: int) -> tuple[int, VideoFrame] | None:
        run = reader.run
        with self._changed:
            reader.at = number
            self._changed.notify_all()  # decoding may be waiting for this reader to move on
            if number not in run.held and reader in run.readers and not run.ended:
                with timed("wait"):
                    self._changed.wait_for(
                        lambda: number in run.held or reader not in run.readers or run.ended
                    )
            if number not in run.held:
                if run.error is not None:
                    raise run.error
                return None
            frame = run.held[number]
            if reader.counts:
                run.due[number] -= 1
            reader.at = number + 1
            run.drop_read(number)
            return number, frame

    def _left(self, reader: _Reader) -> None:
        with self._changed:
            run = reader.run
            if reader in run.readers:
                run.readers.remove(reader)
                run.drop_read()
            if run.ended and not run.held and run in self._runs:
                self._runs.remove(run)
            self._changed.notify_all()

    def _decode(self, run: _Run) -> None:
        decoder: Decoder | None = None
        try:
            decoder = self._decoder(run.numbers[0])
            frames = decoder.frames(run.numbers)
            while True:
                started = time.thread_time()
                found = next(frames, None)
                if run.clock is not None:
                    run.clock.add("decode", time.thread_time() - started)
                if found is None or not self._handed_over(run, *found):
                    break
            frames.close()
            self._give_back(decoder)
        except BaseException as error:
            run.error = error
            if decoder is not None:
                decoder.close()
        finally:
            with self._changed:
                run.ended = True
                if not run.held and not run.readers:
                    self._runs.remove(run)
                self._changed.notify_all()

    def _handed_over(self, run: _Run, number: int, frame: VideoFrame) -> bool:
        """Whether anyone reads on."""
        with self._changed:
            run.put(number, frame)
            self._make_room(run)
            self._changed.notify_all()
            self._changed.wait_for(lambda: not run.readers or run.ahead() < AHEAD)
            return bool(run.readers)

    def _make_room(self, run: _Run) -> None:
        """Let go of what is held longest for readers to come, then of the slowest reader."""
        held = sum(other.bytes for other in self._runs)
        for other in [*self._runs]:
            for number in [*other.held] if held > self._most else ():
                if held > self._most and not other.awaited(number):
                    held -= other.drop(number)
            if other.ended and not other.held and not other.readers:
                self._runs.remove(other)
        while held > self._most and len(run.readers) > 1:
            run.readers.remove(min(run.readers, key=lambda reader: reader.at))
            before = run.bytes
            for number in [n for n in run.held if not run.awaited(n)]:
                run.drop(number)
            held -= before - run.bytes

    def _decoder(self, first: int) -> Decoder:
        """An idle decoder, at best one that stands where it is needed, or a new one."""
        while True:
            with self._changed:
                if not self._idle:
                    break
                fitting = [d for d in self._idle if d.goes_on_to(first)]
                decoder = (fitting or self._idle)[-1]
                self._idle.remove(decoder)
            if decoder.unchanged():
                return decoder
            decoder.close()
        return self._open()

    def _give_back(self, decoder: Decoder) -> None:
        with self._changed:
            self._idle.append(decoder)
            gone = self._idle.pop(0) if len(self._idle) > IDLE_DECODERS else None
        if gone is not None:
            gone.close()


@dataclass(eq=False)
class _Reader:
    """Someone who reads a run: what it wants, what comes next, whether it was expected."""

    run: _Run
    wanted: frozenset[int]
    at: int
    counts: bool


@dataclass(eq=False)
class _Run:
    """One run of decoding: its frames, those at hand, and who reads them."""

    numbers: list[int]
    expected: int
    shared: frozenset[int]
    clock: Clock | None
    readers: list[_Reader] = field(default_factory=list)
    held: dict[int, VideoFrame] = field(default_factory=dict)
    due: dict[int, int] = field(default_factory=dict)
    bytes: int = 0
    ended: bool = False
    error: BaseException | None = None
    _reached: int = -1

    def __post_init__(self) -> None:
        self.numbers = list(self.numbers)
        self._all = frozenset(self.numbers)
        self.shared &= self._all
        self.due = dict.fromkeys(self.shared, self.expected)

    def has(self, wanted: Sequence[int]) -> bool:
        """Whether all of the wanted frames are at hand or will be."""
        if self.error is not None or not self._all.issuperset(wanted):
            return False
        # A run that nobody reads is ending, and what it has not decoded does not come.
        going = not self.ended and bool(self.readers)
        return all(n in self.held or (going and n > self._reached) for n in wanted)

    def put(self, number: int, frame: VideoFrame) -> None:
        """Take in the next decoded frame."""
        self.held[number] = frame
        self.bytes += _size(frame)
        self._reached = number
        self.drop_read(number)

    def drop(self, number: int) -> int:
        """Let go of a frame; its bytes."""
        size = _size(self.held.pop(number))
        self.bytes -= size
        return size

    def drop_read(self, number: int | None = None) -> None:
        """Let go of what everybody has read who asked for it or will."""
        for n in [*self.held] if number is None else [number]:
            if not self.awaited(n) and self.due.get(n, 0) <= 0:
                self.drop(n)

    def awaited(self, number: int) -> bool:
        """Whether a reader has yet to come to a frame."""
        return any(reader.at <= number and number in reader.wanted for reader in self.readers)

    def ahead(self) -> int:
        """Frames at hand that the fastest reader has yet to come to."""
        at = max(reader.at for reader in self.readers)
        return sum(number >= at for number in self.held)


def _size(frame: VideoFrame) -> int:
    return sum(plane.buffer_size for plane in frame.planes)
