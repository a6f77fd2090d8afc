"""Blobs in a local folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from mediaproc.blobs.base import BlobStore
from mediaproc.errors import BlobError


class LocalBlobStore(BlobStore):
    """Blobs in a folder of a local file system.

    Args:
        root: the folder; made on the first write.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    def __str__(self) -> str:
        return str(self.root)

    def _has(self, key: str, size: int) -> bool:
        try:
            return (self.root / key).stat().st_size == size
        except FileNotFoundError:
            return False

    def _write(self, key: str, data: bytes) -> None:
        path = self.root / key
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # A crash between the two steps leaves a stray temporary file, never half a blob.
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".tmp-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(temporary, path)
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError as error:
            raise BlobError(f"blob {key} cannot be written to {self}: {error}") from error

    def _read(self, key: str) -> bytes:
        try:
            return (self.root / key).read_bytes()
        except FileNotFoundError:
            raise BlobError(f"blob {key} is missing in {self}") from None
        except OSError as error:
            raise BlobError(f"blob {key} cannot be read from {self}: {error}") from error

    def _delete(self, key: str) -> None:
        try:
            (self.root / key).unlink(missing_ok=True)
        except OSError as error:
            raise BlobError(f"blob {key} cannot be deleted from {self}: {error}") from error
