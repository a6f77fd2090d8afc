"""Blob stores: bytes too large for a checkpoint, by content."""

from mediaproc.blobs.base import BlobRef, BlobStore, StoredBlob
from mediaproc.blobs.local import LocalBlobStore
from mediaproc.blobs.s3 import S3BlobStore
from mediaproc.errors import BlobError

__all__ = [
    "BlobRef",
    "BlobStore",
    "LocalBlobStore",
    "S3BlobStore",
    "StoredBlob",
    "open_blob_store",
]


def open_blob_store(location: str) -> BlobStore:
    """The blob store at a place; nothing is read or written yet.

    Args:
        location: a local folder, or ``s3://bucket/prefix``.

    Raises:
        BlobError: it is neither.
    """
    scheme, divider, rest = location.partition("://")
    if not divider:
        return LocalBlobStore(location)
    bucket, _, prefix = rest.partition("/")
    if scheme.lower() != "s3" or not bucket:
        raise BlobError(f"blob store {location!r} is neither a folder nor s3://bucket/prefix")
    return S3BlobStore(bucket, prefix)
