"""Kept frames: the same pixels wherever they are read, by few writes and single reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediaproc.blobs import BlobRef, LocalBlobStore
from mediaproc.detect import kept
from mediaproc.detect.models import ModelStore
from mediaproc.detect.parts import as_part
from mediaproc.detect.services import Services
from mediaproc.detect.state import Frames
from mediaproc.errors import MediaError
from tests.detect.running import run_profile

KEPT = "stages: [sample_frames: {every: 1, keep: all, max_size: 160}]"


class Counting(LocalBlobStore):
    """Counts what is written and read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.written: list[str] = []
        self.ranges: list[tuple[str, int, int]] = []

    def _write(self, key: str, data: bytes) -> None:
        self.written.append(key)
        super()._write(key, data)

    def get_range(self, ref: BlobRef, start: int, length: int) -> bytes:
        self.ranges.append((ref.key, start, length))
        return super().get_range(ref, start, length)


def opened(values: dict[str, Any], blobs: LocalBlobStore) -> list[Frames]:
    """The frames of each segment, out of what a checkpoint holds of them."""
    restore = Services(blobs, ModelStore(Path())).restore(values["header"], {}, "test")
    parts = [as_part(json.loads(json.dumps(as_part(part).envelope()))) for part in values["parts"]]
    return [part.open(restore)["frames"] for part in parts]


@pytest.fixture
def values(tmp_path: Path, squares_clip: Path) -> dict[str, Any]:
    return run_profile(tmp_path, squares_clip, KEPT, more="segment: {max_s: 4}")[0]


def test_kept_frames_take_one_write_for_32_frames_or_more(
    values: dict[str, Any], tmp_path: Path
) -> None:
    packs = list(LocalBlobStore(tmp_path / "blobs").list())
    large = [blob for blob in packs if blob.ref.size > 10_000]
    assert 150 / 64 <= len(large) <= 150 / 32


def test_kept_frames_look_the_same_without_the_video_and_nearly_like_it(
    values: dict[str, Any], tmp_path: Path, squares_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = LocalBlobStore(tmp_path / "blobs")
    frames = opened(values, blobs)
    first = [frame for piece in frames for frame in piece.images()]
    monkeypatch.setattr(kept, "_RECENT", kept._Recent(0))
    values["header"]["info"]["path"] = values["header"]["address"] = "/gone.mp4"
    again = [frame for piece in opened(values, blobs) for frame in piece.images()]
    assert [frame.index for frame in first] == list(range(150))
    for one, other in zip(first, again, strict=True):
        assert (one.index, one.pts, one.time_s) == (other.index, other.pts, other.time_s)
        assert np.array_equal(one.image, other.image)
    _, plain = run_profile(tmp_path, squares_clip, "stages: [score_frames: {size: 160}]")
    luma = plain["frame_scores"].column("luma")
    assert np.abs(luma - [frame.image.mean() for frame in first]).max() < 2


def test_kept_frame_comes_back_by_a_single_range_read(
    values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_RECENT", kept._Recent(0))
    blobs = Counting(tmp_path / "blobs")
    frames = opened(values, blobs)[0]
    (frame,) = frames.media.images([17])
    assert frame.index == 17
    (read,) = blobs.ranges
    assert read[2] < 20_000


def test_kept_frame_that_is_damaged_is_named(
    values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_RECENT", kept._Recent(0))
    blobs = LocalBlobStore(tmp_path / "blobs")
    media = opened(values, blobs)[0].media
    assert isinstance(media, kept.KeptMedia)
    pack = media.packs[0]
    path = tmp_path / "blobs" / pack.ref.key
    data = bytearray(path.read_bytes())
    data[pack.index.offsets[3] + 40] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(MediaError, match=r"frame 3\b"):
        list(media.images([2, 3]))


def test_kept_frames_of_two_segments_join(values: dict[str, Any], tmp_path: Path) -> None:
    frames = Frames.concat(opened(values, LocalBlobStore(tmp_path / "blobs")))
    assert [frame.index for frame in frames.images()] == list(range(150))


def test_kept_frames_of_packs_that_overlap_come_once_and_in_order(
    values: dict[str, Any], tmp_path: Path
) -> None:
    blobs = LocalBlobStore(tmp_path / "blobs")
    whole = opened(values, blobs)[0]
    early, middle, late = (
        kept.keep(whole.within(*s), blobs, 90) for s in ((0, 9), (9, 20), (20, 40))
    )
    outer = Frames.concat([early, late])
    joined = Frames.concat([outer.within(0, 9), middle, outer.within(20, 30), whole.within(30, 50)])
    assert [frame.index for frame in joined.images()] == list(range(50))
