"""Indexing and decoding: exact, the same from wherever it begins, and clear about bad files."""

from __future__ import annotations

import hashlib
import threading
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from mediaproc.errors import MediaError
from mediaproc.media import (
    Decoder,
    FrameIndex,
    Scaler,
    anchors,
    decode_frames,
    index_video,
    prefetch,
    write_video,
)
from tests.clips import real_clip


def numbered(count: int, size_wh: tuple[int, int] = (64, 48)) -> list[npt.NDArray[np.uint8]]:
    """Frames whose brightness tells their number."""
    width, height = size_wh
    return [np.full((height, width, 3), 20 + 2 * n, dtype=np.uint8) for n in range(count)]


def digests(path: Path, index: FrameIndex, wanted: list[int]) -> dict[int, str]:
    return {
        frame.frame_index: hashlib.sha256(frame.image.tobytes()).hexdigest()
        for frame in decode_frames(str(path), index, wanted)
    }


OPEN_GOP = {"g": "12", "bf": "3", "x264-params": "open-gop=1:b-adapt=0:scenecut=0"}


@pytest.mark.parametrize("options", [{"g": "25", "bf": "2"}, {"bf": "0", "g": "5"}, OPEN_GOP])
@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "avi"])
def test_decode_gives_each_frame_the_same_from_wherever_it_begins(
    tmp_path: Path, options: dict[str, str], ending: str
) -> None:
    path = tmp_path / f"clip.{ending}"
    write_video(path, numbered(60), fps=Fraction(25), size_wh=(64, 48), options=options)
    _, index = index_video(str(path))
    assert len(index) == 60
    whole = digests(path, index, list(range(60)))
    for start in (0, 7, 12, 23, 24, 25, 37, 59):
        wanted = list(range(start, 60, 4))
        assert digests(path, index, wanted) == {n: whole[n] for n in wanted}, start


@pytest.mark.parametrize("clip", ["bigbuckbunny", "bikes", "carphone"])
def test_decode_of_real_clips_equals_plain_decoding(clip: str) -> None:
    path = real_clip(clip)
    _, index = index_video(str(path))
    with av.open(str(path)) as container:
        plain = [
            hashlib.sha256(frame.to_ndarray(format="bgr24").tobytes()).hexdigest()
            for frame in container.decode(video=0)
        ]
    wanted = list(range(2, len(index), 9))
    assert len(index) == len(plain)
    assert digests(path, index, wanted) == {n: plain[n] for n in wanted}


def test_index_keeps_23_976_exact(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    write_video(path, numbered(48), fps=Fraction(24000, 1001), size_wh=(64, 48))
    info, index = index_video(str(path))
    assert info.avg_frame_rate == (24000, 1001)
    assert index.time_s(47) == pytest.approx(47 * 1001 / 24000, abs=1e-9)
    assert info.duration_s == pytest.approx(48 * 1001 / 24000, abs=1e-9)


def test_index_follows_a_variable_frame_rate(tmp_path: Path) -> None:
    path = tmp_path / "vfr.mkv"
    pts = [0, 40, 80, 500, 540, 1000, 1033, 2000]
    write_video(
        path,
        numbered(8),
        fps=Fraction(25),
        size_wh=(64, 48),
        pts=pts,
        time_base=Fraction(1, 1000),
        options={"bf": "2"},
    )
    _, index = index_video(str(path))
    assert [round(index.time_s(n) * 1000) for n in range(8)] == pts
    shown = [int(f.image.mean()) for f in decode_frames(str(path), index, list(range(8)))]
    assert shown == sorted(shown)


def test_index_survives_bytes(squares_clip: Path) -> None:
    _, index = index_video(str(squares_clip))
    restored = FrameIndex.from_bytes(index.to_bytes())
    assert restored.pts.tolist() == index.pts.tolist()
    assert restored.keyframes.tolist() == index.keyframes.tolist()
    assert restored.end_s(149) == index.end_s(149) == 6.0


def test_anchors_tile_the_video_from_keyframe_to_keyframe(squares_clip: Path) -> None:
    _, index = index_video(str(squares_clip))
    blocks = [(block.start_frame, block.end_frame) for block in anchors(index)]
    assert blocks == [(0, 25), (25, 50), (50, 75), (75, 100), (100, 125), (125, 150)]


def test_decode_turns_frames_the_way_they_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "upright.mp4"
    image = np.zeros((48, 64, 3), dtype=np.uint8)
    image[:, :32] = 255
    write_video(path, [image] * 3, fps=Fraction(25), size_wh=(64, 48))
    data = path.read_bytes()
    # The display matrix of tkhd, identity in the file, becomes a quarter turn clockwise.
    one, minus = (65536).to_bytes(4, "big"), (2**32 - 65536).to_bytes(4, "big")
    none, unit = bytes(4), (1 << 30).to_bytes(4, "big")
    upright = one + none + none + none + one + none + none + none + unit
    turned = none + one + none + minus + none + none + none + none + unit
    at = data.index(upright, data.index(b"tkhd"))
    path.write_bytes(data[:at] + turned + data[at + len(upright) :])
    info, index = index_video(str(path))
    assert (info.rotation, info.display_width, info.display_height) == (90, 48, 64)
    shown = next(iter(decode_frames(str(path), index, [0]))).image
    assert shown.shape == (64, 48, 3)
    assert shown[:28].mean() > 240
    assert shown[36:].mean() < 15


def silent_audio(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        stream.layout = "mono"
        for number in range(20):
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono"
            )
            frame.sample_rate = 44100
            frame.pts = number * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def bad_file(kind: str, folder: Path, good: Path) -> Path:
    path = folder / "bad.mp4"
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("not a video\n" * 100)
    elif kind == "script":
        path.write_text(f"ffconcat version 1.0\nfile {good}\n")
    elif kind == "playlist":
        path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{good}\n")
    elif kind == "audio":
        silent_audio(path)
    elif kind == "headless":
        data = good.read_bytes()
        path.write_bytes(data[: data.index(b"moov")])
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "no such file"),
        ("folder", "is a folder"),
        ("empty", "the file is empty"),
        ("text", "cannot be opened as a video"),
        ("script", "cannot be opened as a video"),
        ("playlist", "cannot be opened as a video"),
        ("audio", "has no video stream; its streams: audio"),
        ("headless", "cannot be opened as a video"),
    ],
)
def test_index_of_a_bad_file_says_what_is_wrong(
    tmp_path: Path, squares_clip: Path, kind: str, message: str
) -> None:
    path = bad_file(kind, tmp_path, squares_clip)
    with pytest.raises(MediaError, match=message) as caught:
        index_video(str(path))
    assert str(caught.value).startswith(str(path))


