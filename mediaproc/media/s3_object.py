"""Videos in S3, read by range through the shared client."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from mediaproc.errors import MediaError
from mediaproc.media.blocks import BLOCK_BYTES
from mediaproc.media.remote import RemoteObject, TryAgainError, identity_of
from mediaproc.s3 import s3_client, split_s3_url


class S3Object(RemoteObject):
    """``s3://bucket/key``.

    Its identity is bucket, key, ETag, version id and size, the same on every machine. Each read
    asks for the ETag that it was opened with, so bytes of two versions are never mixed.

    Raises:
        MediaError: no such bucket or key, no access, or no bytes.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        try:
            self._bucket, self._key = split_s3_url("s3" + url[2:])
        except ValueError as error:
            raise MediaError(str(error), path=self.shown) from error
        self._client = s3_client()
        self._etag: str | None = None
        answer, self.head = self._tried(lambda: self._get(0, BLOCK_BYTES))
        self.size = int(answer["ContentRange"].rpartition("/")[2])
        self._etag = answer["ETag"]
        version = answer.get("VersionId", "")
        self.identity = identity_of("s3", self._bucket, self._key, self._etag, version, self.size)

    def close(self) -> None:
        """Nothing: connections belong to the shared client."""

    def _range(self, start: int, stop: int) -> bytes:
        _, data = self._get(start, stop)
        if len(data) != stop - start:
            raise self._changed()
        return data

    def _get(self, start: int, stop: int) -> tuple[dict[str, Any], bytes]:
        from botocore.exceptions import BotoCoreError, ClientError

        wanted = {"Bucket": self._bucket, "Key": self._key, "Range": f"bytes={start}-{stop - 1}"}
        if self._etag is not None:
            wanted["IfMatch"] = self._etag
        try:
            answer = self._client.get_object(**wanted)
        except ClientError as error:
            raise self._refused(error) from error
        except BotoCoreError as error:
            # The client tried again by itself what was worth it.
            raise self._error(f"cannot be read: {error}") from error
        if "ContentRange" not in answer:
            answer["Body"].close()
            raise self._error(
                "the server sends no ranges of bytes; download the file and give its path"
            )
        # Some servers other than AWS do not know the condition.
        if self._etag not in (None, answer["ETag"]):
            answer["Body"].close()
            raise self._changed()
        try:
            with closing(answer["Body"]) as body:
                return answer, body.read()
        except (BotoCoreError, OSError) as error:
            raise TryAgainError(f"the answer broke off: {error}") from error

    def _refused(self, error: Any) -> MediaError:
        code = str(error.response["Error"].get("Code", ""))
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if code == "NoSuchBucket":
            return self._error(f"there is no bucket {self._bucket!r}")
        if status == 404:
            return self._missing(code)
        if status == 412:
            return self._changed()
        if status == 416:
            return self._error("the file is empty") if self._etag is None else self._changed()
        text = f"{code}: {error.response['Error'].get('Message', '')}"
        if status in (401, 403):
            return self._denied(text)
        return self._error(f"cannot be read: {text}")
