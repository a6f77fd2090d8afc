"""Addresses of videos: paths and URLs, what of them may be shown, and the name of a video."""

from __future__ import annotations

import re
from pathlib import PurePath
from urllib.parse import unquote, urlsplit

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_PARTS = re.compile(
    r"(?P<scheme>[^:/]+://)(?P<user>[^/?#]*@)?(?P<rest>[^?#]*)(?P<query>\?[^#]*)?", re.DOTALL
)


def scheme(address: str) -> str | None:
    """The scheme of a URL in lower case; None for a path."""
    match = _URL.match(address)
    return match[1].lower() if match else None


def is_url(address: str) -> bool:
    """Whether an address is a URL of any kind rather than a path."""
    return scheme(address) is not None


def shown(address: str) -> str:
    """The address for messages and results: user, password and query of a URL are masked.

    A query may be what a presigned link is signed with. The key of an S3 object is shown whole.

    >>> shown("https://me:secret@host/a.mp4?sig=1")
    'https://***@host/a.mp4?***'
    """
    if scheme(address) in (None, "s3"):
        return address
    match = _PARTS.match(address)
    assert match is not None
    user, rest = match["user"], match["rest"]
    if "@" in rest and not _valid(address):
        # A password with a slash in it, which ends the host: more is masked than may be secret.
        user, rest = "@", rest.rpartition("@")[2]
    query = "?***" if match["query"] else ""
    return f"{match['scheme']}{'***@' if user else ''}{rest}{query}"


def video_name(address: str) -> str:
    """The file name of a video: the last component of its path, or of its URL's path.

    >>> video_name("https://host/clips/a%20b.mp4?sig=1")
    'a b.mp4'
    """
    if scheme(address) in (None, "s3"):
        return PurePath(address).name
    return PurePath(unquote(urlsplit(address).path)).name


def _valid(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False
