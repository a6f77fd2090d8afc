"""Where the bytes of a video come from: a local file, ``s3://`` or ``http(s)://``."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mediaproc.addresses import scheme, shown, video_name
from mediaproc.errors import MediaError
from mediaproc.media.blocks import BlockFile
from mediaproc.media.remote import RemoteObject, identity_of

# A file may change again within one time stamp, so a younger one cannot be known again by it.
SETTLED_NS = 2_000_000_000
_HASH_BYTES = 1 << 20


class Source(ABC):
    """The bytes of a video; used by one thread at a time.

    Attributes:
        shown: its address, for messages, without credentials.
        size: bytes.
        identity: digest, hex, of what the bytes are known again by without reading them; None
            where nothing tells, or a file is so young that it may change unseen.
        protocols: what FFmpeg may open by itself.
    """

    shown: str
    size: int
    identity: str | None
    protocols: str

    @abstractmethod
    def rewound(self) -> Any:
        """What FFmpeg opens, at its start: a path, or a file-like object."""

    @abstractmethod
    def start_hash(self) -> None:
        """Begin to hash all bytes, alongside what reads them."""

    @abstractmethod
    def hash(self) -> str:
        """SHA-256 of all bytes, hex, after ``start_hash``.

        Raises:
            MediaError: they cannot be read, or change meanwhile.
        """

    @abstractmethod
    def check(self) -> None:
        """MediaError where a read failed or the bytes changed since this was opened."""

    @abstractmethod
    def close(self) -> None:
        """Let go of connections and threads."""


class LocalSource(Source):
    """A file, which FFmpeg reads by its own file protocol; a thread hashes it.

    Raises:
        MediaError: missing, a folder, or empty.
    """

    protocols = "file"

    def __init__(self, path: str) -> None:
        self.shown = path
        # Absolute, since FFmpeg takes what stands before a colon for a protocol.
        self._file = str(Path(path).absolute())
        try:
            state = Path(path).stat()
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:
            raise MediaError(f"{path}: no such file", path=path) from error
        except OSError as error:
            raise MediaError(f"{path}: cannot be read: {error.strerror}", path=path) from error
        if Path(path).is_dir():
            raise MediaError(f"{path}: is a folder, not a video file", path=path)
        if state.st_size == 0:
            raise MediaError(f"{path}: the file is empty", path=path)
        self.size = state.st_size
        self._state = _state(state)
        settled = time.time_ns() - state.st_mtime_ns >= SETTLED_NS
        self.identity = identity_of("file", self._file, *self._state) if settled else None
        self._hash: Future[str] = Future()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def rewound(self) -> str:
        """The path."""
        return self._file

    def start_hash(self) -> None:
        """Begin to hash all bytes on a thread."""
        self._thread = threading.Thread(target=self._run, name="mediaproc-hash", daemon=True)
        self._thread.start()

    def hash(self) -> str:
        """SHA-256 of all bytes, hex, after ``start_hash``."""
        found = self._hash.result()
        self.check()
        return found

    def check(self) -> None:
        """MediaError where the file is another, or was written to, since this was opened."""
        try:
            same = _state(Path(self._file).stat()) == self._state
        except FileNotFoundError:
            same = False
        if not same:
            raise MediaError(
                f"{self.shown}: the file changed while it was read; start again when it is "
                "complete",
                path=self.shown,
            )

    def close(self) -> None:
        """Stop the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            digest = hashlib.sha256()
            with open(self._file, "rb") as file:
                while data := file.read(_HASH_BYTES):
                    if self._stop.is_set():
                        return
                    digest.update(data)
            self._hash.set_result(digest.hexdigest())
        except OSError as error:
            text = f"{self.shown}: cannot be read: {error.strerror}"
            self._hash.set_exception(MediaError(text, path=self.shown))
        except BaseException as error:
            self._hash.set_exception(error)


class RemoteSource(Source):
    """A remote object, which FFmpeg reads through a cache of blocks; they are hashed as they come.

    FFmpeg is given no address and may open nothing by itself.
    """

    protocols = "none"

    def __init__(self, remote: RemoteObject, name: str) -> None:
        self.shown = remote.shown
        self.size = remote.size
        self.identity = remote.identity
        self._remote = remote
        self._blocks = BlockFile(remote, name)

    def rewound(self) -> BlockFile:
        """The blocks, from the first on."""
        self._blocks.seek(0)
        return self._blocks

    def start_hash(self) -> None:
        """Hash the blocks as they are read."""
        self._blocks.start_hash()

    def hash(self) -> str:
        """SHA-256 of all bytes, hex; blocks that nobody asked for are read now."""
        return self._blocks.hash()

    def check(self) -> None:
        """The MediaError that ended reading; each read saw to it that the bytes did not change."""
        if self._blocks.failed is not None:
            raise self._blocks.failed

    def close(self) -> None:
        """Close the connection."""
        self._remote.close()


@contextmanager
def open_source(address: str) -> Iterator[Source]:
    """Open a path or URL.

    Raises:
        MediaError: it is missing or empty, cannot be reached, or is no kind of URL that is read.
    """
    source = _source(address)
    try:
        yield source
    finally:
        source.close()


def _source(address: str) -> Source:
    kind = scheme(address)
    if kind is None:
        return LocalSource(address)
    if kind == "s3":
        from mediaproc.media.s3_object import S3Object

        return RemoteSource(S3Object(address), video_name(address))
    if kind in ("http", "https"):
        from mediaproc.media.http_object import HttpObject

        return RemoteSource(HttpObject(address), video_name(address))
    raise MediaError(
        f"{shown(address)}: videos are read from paths, http(s):// and s3://, not {kind}://",
        path=shown(address),
    )


def _state(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_size, stat.st_mtime_ns, stat.st_ino
