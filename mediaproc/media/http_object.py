"""Videos behind ``http(s)://``, read by range."""

from __future__ import annotations

import http.client
import re
import ssl
import time
from datetime import timedelta
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import NoReturn
from urllib.parse import SplitResult, urljoin, urlsplit

from mediaproc.addresses import shown
from mediaproc.media.blocks import BLOCK_BYTES
from mediaproc.media.http_connection import Connection, ProxyError, origin
from mediaproc.media.remote import RemoteObject, TryAgainError, identity_of

# For a whole answer, of at most 8 MB.
ANSWER_TIMEOUT_S = 300.0
MAX_REDIRECTS = 5

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)$")
_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_CHUNK_BYTES = 1 << 18
# A file may change again within the second that its Last-Modified names.
_SETTLED = timedelta(seconds=2)


class HttpObject(RemoteObject):
    """An object behind a URL whose server sends ranges of bytes.

    Its identity is the URL with the strong ETag, or else Last-Modified where that is at least 2 s
    old, and the size. Every answer must carry the ETag (without one, the Last-Modified) and size
    of the first one, so bytes of two versions are never mixed. The final URL of redirects is kept;
    https never leads to http, and a user and password go to the host that they were given for.

    Raises:
        MediaError: it cannot be reached, is missing or refused, has no bytes, or the server sends
            no ranges or does not tell the size.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._url = self._parsed(url)
        self._named = self._url._replace(netloc=self._url.netloc.rpartition("@")[2]).geturl()
        self._connection: Connection | None = None
        self._version: str | None = None
        self._validator: str | None = None
        self.size, self.identity = 0, None
        try:
            self.head = self._tried(lambda: self._range(0, BLOCK_BYTES))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _range(self, start: int, stop: int) -> bytes:
        try:
            response = self._answer(start, stop)
            if response.status != 206:
                self._refused(response)
            data = self._body(response, *self._checked(response, start, stop))
        except ssl.SSLCertVerificationError as error:
            raise self._error(f"the server's certificate is not valid: {error}") from error
        except ProxyError as error:
            raise self._error(str(error)) from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            text = "timed out" if isinstance(error, TimeoutError) else str(error)
            raise TryAgainError(text or type(error).__name__) from error
        except BaseException:
            # What is left of the answer must not be taken for the next one.
            self.close()
            raise
        if response.will_close:
            self.close()
        return data

    def _answer(self, start: int, stop: int) -> http.client.HTTPResponse:
        headers = {
            "Range": f"bytes={start}-{stop - 1}",
            "Accept-Encoding": "identity",
            "User-Agent": "mediaproc",
        }
        if self._validator:
            headers["If-Range"] = self._validator
        for _ in range(MAX_REDIRECTS + 1):
            if self._connection is None:
                self._connection = Connection(self._url)
            response = self._connection.get(self._url, headers)
            if response.status not in _REDIRECTS:
                return response
            self.close()
            self._url = self._redirected(response.headers.get("Location"))
        raise self._error(f"more than {MAX_REDIRECTS} redirects")

    def _redirected(self, location: str | None) -> SplitResult:
        if not location:
            raise self._error("the server redirects to nowhere")
        new = self._parsed(urljoin(self._url.geturl(), location))
        if self._url.scheme == "https" and new.scheme == "http":
            raise self._error(
                f"redirects from https to plain http, to {shown(new.geturl())}, which is refused"
            )
        if origin(new) == origin(self._url) and new.username is None:
            user = self._url.netloc.rpartition("@")
            return new._replace(netloc=f"{user[0]}{user[1]}{new.netloc}")
        return new

    def _parsed(self, url: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            known = False
        if not known:
            raise self._error(f"{shown(url)} is not an address of the form http(s)://host/path")
        return parts

    def _checked(
        self, response: http.client.HTTPResponse, start: int, stop: int
    ) -> tuple[int, int]:
        """The range that an answer gives, after its head was found to be as it must."""
        headers = response.headers
        found = _RANGE.match(headers.get("Content-Range", ""))
        if found is None or headers.get("Content-Encoding", "identity") != "identity":
            raise self._error("the server's answer to a request for a range is not valid")
        if found[3] == "*":
            raise self._error(
                "the server does not tell its size; download the file and give its path"
            )
        size = int(found[3])
        version = _version(headers)
        if not self.size:
            self._version, self.size = version, size
            self._validator = known = _validator(headers)
            self.identity = identity_of("http", self._named, known, size) if known else None
        elif (version, size) != (self._version, self.size):
            raise self._changed()
        if (int(found[1]), int(found[2]) + 1) != (start, min(stop, size)):
            raise self._error("the server sent another range of bytes than it was asked for")
        return start, min(stop, size)

    def _body(self, response: http.client.HTTPResponse, start: int, stop: int) -> bytes:
        data = bytearray()
        limit = time.monotonic() + ANSWER_TIMEOUT_S
        while len(data) < stop - start:
            chunk = response.read(min(_CHUNK_BYTES, stop - start - len(data)))
            if not chunk:
                raise TryAgainError(
                    f"the answer broke off after {len(data)} of {stop - start} bytes"
                )
            data += chunk
            if time.monotonic() > limit:
                raise TryAgainError(f"the answer took more than {ANSWER_TIMEOUT_S:g} s")
        # Reads the end of a chunked body, so that the connection can be used again.
        if response.read(1):
            raise self._error("the server sent more bytes than it was asked for")
        return bytes(data)

    def _refused(self, response: http.client.HTTPResponse) -> NoReturn:
        status = response.status
        why = f"HTTP {status}"
        if status in _PASSING:
            raise TryAgainError(why)
        if status in (401, 403):
            raise self._denied(why)
        if status in (404, 410):
            raise self._missing(why)
        if status == 412 or (status == 416 and self.size):
            raise self._changed()
        of_none = response.headers.get("Content-Range", "").endswith("/0")
        if of_none or (status == 200 and response.headers.get("Content-Length") == "0"):
            raise self._error("the file is empty")
        if status == 200:
            # To If-Range, this answer means another version.
            if self.size and _version(response.headers) != self._version:
                raise self._changed()
            raise self._error(
                "the server sends no ranges of bytes; download the file and give its path"
            )
        raise self._error(f"cannot be read ({why} {response.reason})")


def _version(headers: Message) -> str | None:
    """What an answer says of the version of the bytes."""
    return headers.get("ETag") or headers.get("Last-Modified")


def _validator(headers: Message) -> str | None:
    """What the bytes can be known again by, in a form that fits ``If-Range``."""
    etag = headers.get("ETag")
    if etag and not etag.startswith("W/"):
        return etag
    modified, now = headers.get("Last-Modified"), headers.get("Date")
    try:
        settled = parsedate_to_datetime(now or "") - parsedate_to_datetime(modified or "")
    except (TypeError, ValueError):
        return None
    return modified if settled >= _SETTLED else None
