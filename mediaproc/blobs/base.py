"""What a blob store is, and the reference that stands for a blob in a checkpoint."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mediaproc.errors import BlobError


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


class BlobStore(ABC):
    """Stores bytes under their own digest. The base class owns names and checks."""

    def put(self, data: bytes) -> BlobRef:
        """Store ``data`` and return its reference; storing the same bytes again costs nothing.

        Raises:
            BlobError: the store did not take it.
        """
        ref = BlobRef.of(data)
        if not self._has(ref.key, ref.size):
            self._write(ref.key, data)
        return ref

    def get(self, ref: BlobRef) -> bytes:
        """The bytes behind ``ref``, checked against its digest.

        Raises:
            BlobError: they are missing or damaged; the text names the object and the store.
        """
        data = self._read(ref.key)
        if len(data) != ref.size or hashlib.sha256(data).hexdigest() != ref.sha256:
            raise BlobError(
                f"blob {ref.key} in {self} is damaged: "
                f"{len(data)} bytes that do not match its digest, expected {ref.size}"
            )
        return data

    def delete(self, ref: BlobRef) -> None:
        """Delete a blob; one that is not there is no error.

        Raises:
            BlobError: the store did not delete it.
        """
        self._delete(ref.key)

    @abstractmethod
    def _has(self, key: str, size: int) -> bool:
        """Whether an object of that name and size is there."""

    @abstractmethod
    def _write(self, key: str, data: bytes) -> None:
        """Store an object so that readers see all of it or nothing."""

    @abstractmethod
    def _read(self, key: str) -> bytes:
        """The bytes of an object; BlobError where there is none."""

    @abstractmethod
    def _delete(self, key: str) -> None:
        """Delete an object where there is one."""
