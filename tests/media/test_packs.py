"""Frame packs: what goes in comes out, and damage is named."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from mediaproc.errors import MediaError
from mediaproc.media import PackIndex, PackWriter, decode_jpeg, encode_jpeg, read_frames

FRAMES = {7: b"seven" * 40, 12: b"twelve" * 30, 13: b"XIII!" * 40, 400: b"four hundred" * 9}


def packed(frames: dict[int, bytes]) -> tuple[bytes, PackIndex]:
    writer = PackWriter()
    for frame, jpeg in frames.items():
        writer.add(frame, jpeg)
    return writer.finish()


def reader(data: bytes) -> Callable[[int, int], bytes]:
    return lambda start, length: data[start : start + length]


def test_packs_give_back_what_was_added() -> None:
    data, index = packed(FRAMES)
    assert dict(read_frames(index, reader(data), list(FRAMES))) == FRAMES


def test_packs_keep_images() -> None:
    image = np.full((48, 64, 3), 120, dtype=np.uint8)
    data, index = packed({3: encode_jpeg(image)})
    [(frame, jpeg)] = read_frames(index, reader(data), [3])
    assert frame == 3
    assert np.abs(decode_jpeg(jpeg).astype(int) - 120).max() <= 2


def test_packs_of_equal_frames_are_equal_bytes() -> None:
    assert packed(FRAMES)[0] == packed(FRAMES)[0]


def test_packs_index_survives_json() -> None:
    index = packed(FRAMES)[1]
    assert PackIndex.from_json(json.loads(json.dumps(index.to_json()))) == index


def test_packs_index_takes_under_40_bytes_a_frame() -> None:
    frames = {5_000_000 + 50 * n: bytes(2**20 + n) for n in range(20)}
    index = packed(frames)[1]
    assert len(json.dumps(index.to_json())) < 40 * len(index)


def test_packs_read_one_frame_by_one_range() -> None:
    data, index = packed(FRAMES)
    asked = []

    def read(start: int, length: int) -> bytes:
        asked.append((start, length))
        return data[start : start + length]

    assert dict(read_frames(index, read, [13])) == {13: FRAMES[13]}
    assert asked == [(index.offsets[2], len(FRAMES[13]))]


def test_packs_read_neighbours_by_one_range_and_distant_frames_by_their_own() -> None:
    frames = {1: b"a" * 100, 2: b"b" * 100, 3: b"c" * 200_000, 4: b"d" * 100}
    data, index = packed(frames)
    asked = []

    def read(start: int, length: int) -> bytes:
        asked.append(length)
        return data[start : start + length]

    assert [frame for frame, _ in read_frames(index, read, [1, 2, 4])] == [1, 2, 4]
    assert asked == [200, 100]


@pytest.mark.parametrize("frame", list(FRAMES))
def test_packs_flipped_bit_names_the_frame(frame: int) -> None:
    data, index = packed(FRAMES)
    damaged = bytearray(data)
    damaged[index.offsets[index.frame_indexes.index(frame)] + 9] ^= 1
    message = f"^blob x: frame {frame} is damaged: its bytes do not match its digest"
    with pytest.raises(MediaError, match=message):
        list(read_frames(index, reader(bytes(damaged)), list(FRAMES), name="blob x"))


def test_packs_truncated_pack_names_the_frame_that_is_cut() -> None:
    data, index = packed(FRAMES)
    cut = index.offsets[2] + 30
    frames = read_frames(index, reader(data[:cut]), list(FRAMES))
    assert [next(frames)[0], next(frames)[0]] == [7, 12]
    with pytest.raises(MediaError, match=r"frame 13 is damaged: 30 of its 200 bytes are there"):
        next(frames)


def test_packs_swapped_frames_name_the_first_of_them() -> None:
    data, index = packed(FRAMES)
    swapped = data.replace(FRAMES[7], b"?").replace(FRAMES[13], FRAMES[7]).replace(b"?", FRAMES[13])
    assert len(swapped) == len(data)
    assert swapped != data
    with pytest.raises(MediaError, match=r"frame 7 is damaged: its bytes do not match"):
        list(read_frames(index, reader(swapped), list(FRAMES)))


def test_packs_swapped_index_entries_name_the_frame() -> None:
    data, index = packed({1: b"one", 2: b"two"})
    claims = index.to_json() | {"steps": [2, 1]}  # frames 2 and 3, by this index
    with pytest.raises(MediaError, match=r"frame 2 is damaged"):
        list(read_frames(PackIndex.from_json(claims), reader(data), [2]))


def test_packs_bytes_wrong_once_are_read_again() -> None:
    data, index = packed(FRAMES)
    reads = []

    def read(start: int, length: int) -> bytes:
        reads.append(start)
        return b"?" * length if len(reads) == 1 else data[start : start + length]

    assert dict(read_frames(index, read, [12])) == {12: FRAMES[12]}
    assert len(reads) == 2


def test_packs_foreign_blob_is_refused() -> None:
    index = packed(FRAMES)[1]
    with pytest.raises(MediaError, match=r"^blob x: it is no frame pack; frame 7 cannot be read"):
        list(read_frames(index, reader(b"\xff\xd8" * 1000), [7], name="blob x"))


def test_packs_of_another_version_are_refused() -> None:
    data, index = packed(FRAMES)
    other = data[:7] + b"\x02" + bytes(len(data) - 8)
    with pytest.raises(MediaError, match=r"a frame pack of version 2, and .* reads 1; frame 7"):
        list(read_frames(index, reader(other), [7]))


def test_packs_frame_that_is_not_there_is_named() -> None:
    data, index = packed(FRAMES)
    with pytest.raises(MediaError, match=r"^frame pack: it has no frame 8$"):
        list(read_frames(index, reader(data), [7, 8]))


def test_packs_refuse_frames_out_of_order() -> None:
    writer = PackWriter()
    writer.add(4, b"x")
    with pytest.raises(ValueError, match="frame 4 comes after frame 4"):
        writer.add(4, b"y")


def test_packs_refuse_frames_without_bytes() -> None:
    with pytest.raises(ValueError, match="frame 4 has no bytes"):
        PackWriter().add(4, b"")


@pytest.mark.parametrize(
    "change",
    [
        {"steps": [7, 5, 1]},
        {"steps": [7, 0, 1, 387]},
        {"steps": [7, "5", 1, 387]},
        {"lengths": [1, 2, 3, -4]},
        {"digests": "AAAA"},
        {"digests": "?"},
        {"lengths": None},
    ],
)
def test_packs_damaged_index_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(MediaError, match="frame pack index: it is damaged"):
        PackIndex.from_json(packed(FRAMES)[1].to_json() | change)


def test_packs_index_of_another_version_is_refused() -> None:
    with pytest.raises(MediaError, match="version 2, and this version of mediaproc reads 1"):
        PackIndex.from_json(packed(FRAMES)[1].to_json() | {"pack": 2})
