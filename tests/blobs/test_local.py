"""Blobs in a local folder: what only a file system can do wrong."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from mediaproc.blobs import BlobRef, LocalBlobStore
from mediaproc.errors import BlobError


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_local_full_disk_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    store = LocalBlobStore(tmp_path)
    store.put(b"")
    monkeypatch.setattr(os, "fsync", full)
    ref = BlobRef.of(b"data")
    message = (
        rf"^blob {tmp_path / ref.key} cannot be written \(4 bytes\): the disk is full "
        rf"\({os.strerror(number)}\); free space there, or set MEDIAPROC_BLOBS$"
    )
    with pytest.raises(BlobError, match=message):
        store.put(b"data")


def test_local_failed_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(source: str, target: str) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(BlobError, match="Input/output error"):
        LocalBlobStore(tmp_path).put(b"data")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_local_syncs_the_file_before_its_name_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def recorded_fsync(handle: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def recorded_replace(source: str, target: Path) -> None:
        steps.append("name")
        replace(source, target)

    store = LocalBlobStore(tmp_path)
    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    store.put(b"data")
    # The first: the folder that holds the new folder of the blob.
    assert steps == ["folder", "file", "name", "folder"]


@pytest.mark.parametrize("action", ["check", "put", "get", "contains", "delete", "list"])
def test_local_file_in_the_place_of_the_folder_is_named(tmp_path: Path, action: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    store, ref = LocalBlobStore(path), BlobRef.of(b"data")
    actions = {
        "check": store.check,
        "put": lambda: store.put(b"data"),
        "get": lambda: store.get(ref),
        "contains": lambda: store.contains(ref),
        "delete": lambda: store.delete(ref),
        "list": lambda: list(store.list()),
    }
    with pytest.raises(BlobError, match=rf"^blob (folder )?{path}.* cannot be "):
        actions[action]()


def test_local_check_names_a_folder_that_may_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*arguments: object, **keywords: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", denied)  # the tests may run as root
    message = f"^blob folder {tmp_path} cannot be written to: Permission denied; give this user acc"
    with pytest.raises(BlobError, match=message):
        LocalBlobStore(tmp_path).check()


def test_local_check_removes_what_killed_writers_left_long_ago(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalBlobStore(tmp_path)
    monkeypatch.setattr(os, "unlink", lambda path: None)  # as if killed before its name came
    monkeypatch.setattr(os, "replace", lambda source, target: 1 / 0)
    for data in (b"old", b"new"):
        with pytest.raises(ZeroDivisionError):
            store.put(data)
    monkeypatch.undo()
    left = {path.read_bytes(): path for path in tmp_path.rglob("*") if path.is_file()}
    long_ago = left[b"old"].stat().st_mtime - 90000
    os.utime(left[b"old"], (long_ago, long_ago))
    store.check()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [left[b"new"]]
