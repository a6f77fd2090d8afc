"""What every blob store keeps to: a local folder, moto's S3 and, where one is named, a real S3."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mediaproc.blobs import BlobRef, BlobStore, open_blob_store
from mediaproc.blobs.s3 import PART_BYTES
from mediaproc.errors import BlobError
from mediaproc.media import PackWriter, read_frames
from tests.s3 import SERVERS, place_on

DATA = bytes(range(256)) * 40
ABSENT = BlobRef.of(b"never written")


@pytest.fixture(params=["local", *SERVERS])
def store(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[BlobStore]:
    if request.param == "local":
        yield open_blob_store(str(tmp_path / "deep" / "blobs"))
        return
    with place_on(request.param, request, monkeypatch) as place:
        yield open_blob_store(place.url)


@pytest.mark.parametrize("data", [b"", b"x", DATA], ids=["empty", "byte", "10 kB"])
def test_store_gives_back_what_was_put(store: BlobStore, data: bytes) -> None:
    assert store.get(store.put(data)) == data


def test_store_gives_back_a_blob_of_several_parts(store: BlobStore) -> None:
    data = DATA * (2 * PART_BYTES // len(DATA) + 1)
    assert store.get(store.put(data)) == data


@pytest.mark.parametrize("parts", [0, 2])
def test_store_gives_back_a_file_that_was_put(store: BlobStore, tmp_path: Path, parts: int) -> None:
    data = DATA * (parts * PART_BYTES // len(DATA) + 1)
    with store.scratch(".bin") as path:
        path.write_bytes(data)
        ref = store.put_file(path)
        left = path.exists()
    store.copy_to(ref, tmp_path / "copy.bin")
    assert ((tmp_path / "copy.bin").read_bytes() == data, ref, left) == (
        True,
        BlobRef.of(data),
        False,
    )


def test_store_takes_a_file_from_any_folder(store: BlobStore, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.bin"
    path.write_bytes(DATA)
    assert store.get(store.put_file(path)) == DATA


def test_store_scratch_file_goes_with_its_block(store: BlobStore) -> None:
    with store.scratch() as path:
        path.write_bytes(DATA)
    assert not path.exists()


def test_store_copy_of_a_damaged_blob_is_an_error_that_names_it(
    store: BlobStore, tmp_path: Path
) -> None:
    ref = store.put(DATA)
    store._write(ref.key, b"?" + DATA[1:])
    with pytest.raises(BlobError, match=f"{ref.key}.* is damaged: its bytes do not match its dig"):
        store.copy_to(ref, tmp_path / "copy.bin")


def test_store_names_a_blob_by_its_content(store: BlobStore) -> None:
    assert store.put(DATA) == BlobRef.of(DATA)


def test_store_keeps_equal_bytes_once(store: BlobStore) -> None:
    store.put(DATA)
    store.put(DATA)
    assert [found.ref for found in store.list()] == [BlobRef.of(DATA)]


def test_store_missing_blob_is_an_error_that_names_it(store: BlobStore) -> None:
    with pytest.raises(BlobError) as caught:
        store.get(ABSENT)
    assert ABSENT.key in str(caught.value)
    assert str(store) in str(caught.value)


def test_store_range_of_a_missing_blob_is_an_error_that_names_it(store: BlobStore) -> None:
    with pytest.raises(BlobError, match=ABSENT.key):
        store.get_range(ABSENT, 0, 5)


@pytest.mark.parametrize(
    ("start", "length"), [(0, 1), (0, len(DATA)), (5, 300), (len(DATA) - 3, 3), (7, 0)]
)
def test_store_reads_a_range(store: BlobStore, start: int, length: int) -> None:
    assert store.get_range(store.put(DATA), start, length) == DATA[start : start + length]


@pytest.mark.parametrize(("start", "length"), [(-1, 5), (0, -1), (len(DATA), 1), (9, len(DATA))])
def test_store_refuses_a_range_outside_the_blob(store: BlobStore, start: int, length: int) -> None:
    with pytest.raises(BlobError, match=f"lie outside its {len(DATA)} bytes"):
        store.get_range(store.put(DATA), start, length)


def test_store_contains_what_was_put_and_nothing_else(store: BlobStore) -> None:
    ref = store.put(DATA)
    assert [store.contains(ref), store.contains(ABSENT)] == [True, False]


def test_store_contains_no_blob_that_is_cut_short(store: BlobStore) -> None:
    ref = store.put(DATA)
    store._write(ref.key, DATA[:-1])
    assert not store.contains(ref)


def test_store_deletes_a_blob(store: BlobStore) -> None:
    ref = store.put(DATA)
    store.delete(ref)
    assert not store.contains(ref)


def test_store_deletes_a_missing_blob_without_an_error(store: BlobStore) -> None:
    store.delete(ABSENT)


def test_store_without_blobs_lists_none(store: BlobStore) -> None:
    assert list(store.list()) == []


def test_store_lists_its_blobs_in_the_order_of_digests(store: BlobStore) -> None:
    refs = [store.put(bytes([number]) * number) for number in range(30)]
    assert [found.ref for found in store.list()] == sorted(refs, key=lambda ref: ref.sha256)


def test_store_lists_when_a_blob_was_written(store: BlobStore) -> None:
    store.put(DATA)
    [found] = store.list()
    assert abs(found.modified_at - time.time()) < 60


def test_store_lists_no_foreign_objects(store: BlobStore) -> None:
    ref = store.put(DATA)
    for key in ("notes.txt", f"{ref.key[:2]}/.tmp-1", f"00/{ref.sha256[::-1]}", f"x/{ref.key}"):
        store._write(key, b"foreign")
    assert [found.ref for found in store.list()] == [ref]


def test_store_damaged_blob_is_an_error_that_names_it(store: BlobStore) -> None:
    ref = store.put(DATA)
    store._write(ref.key, b"?" + DATA[1:])
    store.reads = 1
    with pytest.raises(BlobError, match=f"{ref.key}.* is damaged: its bytes do not match its dig"):
        store.get(ref)


def test_store_truncated_blob_is_an_error_that_names_it(store: BlobStore) -> None:
    ref = store.put(DATA)
    store._write(ref.key, DATA[:-1])
    store.reads = 1
    message = f"{ref.key}.* is damaged: it has 10239 bytes and should have 10240"
    with pytest.raises(BlobError, match=message):
        store.get(ref)


def test_store_range_of_a_truncated_blob_is_an_error_that_names_it(store: BlobStore) -> None:
    ref = store.put(DATA)
    store._write(ref.key, DATA[:-1])
    store.reads = 1
    with pytest.raises(BlobError, match=f"{ref.key}.* is damaged: 9 bytes came of 10 from 10230"):
        store.get_range(ref, 10230, 10)


def test_store_writes_a_truncated_blob_anew(store: BlobStore) -> None:
    ref = store.put(DATA)
    store._write(ref.key, DATA[:-1])
    store.put(DATA)
    assert store.get(ref) == DATA


def test_store_check_passes_and_leaves_no_blob(store: BlobStore) -> None:
    store.check()
    assert list(store.list()) == []


def test_store_serves_many_threads(store: BlobStore) -> None:
    blobs = [bytes([number % 5]) * 2000 for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda data: store.get(store.put(data)), blobs)) == blobs


def test_store_serves_one_frame_of_a_pack(store: BlobStore) -> None:
    writer = PackWriter()
    for frame in range(50):
        writer.add(frame, b"jpeg %d" % frame * 100)
    data, index = writer.finish()
    ref = store.put(data)
    frames = read_frames(index, lambda start, n: store.get_range(ref, start, n), [31])
    assert dict(frames) == {31: b"jpeg 31" * 100}