def test_index_of_a_file_cut_in_half_counts_what_is_there(tmp_path: Path) -> None:
    whole, half = tmp_path / "whole.mkv", tmp_path / "half.mkv"
    frames = [np.random.default_rng(n).integers(0, 255, (48, 64, 3), np.uint8) for n in range(60)]
    write_video(whole, frames, fps=Fraction(25), size_wh=(64, 48), options={"g": "10"})
    data = whole.read_bytes()
    half.write_bytes(data[: len(data) // 2])
    info, index = index_video(str(half))
    assert 20 < info.frame_count < 40
    assert len(list(decode_frames(str(half), index, list(range(20))))) == 20


def test_decode_names_the_frame_that_a_damaged_file_lacks(
    tmp_path: Path, squares_clip: Path
) -> None:
    _, index = index_video(str(squares_clip))
    path = tmp_path / "damaged.mp4"
    data = squares_clip.read_bytes()
    # The coded frames lie between the boxes ftyp and moov: nothing is left of the later ones.
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    kept = start + (end - start) // 3
    path.write_bytes(data[:kept] + bytes(end - kept) + data[end:])
    with pytest.raises(MediaError, match=rf"^{path}: frame \d+ at \d\.\d+ s cannot be decoded"):
        list(decode_frames(str(path), index, list(range(150))))


def test_prefetch_stops_its_thread_when_the_reader_leaves(squares_clip: Path) -> None:
    _, index = index_video(str(squares_clip))
    before = threading.active_count()
    with prefetch(decode_frames(str(squares_clip), index, list(range(150))), 2) as frames:
        next(frames)
    assert threading.active_count() == before


def test_prefetch_hands_on_the_source_s_error() -> None:
    def source():  # type: ignore[no-untyped-def]
        yield from ()
        raise MediaError("broken")

    with pytest.raises(MediaError, match="broken"), prefetch(source(), 2) as frames:
        list(frames)


@pytest.mark.parametrize("options", [{"g": "25", "bf": "2"}, {"bf": "0", "g": "90"}, OPEN_GOP])
@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "avi"])
def test_decoder_gives_the_same_frames_whether_it_goes_on_or_begins_anew(
    tmp_path: Path, options: dict[str, str], ending: str
) -> None:
    path = tmp_path / f"clip.{ending}"
    write_video(path, numbered(60), fps=Fraction(25), size_wh=(64, 48), options=options)
    _, index = index_video(str(path))
    scaler = Scaler(None, "smooth")
    with closing(Decoder(str(path), index)) as decoder:
        for wanted in ([1, 2, 3], [4, 5, 9], [12], [13, 14, 30], [31], [29, 33], [0, 59]):
            fresh = digests(path, index, wanted)
            found = {
                number: hashlib.sha256(scaler.image(frame).tobytes()).hexdigest()
                for number, frame in decoder.frames(wanted)
            }
            assert found == fresh, wanted


def test_decoder_goes_on_without_seeking_where_no_keyframe_lies_between(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    options = {"g": "30", "bf": "2", "sc_threshold": "0"}
    write_video(path, numbered(60), fps=Fraction(25), size_wh=(64, 48), options=options)
    _, index = index_video(str(path))
    with closing(Decoder(str(path), index)) as decoder:
        list(decoder.frames([3, 5]))
        assert [decoder.goes_on_to(frame) for frame in (5, 6, 29, 31)] == [False, True, True, False]


def test_anchors_of_film_with_a_keyframe_every_250_frames_begin_at_keyframes() -> None:
    index = grid(2500, Fraction(1001, 24000), keyframe_every=250)
    starts = [block.start_frame for block in anchors(index)]
    assert starts == list(range(0, 2500, 250))


def test_anchors_cut_long_runs_without_a_keyframe_into_equal_pieces() -> None:
    index = grid(1000, Fraction(1, 25), keyframe_every=1000)
    starts = [block.start_frame for block in anchors(index)]
    assert starts == [0, 250, 500, 750]


def grid(count: int, step: Fraction, keyframe_every: int) -> FrameIndex:
    """Frames one unit of the time base apart."""
    stamps = np.arange(count, dtype=np.int64)
    return FrameIndex(stamps, stamps % keyframe_every == 0, stamps, step, 1)
