"""What a blob store is, and the reference that stands for a blob in a checkpoint."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mediaproc.errors import BlobError
from mediaproc.timing import timed

_KEY = re.compile(r"([0-9a-f]{2})/(\1[0-9a-f]{62})")
# Seconds before the second read of an object that came short or wrong, doubling up to the longest.
_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0


@dataclass(frozen=True, slots=True)
class BlobRef:
    """A reference to stored bytes, small enough for any checkpoint.

    Attributes:
        sha256: hex digest of the bytes, which is also what they are stored under.
        size: number of bytes.
    """

    sha256: str
    size: int

    @classmethod
    def of(cls, data: bytes) -> BlobRef:
        """The reference that ``data`` has in every store."""
        return cls(hashlib.sha256(data).hexdigest(), len(data))

    @classmethod
    def of_file(cls, path: Path) -> BlobRef:
        """The reference that the bytes of a file have in every store; read piece by piece."""
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return cls(digest, file.tell())

    @property
    def key(self) -> str:
        """Name of the object within a store."""
        return f"{self.sha256[:2]}/{self.sha256}"

    def to_json(self) -> dict[str, Any]:
        """The reference as JSON values."""
        return {"sha256": self.sha256, "size": self.size}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BlobRef:
        """The reference that ``to_json`` gave."""
        return cls(str(data["sha256"]), int(data["size"]))


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob that a store lists.

    Attributes:
        ref: its digest, as its name says, and its size.
        modified_at: when it was written, seconds since 1970, by the store's clock.
    """

    ref: BlobRef
    modified_at: float


# What is stored already is read and checked up to this size before it is relied on.
CHECKED_BYTES = 4_000_000
# Bytes of a blob that are in memory at once where it is read into a file.
_PIECE_BYTES = 8 * 2**20


class BrokenReadError(BlobError):
    """A read that ended too early, on the way here; reading again may help."""


