"""Videos behind http://: the same as files, good and bad, and read no more than is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mediaproc.errors import MediaError
from mediaproc.media import index_video
from tests.media.conftest import ENDINGS
from tests.media.sources import check_same_as_file, digests
from tests.media.test_decode import bad_file
from tests.servers import Served


@pytest.mark.parametrize("ending", ENDINGS)
def test_source_http_gives_the_frames_of_the_file(
    served: Served, clips: dict[str, Path], ending: str
) -> None:
    served.files[f"/clip.{ending}"] = clips[ending].read_bytes()
    check_same_as_file(clips[ending], f"{served.url}/clip.{ending}")


def test_source_reads_for_an_index_little_more_than_the_file(
    served: Served, long_clip: Path
) -> None:
    served.files["/long.mp4"] = long_clip.read_bytes()
    index_video(f"{served.url}/long.mp4")
    size = long_clip.stat().st_size
    assert served.sent < size + (4 << 20)
    assert len(served.requests) < 12 + size / (8 << 20)


def test_source_reads_for_a_second_in_the_middle_a_part_of_the_file(
    served: Served, long_clip: Path
) -> None:
    served.files["/long.mp4"] = long_clip.read_bytes()
    _, index = index_video(str(long_clip))
    assert len(digests(f"{served.url}/long.mp4", index, list(range(300, 310)))) == 10
    assert served.sent < long_clip.stat().st_size / 4


BAD = [
    ("text", "cannot be opened as a video"),
    ("empty", "the file is empty"),
    ("script", "cannot be opened as a video"),
    ("playlist", "cannot be opened as a video"),
    ("audio", "has no video stream; its streams: audio"),
    ("headless", "cannot be opened as a video"),
]


@pytest.mark.parametrize(("kind", "message"), BAD)
def test_source_http_says_of_a_bad_file_what_is_said_of_a_local_one(
    served: Served, tmp_path: Path, squares_clip: Path, kind: str, message: str
) -> None:
    bad = bad_file(kind, tmp_path, squares_clip)
    served.files["/bad.mp4"] = bad.read_bytes()
    url = f"{served.url}/bad.mp4"
    with pytest.raises(MediaError, match=message) as remote_error:
        index_video(url)
    with pytest.raises(MediaError) as local_error:
        index_video(str(bad))
    assert str(remote_error.value) == str(local_error.value).replace(str(bad), url)


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile {url}/good.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}/good.mp4\n#EXT-X-ENDLIST\n",
    ],
    ids=["ffconcat", "hls"],
)
def test_source_opens_nothing_that_a_script_names(
    served: Served, squares_clip: Path, text: str
) -> None:
    served.files["/good.mp4"] = squares_clip.read_bytes()
    served.files["/script.mp4"] = text.format(url=served.url).encode()
    with pytest.raises(MediaError, match="cannot be opened as a video"):
        index_video(f"{served.url}/script.mp4")
    assert {path for path, _, _ in served.requests} == {"/script.mp4"}


def test_source_http_counts_what_there_is_of_a_file_cut_in_half(
    served: Served, clips: dict[str, Path], tmp_path: Path
) -> None:
    half = tmp_path / "half.mkv"
    data = clips["mkv"].read_bytes()
    half.write_bytes(data[: len(data) // 2])
    served.files["/half.mkv"] = half.read_bytes()
    info, _ = index_video(f"{served.url}/half.mkv")
    assert info.frame_count == index_video(str(half))[0].frame_count < 60


def test_source_http_names_the_frame_that_a_damaged_file_lacks(
    served: Served, clips: dict[str, Path]
) -> None:
    _, index = index_video(str(clips["mkv"]))
    data = clips["mkv"].read_bytes()
    served.files["/clip.mkv"] = data[: len(data) // 2]
    with pytest.raises(MediaError, match=r"clip.mkv: frame \d+ at \d\.\d+ s cannot be decoded"):
        digests(f"{served.url}/clip.mkv", index, list(range(100)))
