"""``mediaproc`` as the kills see it: it tells what it is inside of, and may be told where to die.

``python -m tests.reliability.child FOLDER KILL ARGUMENT...`` runs the command line with some
functions wrapped from outside. In FOLDER it leaves

- ``inside``: for each kind of moment, how many threads are within it now, as int32 in shared
  memory, so that it can be read after a SIGKILL;
- ``calls``: a line for each call of a stage, written before it: node and segment;
- ``entries``: a line for each moment that is over: its name and its seconds.

KILL is ``-``, or ``NAME:N:SECONDS``: SIGKILL that long after the N-th entry of the moments of that
name, and in any case before that one is over.
"""

from __future__ import annotations

import mmap
import os
import signal
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

KINDS = ("decoding", "inference", "blob write", "checkpoint write", "results")
_SIZE = 4 * len(KINDS)
_END = object()


class Watch:
    """What this process is inside of."""

    def __init__(self, folder: Path, kill: str) -> None:
        self._name, self._number, self._delay_s = "", 0, 0.0
        if kill != "-":
            name, number, delay_s = kill.split(":")
            self._name, self._number, self._delay_s = name, int(number), float(delay_s)
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._calls = os.open(folder / "calls", append)
        self._entries = os.open(folder / "entries", append)
        with open(folder / "inside", "w+b") as file:
            file.truncate(_SIZE)
            self._inside = mmap.mmap(file.fileno(), _SIZE)
        self._seen: Counter[str] = Counter()
        self._now: Counter[str] = Counter()
        self._lock = threading.Lock()

    def called(self, node: str, segment: int | None) -> None:
        """Write down the call of a stage."""
        os.write(self._calls, f"{node} {segment}\n".encode())

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """A moment of that name."""
        with self._lock:
            self._seen[name] += 1
            mine = name == self._name and self._seen[name] == self._number
            self._count(name, 1)
        if mine:
            threading.Thread(target=self._die, args=(self._delay_s,), daemon=True).start()
        started = time.perf_counter()
        try:
            yield
        finally:
            if mine:
                self._die(0.0)
            seconds = time.perf_counter() - started
            with self._lock:
                self._count(name, -1)
            os.write(self._entries, f"{name}\t{seconds:.6f}\n".encode())

    def _count(self, name: str, step: int) -> None:
        self._now[name] += step
        if name in KINDS:
            struct.pack_into("<i", self._inside, 4 * KINDS.index(name), self._now[name])

    def _die(self, delay_s: float) -> None:
        time.sleep(delay_s)
        os.kill(os.getpid(), signal.SIGKILL)
        signal.pause()  # a thread may run on for a moment, and it must not leave


def inside(folder: Path) -> list[str]:
    """The kinds of moments that a process was inside of when it died."""
    counts = struct.unpack(f"<{len(KINDS)}i", (folder / "inside").read_bytes())
    return [kind for kind, count in zip(KINDS, counts, strict=True) if count]


def instrument(watch: Watch) -> None:
    """Wrap the functions in which each kind of moment happens."""
    from mediaproc.blobs import LocalBlobStore, S3BlobStore
    from mediaproc.detect import kept, services
    from mediaproc.detect.checkpoint import StageCheckpointer
    from mediaproc.detect.models.exported import ExportedDetector
    from mediaproc.detect.models.text import TextReader
    from mediaproc.detect.nodes import StageNode
    from mediaproc.jobs import results, workspace
    from mediaproc.media import Decoder

    def wrap(owner: Any, function: str, name: str) -> None:
        original = getattr(owner, function)

        def wrapped(*arguments: Any, **keywords: Any) -> Any:
            with watch.inside(name):
                return original(*arguments, **keywords)

        setattr(owner, function, wrapped)

    wrap(services, "index_video", "decoding")
    wrap(kept, "decode_jpeg", "decoding")
    Decoder.frames = _each(watch, Decoder.frames)  # type: ignore[method-assign]
    wrap(ExportedDetector, "detect", "inference")
    for call in ("find", "glance", "recognise"):
        wrap(TextReader, call, "inference")
    wrap(LocalBlobStore, "_write", "blob write")
    written = S3BlobStore._write

    def write(self: S3BlobStore, key: str, data: bytes) -> None:
        if key.startswith("."):  # the probe, before there is a job
            return written(self, key, data)
        with watch.inside("blob write"):
            return written(self, key, data)

    S3BlobStore._write = write  # type: ignore[method-assign]
    for function in ("put", "put_writes", "prune"):
        wrap(StageCheckpointer, function, "checkpoint write")
    wrap(workspace, "write_results", "results")
    wrap(results, "write_parquet", "results")
    wrap(results, "write_document", "results")
    call = StageNode._call

    def called(self: StageNode, view: Any, state: Any) -> Any:
        segment = state["segment"]["number"] if self.node.scope == "segment" else None
        watch.called(self.node.id, segment)
        with watch.inside("results" if self.node.stage == "report" else self.node.id):
            return call(self, view, state)

    StageNode._call = called  # type: ignore[method-assign]


def _each(watch: Watch, decode: Callable[..., Any]) -> Callable[..., Any]:
    def decoded(*arguments: Any, **keywords: Any) -> Iterator[Any]:
        frames: Any = decode(*arguments, **keywords)
        try:
            while True:
                with watch.inside("decoding"):
                    frame = next(frames, _END)
                if frame is _END:
                    return
                yield frame
        finally:
            frames.close()

    return decoded


if __name__ == "__main__":
    instrument(Watch(Path(sys.argv.pop(1)), sys.argv.pop(1)))
    from mediaproc.cli import main

    main()
