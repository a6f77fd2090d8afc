"""Locations of blob stores."""

from __future__ import annotations

import pytest

from mediaproc.blobs import LocalBlobStore, S3BlobStore, open_blob_store
from mediaproc.errors import BlobError


def test_open_takes_a_folder() -> None:
    store = open_blob_store("/data/blobs")
    assert isinstance(store, LocalBlobStore)
    assert str(store) == "/data/blobs"


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("s3://bucket", "s3://bucket/"),
        ("s3://bucket/", "s3://bucket/"),
        ("s3://bucket/a/b", "s3://bucket/a/b/"),
        ("S3://bucket/a/b/", "s3://bucket/a/b/"),
    ],
)
def test_open_takes_a_bucket_with_or_without_a_prefix(location: str, name: str) -> None:
    store = open_blob_store(location)
    assert isinstance(store, S3BlobStore)
    assert str(store) == name


@pytest.mark.parametrize("location", ["gs://bucket/prefix", "s3:///prefix"])
def test_open_refuses_other_places(location: str) -> None:
    with pytest.raises(BlobError, match=f"^blob store '{location}' is neither a folder nor s3://"):
        open_blob_store(location)
