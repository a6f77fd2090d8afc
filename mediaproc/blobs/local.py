"""Blobs in a local folder."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from mediaproc.blobs.base import BlobStore
from mediaproc.errors import BlobError

# Where blobs are written before they get their names.
_UNFINISHED = ".unfinished"
# Nobody takes so long to write one, in seconds.
_ABANDONED_S = 86400.0


class LocalBlobStore(BlobStore):
    """Blobs in a folder of a local file system.

    Args:
        root: the folder; made on the first write.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self._unfinished = self.root / _UNFINISHED

    def __str__(self) -> str:
        return str(self.root)

    def check(self) -> None:
        """Make sure that the folder can be made and written to; see ``BlobStore.check``.

        What processes that were killed left of blobs goes, once it is so old that none writes it.
        """
        with _words(f"blob folder {self.root}", "written to"):
            _make_folder(self.root)
            self._unfinished.mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=self._unfinished) as file:
                file.write(b"\0")
                now = os.fstat(file.fileno()).st_mtime  # by the clock that stamped the others
            for path in self._unfinished.iterdir():
                with suppress(FileNotFoundError):  # finished since, or another was faster
                    if path.stat().st_mtime < now - _ABANDONED_S:
                        path.unlink()

    def _name(self, key: str) -> str:
        return f"blob {self.root / key}"

    def _has(self, key: str, size: int) -> bool:
        with _words(self._name(key), "looked up"):
            try:
                return (self.root / key).stat().st_size == size
            except FileNotFoundError:
                return False

    def _write(self, key: str, data: bytes) -> None:
        with _words(self._name(key), f"written ({len(data)} bytes)"):
            self._written(key, lambda file: file.write(data))

    def _write_file(self, key: str, path: Path) -> None:
        with _words(self._name(key), f"written ({path.stat().st_size} bytes)"):
            if path.parent == self._unfinished.absolute():  # ours: it only needs its name
                with open(path, "rb") as file:
                    os.fsync(file.fileno())
                self._named(path, key)
                return
            with open(path, "rb") as source:
                self._written(key, lambda file: shutil.copyfileobj(source, file))

    def _written(self, key: str, write: Callable[[BinaryIO], Any]) -> None:
        _make_folder((self.root / key).parent)
        # A kill between the two steps leaves a stray file there, never half a blob.
        temporary = self._make_scratch()
        try:
            with open(temporary, "wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            self._named(temporary, key)
        finally:
            temporary.unlink(missing_ok=True)

    def _named(self, temporary: Path, key: str) -> None:
        path = self.root / key
        _make_folder(path.parent)
        os.replace(temporary, path)
        # The new name too is on the disk before a checkpoint names the blob.
        _sync_folder(path.parent)

    def _make_scratch(self, ending: str = "") -> Path:
        with _words(f"blob folder {self.root}", "written to"):
            _make_folder(self.root)
            self._unfinished.mkdir(exist_ok=True)
            handle, name = tempfile.mkstemp(suffix=ending, dir=self._unfinished)
            os.close(handle)
            return Path(name)

    def _read(self, key: str, span: tuple[int, int] | None = None) -> bytes:
        with _words(self._name(key), "read"):
            try:
                with open(self.root / key, "rb") as file:
                    if span is None:
                        return file.read()
                    file.seek(span[0])
                    return file.read(span[1])
            except FileNotFoundError:
                raise BlobError(
                    f"{self._name(key)} is missing; it was deleted, or was never written there: "
                    "put it back, or start its job anew"
                ) from None

    def _delete(self, key: str) -> None:
        with _words(self._name(key), "deleted"):
            (self.root / key).unlink(missing_ok=True)

    def _list(self) -> Iterator[tuple[str, int, float]]:
        with _words(f"blob folder {self.root}", "listed"):
            folders = sorted(self.root.iterdir()) if self.root.exists() else []
            for folder in folders:
                for path in sorted(folder.iterdir()) if folder.is_dir() else []:
                    try:
                        stat = path.stat()
                    except FileNotFoundError:  # deleted since
                        continue
                    yield f"{folder.name}/{path.name}", stat.st_size, stat.st_mtime


@contextmanager
def _words(name: str, action: str) -> Iterator[None]:
    """Raise what the file system refuses as a BlobError that says what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason = f"the disk is full ({reason}); free space there, or set MEDIAPROC_BLOBS"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            reason = f"{reason}; give this user access, or set MEDIAPROC_BLOBS to another folder"
        raise BlobError(f"{name} cannot be {action}: {reason}") from error


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each on the disk once it is there."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a network file system that keeps names by itself
            raise
    finally:
        os.close(handle)
