"""A remote object as a file that FFmpeg reads and seeks in, through a cache of blocks."""

from __future__ import annotations

import hashlib
import io
from collections import OrderedDict

from mediaproc.errors import MediaError
from mediaproc.media.remote import RemoteObject

BLOCK_BYTES = 1 << 20
# Blocks kept for one open object, and the most that one request asks for.
KEPT_BLOCKS = 24
AHEAD_BLOCKS = 8


class BlockFile:
    """A seekable file over an object's bytes; for one thread.

    A block is asked for alone after a jump; reading on from there, each request asks for twice as
    many blocks as the one before it. So what is read too much is never more than what was used,
    plus a block, and a long run takes a request for every 8 MB.

    Attributes:
        name: file name; FFmpeg looks at its ending when the content leaves it in doubt.
        failed: the error that ended reading, or None. It is raised once, out of ``read``: FFmpeg
            may ask again before it returns, and then finds the end of the file.
    """

    def __init__(self, remote: RemoteObject, name: str) -> None:
        self.name = name
        self.failed: MediaError | None = None
        self._remote = remote
        self._size = remote.size
        self._position = 0
        # Number of a block -> its bytes, and how many came with the request that brought it.
        self._blocks: OrderedDict[int, tuple[bytes, int]] = OrderedDict()
        self._sha: hashlib._Hash | None = None
        self._hashed = 0
        self._keep(0, remote.head)

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes from the position on; none at the end."""
        if self.failed or self._position >= self._size:
            return b""
        number, offset = divmod(self._position, BLOCK_BYTES)
        try:
            data = self._block(number)[offset : offset + size]
        except MediaError as error:
            self.failed = error
            raise
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to ``offset`` from the start, the position or the end; the new position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position

    def start_hash(self) -> None:
        """Hash the bytes as they are read, those read already included."""
        self._sha = hashlib.sha256()
        self._hashed = 0
        self._hash_on()

    def hash(self) -> str:
        """SHA-256 of all bytes, hex; those that nobody read are read now."""
        if self._sha is None:
            self.start_hash()
        assert self._sha is not None
        while self._hashed * BLOCK_BYTES < self._size:
            self._block(self._hashed)
            self._hash_on()
        return self._sha.hexdigest()

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            start = number * BLOCK_BYTES
            stop = min(start + self._ahead(number) * BLOCK_BYTES, self._size)
            self._keep(number, self._remote.read(start, stop))
            self._hash_on()
        self._blocks.move_to_end(number)
        return self._blocks[number][0]

    def _ahead(self, number: int) -> int:
        """How many blocks to ask for from ``number`` on."""
        _, before = self._blocks.get(number - 1, (b"", 0))
        most = min(max(1, 2 * before), AHEAD_BLOCKS)
        return next((n for n in range(1, most) if number + n in self._blocks), most)

    def _keep(self, number: int, data: bytes) -> None:
        count = -(-len(data) // BLOCK_BYTES)
        for n in range(count):
            block = data[n * BLOCK_BYTES : (n + 1) * BLOCK_BYTES]
            self._blocks[number + n] = (block, count)
        while len(self._blocks) > KEPT_BLOCKS:
            self._blocks.popitem(last=False)

    def _hash_on(self) -> None:
        while self._sha is not None and self._hashed in self._blocks:
            self._sha.update(self._blocks[self._hashed][0])
            self._hashed += 1