class BlobStore(ABC):
    """Stores bytes under their own digest. The base class owns names and checks."""

    # Whether other machines reach the same blobs.
    shared = False
    # How often bytes that came short or wrong are read; more than once where they travel.
    reads = 1

    def put(self, data: bytes) -> BlobRef:
        """Store ``data`` and return its reference; what is there already is not written again.

        Raises:
            BlobError: the store did not take it.
        """
        with timed("store"):
            ref = BlobRef.of(data)
            if not self._has(ref.key, ref.size) or not self._sound(ref):
                self._write(ref.key, data)
        return ref

    def put_file(self, path: Path) -> BlobRef:
        """Store the bytes of a file, never all of them in memory, and remove the file.

        Args:
            path: best one that ``scratch`` gave, which a local store only has to rename.

        Raises:
            BlobError: the store did not take it.
        """
        ref = BlobRef.of_file(path)
        self.hold(ref)
        if not self._has(ref.key, ref.size) or not self._sound(ref):
            self._write_file(ref.key, path)
        path.unlink(missing_ok=True)
        return ref

    @contextmanager
    def scratch(self, ending: str = "") -> Iterator[Path]:
        """A path for a file that is to be put; what is there at the end of the block is removed.

        Args:
            ending: of the name, such as ``.mp4``.

        Raises:
            BlobError: no file can be made there.
        """
        path = self._make_scratch(ending)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def get(self, ref: BlobRef) -> bytes:
        """The bytes behind ``ref``, checked against its digest.

        Raises:
            BlobError: they are missing or damaged; the text names the object and the store.
        """
        with timed("store"):
            return self._checked(ref)

    def get_range(self, ref: BlobRef, start: int, length: int) -> bytes:
        """``length`` bytes of ``ref`` from byte ``start`` on, by one read.

        Their number is checked; their content is for the caller to check, who alone can know the
        digest of a piece.

        Raises:
            BlobError: the range lies outside the blob, or the blob is missing or too short.
        """
        if start < 0 or length < 0 or start + length > ref.size:
            raise BlobError(
                f"{self._name(ref.key)}: bytes {start} to {start + length} lie outside its "
                f"{ref.size} bytes"
            )
        if length == 0:
            return b""

        def fault(data: bytes) -> str:
            short = len(data) != length
            return f"{len(data)} bytes came of {length} from {start} on" if short else ""

        with timed("store"):
            return self._right(ref.key, lambda: self._read(ref.key, (start, length)), fault)

    def copy_to(self, ref: BlobRef, path: Path) -> None:
        """Write the bytes behind ``ref`` into a file, piece by piece, and check their digest.

        Raises:
            BlobError: they are missing or damaged; what was written of them is no use then.
            OSError: the file cannot be written.
        """
        digest = hashlib.sha256()
        with open(path, "wb") as file:
            for start in range(0, ref.size, _PIECE_BYTES):
                data = self.get_range(ref, start, min(_PIECE_BYTES, ref.size - start))
                digest.update(data)
                file.write(data)
        if digest.hexdigest() != ref.sha256:
            raise BlobError(
                f"{self._name(ref.key)} is damaged: its bytes do not match its digest; delete it "
                "and start its job anew"
            )

    def contains(self, ref: BlobRef) -> bool:
        """Whether the blob is there, in its full length.

        Raises:
            BlobError: the store cannot be asked.
        """
        return self._has(ref.key, ref.size)

    def hold(self, ref: BlobRef) -> None:  # noqa: B027
        """Rely on a blob that another job stored, from now on; a plain store keeps no account."""

    def delete(self, ref: BlobRef) -> None:
        """Delete a blob; one that is not there is no error.

        Raises:
            BlobError: the store did not delete it.
        """
        self._delete(ref.key)

    def list(self) -> Iterator[StoredBlob]:
        """Every blob of the store, in the order of digests; foreign objects are left out.

        Raises:
            BlobError: the store cannot be listed.
        """
        for key, size, modified_at in self._list():
            if match := _KEY.fullmatch(key):
                yield StoredBlob(BlobRef(match[2], size), modified_at)

    @abstractmethod
    def check(self) -> None:
        """Make sure that blobs can be written and read, before a job counts on it.

        Raises:
            BlobError: they cannot; the text says why and what to do.
        """

    def _sound(self, ref: BlobRef) -> bool:
        """Whether a blob that is there is whole: storing it again then mends one that is not."""
        if ref.size > CHECKED_BYTES:
            return True
        try:
            self._checked(ref)
        except BlobError:
            return False
        return True

    def _checked(self, ref: BlobRef) -> bytes:
        def fault(data: bytes) -> str:
            if len(data) != ref.size:
                return f"it has {len(data)} bytes and should have {ref.size}"
            return "" if BlobRef.of(data) == ref else "its bytes do not match its digest"

        return self._right(ref.key, lambda: self._read(ref.key), fault)

    def _right(self, key: str, read: Callable[[], bytes], fault: Callable[[bytes], str]) -> bytes:
        """What ``read`` gives once ``fault`` finds nothing wrong with it."""
        problem = ""
        for attempt in range(self.reads):
            if attempt:
                time.sleep(min(_PAUSE_S * 2 ** (attempt - 1), _LONGEST_PAUSE_S))
            try:
                data = read()
            except BrokenReadError as error:
                problem = f"cannot be read: {error}"
                continue
            if not (found := fault(data)):
                return data
            problem = f"is damaged: {found}; delete it and start its job anew"
        tries = f" (read {self.reads} times)" if self.reads > 1 else ""
        raise BlobError(f"{self._name(key)} {problem}{tries}")

    @abstractmethod
    def _name(self, key: str) -> str:
        """An object and its store, as messages name them."""

    @abstractmethod
    def _has(self, key: str, size: int) -> bool:
        """Whether an object of that name and size is there."""

    @abstractmethod
    def _write(self, key: str, data: bytes) -> None:
        """Store an object so that readers see all of it or nothing."""

    @abstractmethod
    def _write_file(self, key: str, path: Path) -> None:
        """``_write`` of the bytes of a file, which may be moved."""

    def _make_scratch(self, ending: str) -> Path:
        """An empty file for ``scratch``."""
        try:
            handle, name = tempfile.mkstemp(suffix=ending)
        except OSError as error:
            raise BlobError(
                f"no file can be made in {tempfile.gettempdir()}: {error.strerror or error}; free "
                "space there, or set TMPDIR to another folder"
            ) from error
        os.close(handle)
        return Path(name)

    @abstractmethod
    def _read(self, key: str, span: tuple[int, int] | None = None) -> bytes:
        """The bytes of an object, or ``span`` (start, length) of them.

        BlobError where there is none; BrokenReadError where the bytes broke off on the way.
        """

    @abstractmethod
    def _delete(self, key: str) -> None:
        """Delete an object, where there is one."""

    @abstractmethod
    def _list(self) -> Iterator[tuple[str, int, float]]:
        """Name, size and time (seconds since 1970) of every object, in the order of names."""
