"""Fingerprints of videos: SHA-256 of all bytes, remembered so that they are not read for it again.

A video has the same fingerprint as a file, in S3 and behind HTTP, on every machine.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mediaproc.errors import MediaError
from mediaproc.media.probe import VideoInfo
from mediaproc.media.source import Source, open_source

MOST_REMEMBERED = 10_000


class FingerprintMemory:
    """Fingerprints by the identities of sources, in a SQLite file.

    It holds digests only, no paths and no URLs.

    Args:
        path: the file; made with its folder on first use.
        most: how many are kept; the oldest are forgotten.
    """

    def __init__(self, path: Path, most: int = MOST_REMEMBERED) -> None:
        self.path = path
        self._most = most

    def get(self, identity: str) -> str | None:
        """The fingerprint of what has this identity, or None."""
        with self._open() as database:
            row = database.execute(
                "SELECT fingerprint FROM fingerprints WHERE identity = ?", (identity,)
            ).fetchone()
        return None if row is None else str(row[0])

    def put(self, identity: str, fingerprint: str) -> None:
        """Remember a fingerprint."""
        with self._open() as database:
            database.execute(
                "INSERT OR REPLACE INTO fingerprints (identity, fingerprint) VALUES (?, ?)",
                (identity, fingerprint),
            )
            database.execute(
                "DELETE FROM fingerprints WHERE number <="
                " (SELECT max(number) FROM fingerprints) - ?",
                (self._most,),
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            database = sqlite3.connect(self.path, timeout=60.0)
            try:
                with database:
                    database.execute(
                        "CREATE TABLE IF NOT EXISTS fingerprints (number INTEGER PRIMARY KEY,"
                        " identity TEXT NOT NULL UNIQUE, fingerprint TEXT NOT NULL)"
                    )
                    yield database
            finally:
                database.close()
        except (OSError, sqlite3.Error) as error:
            raise MediaError(
                f"the remembered fingerprints in {self.path} cannot be used: {error}; delete the "
                "file if it is damaged"
            ) from error


class Hashing:
    """Hashes a source while others read it, unless its fingerprint is remembered."""

    def __init__(self, source: Source, remembered: FingerprintMemory | None) -> None:
        self._source = source
        self._remembered = remembered
        identity = source.identity
        self._known = remembered.get(identity) if remembered and identity else None
        if self._known is None:
            source.start_hash()

    def result(self) -> str:
        """The fingerprint, when everything is hashed.

        Raises:
            MediaError: the bytes cannot be read, or changed since the source was opened.
        """
        if self._known is None:
            self._known = self._source.hash()
            if self._remembered and self._source.identity:
                self._remembered.put(self._source.identity, self._known)
        self._source.check()
        return self._known


def fingerprint(address: str, remembered: FingerprintMemory | None = None) -> str:
    """SHA-256 of all bytes of a path or URL, hex.

    Args:
        address: a path, ``s3://`` or ``http(s)://``.
        remembered: where it is looked up first, and kept. A file is known again by absolute path,
            size, modification time and inode; an S3 object by bucket, key, ETag, version id and
            size; one behind HTTP by URL, strong ETag or else Last-Modified, and size.

    Raises:
        MediaError: it cannot be read, or changes meanwhile.
    """
    with open_source(address) as source:
        return Hashing(source, remembered).result()


def is_same_video(
    address: str, info: VideoInfo, remembered: FingerprintMemory | None = None
) -> bool:
    """Whether there are the bytes of ``info`` behind an address; read only where nothing tells.

    Raises:
        MediaError: it cannot be read.
    """
    with open_source(address) as source:
        if source.identity is not None and source.identity == info.identity:
            return True
        if source.size != info.size_bytes:
            return False
        return Hashing(source, remembered).result() == info.fingerprint


class SameVideo:
    """Holds a video that is opened again and again to the bytes that were indexed.

    A source whose identity is not known by now is hashed once. One without an identity (a server
    that tells no version, a file written to in these seconds) is held to the size only.

    Args:
        info: of the video that was indexed.
        remembered: fingerprints.
    """

    def __init__(self, info: VideoInfo, remembered: FingerprintMemory | None = None) -> None:
        self._info = info
        self._remembered = remembered
        self._known = {info.identity} if info.identity else set()

    def __call__(self, source: Source) -> None:
        """Check an open source.

        Raises:
            MediaError: it is another video.
        """
        if source.size == self._info.size_bytes:
            if source.identity is None or source.identity in self._known:
                return
            if Hashing(source, self._remembered).result() == self._info.fingerprint:
                self._known.add(source.identity)
                return
        raise MediaError(
            f"{source.shown}: is not the video that was indexed: it was replaced or changed since; "
            "put that one back, or start a new job",
            path=source.shown,
        )
