"""The S3 client that blobs, videos and models share, and its errors in words.

Credentials, region and endpoint come from boto3's own chain (``AWS_ACCESS_KEY_ID``,
``AWS_ENDPOINT_URL_S3``, profiles, roles); nothing of it is read or kept here.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from mediaproc.errors import MediaprocError

# Tries of a request in all, waiting longer each time (botocore's "standard" retry mode).
ATTEMPTS = 6
CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 60

_PERMISSIONS = "s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket"
_REASONS = {
    "NoSuchBucket": "there is no such bucket; create it, or correct its name",
    "NoSuchKey": "there is no such object; it was deleted, or was never written under this name",
    "NotFound": "there is no such object, or no such bucket; check both names",
    "AccessDenied": f"access denied; the credentials need {_PERMISSIONS} there",
    "InvalidAccessKeyId": "the server does not know the access key; check AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the secret key is not the right one; check AWS_SECRET_ACCESS_KEY",
    "ExpiredToken": "the credentials have expired; renew them",
    "InvalidToken": "the session token is not valid; check AWS_SESSION_TOKEN",
    "RequestTimeTooSkewed": "this machine's clock is wrong; set it",
    "PermanentRedirect": "the bucket lies in another region; set AWS_DEFAULT_REGION to it",
    "InvalidRange": "the object is shorter than it should be; it is damaged",
    "QuotaExceeded": "the store is full (QuotaExceeded); free space or raise the quota",
    "SlowDown": "the server asks to slow down; try again later, or lower the concurrency",
}
# The codes that mean the same; answers to HEAD have no body, and so only a number.
_SAME = {
    "404": "NotFound",
    "403": "AccessDenied",
    "Forbidden": "AccessDenied",
    "401": "AccessDenied",
    "Unauthorized": "AccessDenied",
    "AllAccessDisabled": "AccessDenied",
    "301": "PermanentRedirect",
    "AuthorizationHeaderMalformed": "PermanentRedirect",
    "416": "InvalidRange",
    "503": "SlowDown",
    "RequestLimitExceeded": "SlowDown",
    "ServiceUnavailable": "SlowDown",
    "Throttling": "SlowDown",
    "ThrottlingException": "SlowDown",
}
_USER_INFO = re.compile(r"(?<=://)[^/@\s\"']*@")

_lock = threading.Lock()
_clients: dict[tuple[int, float], Any] = {}


def s3_client(*, attempts: int = ATTEMPTS, read_timeout_s: float = READ_TIMEOUT_S) -> Any:
    """The S3 client of this process; it is safe to share between threads.

    Args:
        attempts: tries of a request in all.
        read_timeout_s: how long an answer, or the next piece of it, may keep us waiting, seconds.

    Raises:
        MediaprocError: boto3's configuration is not valid, for instance an unknown profile.
    """
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    with _lock:
        if (attempts, read_timeout_s) not in _clients:
            config = Config(
                retries={"mode": "standard", "total_max_attempts": attempts},
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=read_timeout_s,
                max_pool_connections=32,
                # Servers other than AWS often know neither virtual hosts nor the newer checksums.
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            )
            try:
                client = boto3.session.Session().client("s3", config=config)
            except (BotoCoreError, ValueError) as error:
                raise MediaprocError(f"S3 cannot be used: {_masked(error)}") from error
            _clients[attempts, read_timeout_s] = client
        return _clients[attempts, read_timeout_s]


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


def s3_name(client: Any, bucket: str, key: str = "") -> str:
    """An object and its server, as messages name them: ``s3://bucket/key at host:port``."""
    # Without user and password, should the endpoint's URL hold any.
    host = urlsplit(client.meta.endpoint_url).netloc.rpartition("@")[2]
    return f"s3://{bucket}/{key} at {host}"


@contextmanager
def s3_errors(
    kind: type[MediaprocError], client: Any, action: str, bucket: str, key: str = ""
) -> Iterator[None]:
    """Raise what boto3 raises inside as ``kind``, in words.

    Args:
        kind: the exception to raise.
        client: the client that the requests go through.
        action: what is done to the object, a participle: ``"read"``, ``"written"``.
        bucket: of the object.
        key: of the object; empty where the request is about the bucket.

    Raises:
        MediaprocError: of that kind; its text names object and server, the reason, and what to do.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError) as error:
        cause = getattr(error, "last_exception", error)  # of a download in pieces
        reason = _reason(cause, client.meta.config)
        raise kind(f"{s3_name(client, bucket, key)} cannot be {action}: {reason}") from error


def is_missing(error: Exception) -> bool:
    """Whether a ClientError says that there is no such object."""
    return _code(error) in ("NoSuchKey", "NotFound")


def _code(error: Exception) -> str:
    code = str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))
    return _SAME.get(code, code)


def _reason(error: Exception, config: Any) -> str:
    """Why a request failed and what to do, in one line."""
    from botocore import exceptions as boto

    if isinstance(error, boto.ClientError):
        return _refusal(error)
    tries = f"after {config.retries['total_max_attempts']} tries"
    match error:
        case (
            boto.NoCredentialsError()
            | boto.PartialCredentialsError()
            | boto.CredentialRetrievalError()
        ):
            return (
                f"there are no credentials ({_masked(error)}); set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            )
        case boto.SSLError():
            return (
                f"the server's certificate is not trusted ({_masked(error)}); "
                "set AWS_CA_BUNDLE to the file that vouches for it"
            )
        case boto.EndpointConnectionError() | boto.ConnectTimeoutError():
            return (
                f"the server cannot be reached, {tries}; check AWS_ENDPOINT_URL_S3 and the network"
            )
        case boto.ReadTimeoutError():
            return (
                f"the server gave no answer within {config.read_timeout:g} s, {tries}; "
                "try again later"
            )
        case boto.ConnectionClosedError() | boto.ConnectionError() | boto.HTTPClientError():
            return f"the connection broke, {tries} ({_masked(error)}); check the network"
    return _masked(error)


def _refusal(error: Any) -> str:
    """The reason that the server itself gave."""
    meta = error.response.get("ResponseMetadata", {})
    retries, status = meta.get("RetryAttempts", 0), meta.get("HTTPStatusCode", 0)
    tries = f", after {retries + 1} tries" if retries else ""
    if reason := _REASONS.get(_code(error)):
        what, _, remedy = reason.partition("; ")
        return f"{what}{tries}; {remedy}"
    # Some servers put the number in the place of the code.
    code = error.response.get("Error", {}).get("Code", "")
    answer = f"{status} {code}" if str(status) != str(code) else str(status)
    if status >= 500:
        return f"the server failed with {answer}{tries}; try again later"
    said = error.response.get("Error", {}).get("Message", "")
    return f"the server answered {answer}{tries}: {_masked(said)}"


def _masked(error: object) -> str:
    """One line without the user and password of a URL."""
    return _USER_INFO.sub("***@", " ".join(str(error).split()))
