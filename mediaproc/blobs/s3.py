"""Blobs in an S3 bucket, of AWS or of any server that speaks S3."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from mediaproc.blobs.base import BlobStore, BrokenReadError
from mediaproc.errors import BlobError, MediaprocError
from mediaproc.s3 import (
    ATTEMPTS,
    READ_TIMEOUT_S,
    is_missing,
    s3_client,
    s3_errors,
    s3_name,
)

# Longer objects are sent in parts of this many bytes, a few at a time.
PART_BYTES = 16 * 2**20
_PARTS_AT_ONCE = 4
# What check() writes and reads; it is no digest, and so never listed as a blob.
_PROBE = ".mediaproc-check"


class S3BlobStore(BlobStore):
    """Blobs under a prefix of an S3 bucket.

    Args:
        bucket: the bucket; it is not made.
        prefix: what the names of the objects begin with, up to a slash.
        attempts: tries of a request in all, waiting longer each time.
        read_timeout_s: how long an answer, or the next piece of it, may keep us waiting, seconds.
    """

    shared = True

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        attempts: int = ATTEMPTS,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self.reads = attempts
        self.read_timeout_s = read_timeout_s

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    def check(self) -> None:
        """Write, read and look for an object, as a job will; see ``BlobStore.check``."""
        self._write(_PROBE, b"mediaproc")
        self._read(_PROBE)
        # Without leave to list, AWS answers "access denied" where an object is missing.
        self._has(f"{_PROBE}-missing", 0)

    @property
    def _client(self) -> Any:
        try:
            return s3_client(attempts=self.reads, read_timeout_s=self.read_timeout_s)
        except MediaprocError as error:
            raise BlobError(f"blob store {self}: {error}") from error

    def _errors(self, action: str, key: str) -> Any:
        return s3_errors(BlobError, self._client, action, self.bucket, self.prefix + key)

    def _where(self, key: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.prefix + key}

    def _name(self, key: str) -> str:
        return s3_name(self._client, self.bucket, self.prefix + key)

    def _has(self, key: str, size: int) -> bool:
        from botocore.exceptions import ClientError

        with self._errors("looked up", key):
            try:
                head = self._client.head_object(**self._where(key))
            except ClientError as error:
                if is_missing(error):
                    return False
                raise
        return bool(head["ContentLength"] == size)

    def _write(self, key: str, data: bytes) -> None:
        if len(data) > PART_BYTES:
            self._upload(key, io.BytesIO(data))
            return
        with self._errors("written", key):
            # The server refuses what arrives damaged; every server knows this checksum.
            md5 = hashlib.md5(data, usedforsecurity=False).digest()
            self._client.put_object(
                **self._where(key), Body=data, ContentMD5=base64.b64encode(md5).decode()
            )

    def _write_file(self, key: str, path: Path) -> None:
        if path.stat().st_size <= PART_BYTES:
            self._write(key, path.read_bytes())
            return
        with open(path, "rb") as file:
            self._upload(key, file)

    def _upload(self, key: str, file: BinaryIO) -> None:
        from boto3.s3.transfer import TransferConfig

        with self._errors("written", key):
            self._client.upload_fileobj(
                file,
                self.bucket,
                self.prefix + key,
                Config=TransferConfig(
                    multipart_threshold=PART_BYTES,
                    multipart_chunksize=PART_BYTES,
                    max_concurrency=_PARTS_AT_ONCE,
                ),
            )

    def _read(self, key: str, span: tuple[int, int] | None = None) -> bytes:
        from botocore.exceptions import BotoCoreError
        from urllib3.exceptions import HTTPError

        more = {} if span is None else {"Range": f"bytes={span[0]}-{span[0] + span[1] - 1}"}
        with self._errors("read", key):
            body = self._client.get_object(**self._where(key), **more)["Body"]
            # botocore's own retries end where the body begins.
            try:
                data: bytes = body.read()
            except (BotoCoreError, HTTPError, OSError) as error:
                raise BrokenReadError(f"its body broke off ({type(error).__name__})") from error
            finally:
                body.close()
        return data

    def _delete(self, key: str) -> None:
        with self._errors("deleted", key):
            self._client.delete_object(**self._where(key))

    def _list(self) -> Iterator[tuple[str, int, float]]:
        with self._errors("listed", ""):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.prefix
            )
            for page in pages:
                for found in page.get("Contents", []):
                    name = str(found["Key"]).removeprefix(self.prefix)
                    yield name, int(found["Size"]), found["LastModified"].timestamp()
