"""Fingerprints: the same everywhere, remembered, and never of bytes that changed."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from pathlib import Path

import pytest

from mediaproc.errors import MediaError
from mediaproc.media import (
    FingerprintMemory,
    FrameIndex,
    SameVideo,
    decode_frames,
    fingerprint,
    index_video,
    is_same_video,
    open_video,
)
from tests.servers import Served


@pytest.fixture
def memory(tmp_path: Path) -> FingerprintMemory:
    return FingerprintMemory(tmp_path / "home" / "fingerprints.sqlite")


def settled(path: Path, data: bytes) -> Path:
    """A file that was written a minute ago."""
    path.write_bytes(data)
    os.utime(path, ns=(time.time_ns() - 60 * 10**9,) * 2)
    return path


def keep_times(path: Path, data: bytes) -> None:
    """Other bytes in a file that looks as before."""
    state = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_fingerprint_is_the_sha256_of_all_bytes(
    tmp_path: Path, served: Served, squares_clip: Path
) -> None:
    data = squares_clip.read_bytes()
    served.files["/clip.mp4"] = data
    assert fingerprint(str(settled(tmp_path / "a", data))) == sha256(data)
    assert fingerprint(f"{served.url}/clip.mp4") == sha256(data)
    assert index_video(f"{served.url}/clip.mp4")[0].fingerprint == sha256(data)


def test_fingerprint_of_an_unchanged_file_is_remembered(
    tmp_path: Path, memory: FingerprintMemory
) -> None:
    path = settled(tmp_path / "a", b"one")
    fingerprint(str(path), memory)
    keep_times(path, b"two")
    assert fingerprint(str(path), memory) == sha256(b"one")


@pytest.mark.parametrize("change", ["size", "mtime", "inode", "path"])
def test_fingerprint_is_not_remembered_for_a_file_that_differs_in(
    tmp_path: Path, memory: FingerprintMemory, change: str
) -> None:
    path = settled(tmp_path / "a", b"one")
    fingerprint(str(path), memory)
    if change == "size":
        keep_times(path, b"three")
    elif change == "mtime":
        settled(path, b"two")
    elif change == "inode":
        state = path.stat()
        other = settled(tmp_path / "b", b"two")
        os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
        other.replace(path)
    else:
        path = path.rename(tmp_path / "b")
        keep_times(path, b"two")
    assert fingerprint(str(path), memory) == sha256(path.read_bytes())


def test_fingerprint_of_a_file_that_was_just_written_is_not_remembered(
    tmp_path: Path, memory: FingerprintMemory
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    fingerprint(str(path), memory)
    keep_times(path, b"two")
    assert fingerprint(str(path), memory) == sha256(b"two")


def test_fingerprint_of_a_video_is_remembered_by_its_index(
    tmp_path: Path, memory: FingerprintMemory, squares_clip: Path
) -> None:
    path = settled(tmp_path / "a.mp4", squares_clip.read_bytes())
    info, _ = index_video(str(path), memory)
    assert info.identity is not None
    assert memory.get(info.identity) == info.fingerprint


@pytest.mark.parametrize("faults", [set(), {"weak"}], ids=["strong ETag", "Last-Modified"])
def test_fingerprint_behind_http_is_remembered(
    served: Served, memory: FingerprintMemory, faults: set[str]
) -> None:
    served.files["/clip.mp4"] = bytes(5_000_000)
    served.faults = faults
    first = fingerprint(f"{served.url}/clip.mp4", memory)
    served.forget()
    assert fingerprint(f"{served.url}/clip.mp4", memory) == first
    assert len(served.requests) == 1


@pytest.mark.parametrize("kind", ["no version", "written just now"])
def test_fingerprint_behind_http_that_may_change_unseen_is_not_remembered(
    served: Served, memory: FingerprintMemory, kind: str
) -> None:
    served.files["/clip.mp4"] = b"one"
    served.faults = {"no-version"} if kind == "no version" else {"weak"}
    served.modified = time.time()
    fingerprint(f"{served.url}/clip.mp4", memory)
    served.files["/clip.mp4"] = b"two"
    assert fingerprint(f"{served.url}/clip.mp4", memory) == sha256(b"two")


def test_fingerprint_memory_forgets_the_oldest(tmp_path: Path) -> None:
    memory = FingerprintMemory(tmp_path / "f.sqlite", most=3)
    for number in range(5):
        memory.put(f"identity {number}", f"fingerprint {number}")
    found = [memory.get(f"identity {number}") for number in range(5)]
    assert found == [None, None, "fingerprint 2", "fingerprint 3", "fingerprint 4"]


def test_fingerprint_memory_holds_no_secret(served: Served, memory: FingerprintMemory) -> None:
    served.files["/clip.mp4"] = b"one"
    url = served.url.replace("http://", "http://me:hunter2@") + "/clip.mp4?sig=hunter2"
    fingerprint(url, memory)
    database = sqlite3.connect(memory.path)
    dump = "".join(database.iterdump())
    database.close()
    assert sha256(b"one") in dump
    assert "hunter2" not in dump


def test_fingerprint_memory_that_is_damaged_is_an_error(
    tmp_path: Path, memory: FingerprintMemory
) -> None:
    memory.path.parent.mkdir()
    memory.path.write_bytes(b"not a database" * 100)
    with pytest.raises(MediaError, match=r"fingerprints.sqlite cannot be used: .*delete the file"):
        fingerprint(str(settled(tmp_path / "a", b"one")), memory)


def test_fingerprint_of_a_file_that_changes_while_it_is_read_is_an_error(
    squares_clip: Path, tmp_path: Path
) -> None:
    path = settled(tmp_path / "a.mp4", squares_clip.read_bytes())

    def read() -> None:
        with open_video(str(path)):
            path.write_bytes(squares_clip.read_bytes() + b"more")

    with pytest.raises(MediaError, match="the file changed while it was read"):
        read()


@pytest.fixture
def indexed(served: Served, clips: dict[str, Path]) -> tuple[str, SameVideo, FrameIndex]:
    served.files["/clip.mp4"] = clips["mp4"].read_bytes()
    url = f"{served.url}/clip.mp4"
    info, index = index_video(url)
    served.forget()
    return url, SameVideo(info), index


def test_same_video_is_known_without_reading_it(
    served: Served, indexed: tuple[str, SameVideo, FrameIndex], clips: dict[str, Path]
) -> None:
    url, same, index = indexed
    assert len(list(decode_frames(url, index, [0], check=same))) == 1
    assert served.sent < clips["mp4"].stat().st_size


def test_same_video_refuses_other_bytes_of_the_same_size(
    served: Served, indexed: tuple[str, SameVideo, FrameIndex]
) -> None:
    url, same, index = indexed
    served.files["/clip.mp4"] = served.files["/clip.mp4"][:-1] + b"x"
    with pytest.raises(MediaError, match="is not the video that was indexed"):
        list(decode_frames(url, index, [0], check=same))


def test_same_video_takes_the_same_bytes_under_another_version_and_hashes_once(
    served: Served, indexed: tuple[str, SameVideo, FrameIndex]
) -> None:
    url, same, index = indexed
    served.faults = {"etag"}
    list(decode_frames(url, index, [0], check=same))
    once = served.sent
    served.forget()
    list(decode_frames(url, index, [0], check=same))
    assert served.sent < len(served.files["/clip.mp4"]) <= once


def test_same_video_of_a_copied_file_is_found_by_its_bytes(
    tmp_path: Path, squares_clip: Path
) -> None:
    info, _ = index_video(str(squares_clip))
    copy = settled(tmp_path / "copy.mp4", squares_clip.read_bytes())
    assert is_same_video(str(copy), info)
    keep_times(copy, squares_clip.read_bytes()[:-1] + b"x")
    assert not is_same_video(str(copy), info)
