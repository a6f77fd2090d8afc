"""Where the time of a piece of work goes: who does a kind of work adds to the clock in force."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, get_args

# decode: CPU time of decoding, on threads of its own and so beside a stage's time. The others are
# parts of that. wait: for frames that are still being decoded. scale: decoded frames to images.
# inference: in a model. encode: of JPEG and video. store: writing and reading blobs.
Kind = Literal["decode", "wait", "scale", "inference", "encode", "store"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Clock:
    """Seconds by kind of work; threads may share one."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    def add(self, kind: Kind, seconds: float) -> None:
        """Add to a kind of work."""
        with self._lock:
            self._seconds[kind] = self._seconds.get(kind, 0.0) + seconds

    def seconds(self) -> dict[str, float]:
        """Seconds by kind, without the kinds of which there was none."""
        with self._lock:
            return dict(self._seconds)


_CURRENT: ContextVar[Clock | None] = ContextVar("mediaproc_clock", default=None)


def current_clock() -> Clock | None:
    """The clock in force, for threads that work on behalf of others."""
    return _CURRENT.get()


@contextmanager
def clocked() -> Iterator[Clock]:
    """A clock that is in force within the block."""
    clock = Clock()
    token = _CURRENT.set(clock)
    try:
        yield clock
    finally:
        _CURRENT.reset(token)


@contextmanager
def timed(kind: Kind) -> Iterator[None]:
    """Add the block's time on the clock to the one in force; does nothing where there is none."""
    clock = _CURRENT.get()
    if clock is None:
        yield
        return
    started = time.perf_counter()
    try:
        yield
    finally:
        clock.add(kind, time.perf_counter() - started)
