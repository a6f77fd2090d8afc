"""Pieces joined without encoding again: frames, time stamps, pixels and sound as in the source."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from mediaproc.errors import MediaError
from mediaproc.media import FrameIndex, VideoInfo, decode_frames, index_video, open_video
from mediaproc.media import write_video as write
from mediaproc.media.pieces import Encoding, encode_piece, join_pieces
from mediaproc.media.sound import Sound
from tests.clips import real_clip
from tests.media.sounding import BEATS, beeps, flashes, write_clip


def rendered(
    source: Path, target: Path, *, cuts: tuple[int, ...] = (20,), first: int = 0, crf: int = 16
) -> tuple[VideoInfo, FrameIndex]:
    """Encode a video anew in pieces cut at these frames, from one on, and join them."""
    info, index = index_video(str(source))
    bounds = [first, *(cut for cut in cuts if first < cut < len(index)), len(index)]

    def pieces() -> Iterator[tuple[Path, list[int]]]:
        for start, end in itertools.pairwise(bounds):
            path = target.with_name(f"piece-{start}.mp4")
            images = decode_frames(str(source), index, range(start, end))
            encode_piece(path, ((f.pts, f.image) for f in images), info, Encoding(crf=crf))
            yield path, index.pts[start:end].tolist()

    base = index.time_base
    end_s = (int(index.pts[-1]) + index.last_duration) * base
    with open_video(str(source)) as (container, _):
        count = join_pieces(
            target,
            pieces(),
            time_base=base,
            last_duration=index.last_duration,
            sound=Sound(container, end_s),
        )
    assert count == len(index) - first
    return info, index


def stamps(index: FrameIndex, first: int = 0) -> list[Fraction]:
    return [int(pts - index.pts[first]) * index.time_base for pts in index.pts[first:]]


def test_pieces_keep_every_time_stamp_of_a_variable_frame_rate(tmp_path: Path) -> None:
    pts = [0, 3, 4, 9, 10, 11, 30, 31, 32, 47, 48, 60]
    images = [np.full((32, 48, 3), 20 * n, dtype=np.uint8) for n in range(len(pts))]
    source, target = tmp_path / "source.mkv", tmp_path / "target.mp4"
    base = Fraction(1, 1000)
    write(
        source,
        images,
        fps=Fraction(25),
        size_wh=(48, 32),
        pts=[5 + 40 * p for p in pts],
        time_base=base,
        options={"g": "4"},
    )
    _, before = rendered(source, target, cuts=(3, 7))
    _, after = index_video(str(target))
    assert stamps(after) == stamps(before)


@pytest.mark.parametrize("name", ["bikes", "carphone", "bigbuckbunny"])
def test_pieces_keep_the_time_stamps_of_real_clips(name: str, tmp_path: Path) -> None:
    source, target = real_clip(name), tmp_path / "target.mp4"
    info, index = index_video(str(source))
    # The last two seconds or so will do.
    first = len(index) - 50
    rendered(source, target, first=first, cuts=(len(index) - 20,))
    after_info, after = index_video(str(target))
    assert stamps(after) == stamps(index, first)
    assert (after_info.width, after_info.height) == (info.width, info.height)
    assert after_info.pixel_aspect == info.pixel_aspect


def test_pieces_change_colours_by_no_more_than_the_encoding(tmp_path: Path) -> None:
    source, target = real_clip("bikes"), tmp_path / "target.mp4"
    _, index = index_video(str(source))
    first = len(index) - 10
    rendered(source, target, first=first, crf=8)
    _, after = index_video(str(target))
    pairs = zip(
        decode_frames(str(source), index, range(first, len(index))),
        decode_frames(str(target), after, range(10)),
        strict=True,
    )
    for one, other in pairs:
        difference = other.image.astype(np.float64) - one.image
        assert np.abs(difference.mean(axis=(0, 1))).max() < 2.5  # swscale's BGR is as much darker
        assert np.abs(difference).mean() < 4


@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
def test_pieces_tell_the_colours_of_their_source(matrix: str, tmp_path: Path) -> None:
    number = {"bt601": 6, "bt709": 1}[matrix]
    source, target = tmp_path / "source.mp4", tmp_path / "target.mp4"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.color_range = 1
        stream.codec_context.color_primaries = number
        stream.codec_context.color_trc = number
        stream.codec_context.colorspace = number
        for _ in range(3):
            image = np.full((48, 64, 3), (40, 90, 220), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(
                format="yuv420p",
                dst_colorspace="ITU709" if matrix == "bt709" else "ITU601",
                dst_color_range="MPEG",
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    info, index = rendered(source, target)
    after_info, after = index_video(str(target))
    assert info.colour == after_info.colour == (number,) * 3
    one = next(decode_frames(str(source), index, [1])).image
    other = next(decode_frames(str(target), after, [1])).image
    assert np.abs(one.astype(int) - other).max() <= 4


def test_pieces_of_an_odd_size_get_their_last_row_and_column_twice(tmp_path: Path) -> None:
    source, target = tmp_path / "source.mkv", tmp_path / "target.mp4"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 33, 25, "bgr0"
        for number in range(3):
            image = np.full((25, 33, 3), 60 * number + 40, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    rendered(source, target)
    info, index = index_video(str(target))
    assert (info.width, info.height) == (34, 26)
    image = next(decode_frames(str(target), index, [1])).image
    assert np.abs(image.astype(int) - 100).max() <= 4


def test_pieces_of_a_turned_video_stand_upright(tmp_path: Path) -> None:
    plain, source, target = (tmp_path / name for name in ("p.mp4", "s.mp4", "t.mp4"))
    images = [np.zeros((32, 64, 3), dtype=np.uint8) for _ in range(4)]
    for image in images:
        image[:, :20] = (0, 0, 255)
    write(plain, images, fps=Fraction(25), size_wh=(64, 32))
    with av.open(str(plain)) as container, av.open(str(source), "w") as turned:
        stream = turned.add_stream_from_template(container.streams.video[0])
        stream.set_display_rotation(90)
        for packet in container.demux(video=0):
            if packet.size:
                packet.stream = stream
                turned.mux(packet)
    before, index = rendered(source, target)
    info, after = index_video(str(target))
    assert (before.rotation != 0, info.rotation, info.width, info.height) == (True, 0, 32, 64)
    one = next(decode_frames(str(source), index, [1])).image
    other = next(decode_frames(str(target), after, [1])).image
    assert np.abs(one.astype(int) - other).mean() < 4


def test_pieces_of_one_frame_make_a_video(tmp_path: Path) -> None:
    source, target = tmp_path / "source.mp4", tmp_path / "target.mp4"
    write(source, [np.zeros((32, 48, 3), dtype=np.uint8)], fps=Fraction(25), size_wh=(48, 32))
    rendered(source, target)
    info, _ = index_video(str(target))
    assert (info.frame_count, info.duration_s) == (1, 0.04)


def test_pieces_encoded_otherwise_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "source.mp4"
    image = np.zeros((32, 48, 3), dtype=np.uint8)
    write(source, [image], fps=Fraction(25), size_wh=(48, 32))
    info, index = index_video(str(source))
    paths = [tmp_path / "one.mp4", tmp_path / "other.mp4"]
    for path, preset in zip(paths, ("veryfast", "slow"), strict=True):
        encode_piece(path, [(0, image)], info, Encoding(preset=preset))
    with pytest.raises(MediaError, match="piece 1 was not encoded as those before it"):
        join_pieces(
            tmp_path / "target.mp4",
            [(path, [number]) for number, path in enumerate(paths)],
            time_base=index.time_base,
            last_duration=1,
        )


def test_pieces_short_of_a_frame_are_refused(tmp_path: Path) -> None:
    source, image = tmp_path / "source.mp4", np.zeros((32, 48, 3), dtype=np.uint8)
    write(source, [image], fps=Fraction(25), size_wh=(48, 32))
    info, index = index_video(str(source))
    encode_piece(tmp_path / "one.mp4", [(0, image)], info, Encoding())
    with pytest.raises(MediaError, match="holds 1 frames and should hold 2"):
        join_pieces(
            tmp_path / "target.mp4",
            [(tmp_path / "one.mp4", [0, 1])],
            time_base=index.time_base,
            last_duration=1,
        )


SOURCES = {
    "aac in mp4": ("mp4", "aac", {}),
    "aac in mpeg-ts, from 1.4 s on": ("ts", "aac", {"start_s": 1.4}),
    "opus in matroska": ("mkv", "libopus", {}),
    "mp3 in avi": ("avi", "libmp3lame", {}),
    "pcm in matroska": ("mkv", "pcm_s16le", {}),
    "flac in matroska": ("mkv", "flac", {}),
    "ac3 in mpeg-ts": ("ts", "ac3", {"start_s": 1.4}),
    "pcm that begins late": ("mkv", "pcm_s16le", {"sound_from_s": 0.3}),
    "pcm that begins early": ("mkv", "pcm_s16le", {"start_s": 0.52, "sound_from_s": -0.3}),
    "aac that begins late": ("mp4", "aac", {"sound_from_s": 0.3}),
    "aac that begins early": ("ts", "aac", {"start_s": 0.52, "sound_from_s": -0.3}),
    "pcm of a rate that AAC lacks": ("mkv", "pcm_s16le", {"rate": 37800}),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_sound_stays_in_sync(kind: str, tmp_path: Path) -> None:
    ending, codec, more = SOURCES[kind]
    source, target = tmp_path / f"source.{ending}", tmp_path / "target.mp4"
    write_clip(source, codec, **more)
    rendered(source, target, cuts=(27, 51))
    assert flashes(target) == pytest.approx(BEATS, abs=1e-6)
    # A packet of a lossy codec smears a beep over some milliseconds.
    assert beeps(target) == pytest.approx(BEATS, abs=0.012)


@pytest.mark.parametrize("kind", ["aac in mp4", "pcm in matroska", "aac in mpeg-ts, from 1.4 s on"])
def test_sound_of_a_part_begins_with_its_first_frame(kind: str, tmp_path: Path) -> None:
    ending, codec, more = SOURCES[kind]
    source, target = tmp_path / f"source.{ending}", tmp_path / "target.mp4"
    write_clip(source, codec, **more)
    rendered(source, target, first=20, cuts=(40,))
    expected = [beat - 0.8 for beat in BEATS[1:]]
    assert flashes(target) == pytest.approx(expected, abs=1e-6)
    assert beeps(target) == pytest.approx(expected, abs=0.012)


@pytest.mark.parametrize(("kind", "same"), [("aac in mp4", True), ("pcm in matroska", False)])
def test_sound_is_copied_where_browsers_play_it(kind: str, same: bool, tmp_path: Path) -> None:
    ending, codec, more = SOURCES[kind]
    source, target = tmp_path / f"source.{ending}", tmp_path / "target.mp4"
    write_clip(source, codec, **more)
    rendered(source, target)
    found = []
    for path in (source, target):
        with av.open(str(path)) as container:
            found.append([bytes(p) for p in container.demux(audio=0) if p.size])
    assert (found[0][:40] == found[1][:40]) is same


def test_sound_ends_with_the_last_frame(tmp_path: Path) -> None:
    source, target = tmp_path / "source.mp4", tmp_path / "target.mp4"
    write_clip(source, "aac", seconds=3.2)
    info, index = index_video(str(source))
    piece = tmp_path / "piece.mp4"
    images = decode_frames(str(source), index, range(25))
    encode_piece(piece, ((f.pts, f.image) for f in images), info, Encoding())
    with open_video(str(source)) as (container, _):
        join_pieces(
            target,
            [(piece, index.pts[:25].tolist())],
            time_base=index.time_base,
            last_duration=index.last_duration,
            sound=Sound(container, Fraction(1)),
        )
    with av.open(str(target)) as container:
        audio = container.streams.audio[0]
        assert audio.duration is not None
        assert float(audio.duration * audio.time_base) == pytest.approx(1.0, abs=0.025)
