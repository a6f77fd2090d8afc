"""The S3 client that blobs, videos and models share, and its errors in words.

Credentials, region and endpoint come from boto3's own chain (``AWS_ACCESS_KEY_ID``,
``AWS_ENDPOINT_URL_S3``, profiles, roles); nothing of it is read or kept here.
"""

from __future__ import annotations

import threading
from typing import Any

from mediaproc.errors import MediaprocError

# Tries of a request in all, waiting longer each time (botocore's "standard" retry mode).
ATTEMPTS = 6
CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 60

_lock = threading.Lock()
_clients: dict[str, Any] = {}


def s3_client() -> Any:
    """The S3 client of this process; it is safe to share between threads.

    Raises:
        MediaprocError: boto3's configuration is not valid, for instance an unknown profile.
    """
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    with _lock:
        if "s3" not in _clients:
            config = Config(
                retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUT_S,
                max_pool_connections=32,
                # Servers other than AWS often know neither virtual hosts nor the newer checksums.
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            )
            try:
                _clients["s3"] = boto3.session.Session().client("s3", config=config)
            except (BotoCoreError, ValueError) as error:
                raise MediaprocError(f"S3 cannot be used: {error}") from error
        return _clients["s3"]


def forget_s3_client() -> None:
    """Make the next client anew, after the environment changed."""
    with _lock:
        _clients.clear()


def split_s3_url(url: str) -> tuple[str, str]:
    """Bucket and key of ``s3://bucket/key``.

    Raises:
        ValueError: it names no bucket or no key.
    """
    bucket, _, key = url.removeprefix("s3://").partition("/")
    if not url.startswith("s3://") or not bucket or not key:
        raise ValueError(f"{url!r} is not of the form s3://bucket/key")
    return bucket, key
