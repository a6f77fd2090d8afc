"""The cache of blocks: few requests when reading on, little read after a jump, bounded."""

from __future__ import annotations

import hashlib
import io
import random

import pytest

from mediaproc.errors import MediaError
from mediaproc.media.blocks import AHEAD_BLOCKS, BLOCK_BYTES, KEPT_BLOCKS, BlockFile
from mediaproc.media.remote import RemoteObject

MB = BLOCK_BYTES


class Memory(RemoteObject):
    """An object of bytes in memory, which counts what is asked for, in blocks."""

    def __init__(self, data: bytes) -> None:
        super().__init__("http://host/a")
        self.data = data
        self.size, self.identity, self.head = len(data), None, data[:BLOCK_BYTES]
        self.asked: list[tuple[int, int]] = []
        self.broken = False

    def _range(self, start: int, stop: int) -> bytes:
        if self.broken:
            raise self._error("broken")
        self.asked.append((start // MB, -(-stop // MB)))
        return self.data[start:stop]

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def data() -> bytes:
    return random.Random(1).randbytes(40 * MB + 12345)


def read_at(file: BlockFile, position: int, size: int) -> bytes:
    file.seek(position)
    parts = []
    while size and (part := file.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def test_blocks_read_as_a_file_does(data: bytes) -> None:
    file, plain = BlockFile(Memory(data), "a"), io.BytesIO(data)
    chance = random.Random(2)
    for _ in range(200):
        position, size = chance.randrange(len(data) + MB), chance.randrange(3 * MB)
        plain.seek(position)
        assert read_at(file, position, size) == plain.read(size)
        assert file.tell() == max(position, plain.tell())
    assert file.seek(-5, io.SEEK_END) == len(data) - 5
    assert file.seek(2, io.SEEK_CUR) == len(data) - 3


def test_blocks_ask_for_more_the_longer_one_reads_on(data: bytes) -> None:
    remote = Memory(data)
    read_at(BlockFile(remote, "a"), 0, 30 * MB)
    assert remote.asked == [(1, 3), (3, 7), (7, 15), (15, 23), (23, 31)]
    assert AHEAD_BLOCKS == 8


def test_blocks_ask_for_one_after_a_jump(data: bytes) -> None:
    remote = Memory(data)
    file = BlockFile(remote, "a")
    read_at(file, 20 * MB + 5, 10)
    read_at(file, 40 * MB, 10)
    assert remote.asked == [(20, 21), (40, 41)]


def test_blocks_do_not_ask_twice_for_what_they_keep(data: bytes) -> None:
    remote = Memory(data)
    file = BlockFile(remote, "a")
    for position in (0, 3 * MB, 5 * MB, 0, 5 * MB + 7, 3 * MB):
        read_at(file, position, 100)
    read_at(file, 4 * MB, MB)
    assert remote.asked == [(3, 4), (5, 6), (4, 5)]


def test_blocks_keep_a_bounded_number(data: bytes) -> None:
    file = BlockFile(Memory(data), "a")
    read_at(file, 0, len(data))
    assert len(file._blocks) == KEPT_BLOCKS


def test_blocks_hash_each_block_once_however_they_are_read(data: bytes) -> None:
    remote = Memory(data)
    file = BlockFile(remote, "a")
    read_at(file, len(data) - 100, 100)
    file.start_hash()
    read_at(file, 0, 17 * MB)
    assert file.hash() == hashlib.sha256(data).hexdigest()
    assert sum(stop - start for start, stop in remote.asked) <= 41 + 1


def test_blocks_raise_a_failure_once_and_give_nothing_after_it(data: bytes) -> None:
    remote = Memory(data)
    file = BlockFile(remote, "a")
    remote.broken = True
    file.seek(9 * MB)
    with pytest.raises(MediaError, match="broken"):
        file.read(10)
    remote.broken = False
    assert file.read(10) == b""
    assert isinstance(file.failed, MediaError)
