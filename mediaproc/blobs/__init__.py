"""Blob stores: bytes too large for a checkpoint, by content."""

from mediaproc.blobs.base import BlobRef, BlobStore
from mediaproc.blobs.local import LocalBlobStore

__all__ = ["BlobRef", "BlobStore", "LocalBlobStore"]
