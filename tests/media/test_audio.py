"""Sound comes out on the time axis of the video, whatever piece of it is asked for."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mediaproc.errors import MediaError
from mediaproc.media import AUDIO_HZ, decode_audio, index_video
from tests.sounds import RATE, joined, silence, starts, tone, write_clip

KINDS = [
    ("a.mp4", "aac", 44_100),
    ("b.mkv", "libopus", 48_000),
    ("c.mkv", "flac", 22_050),
    ("d.ts", "mp2", 48_000),
    ("e.mov", "pcm_s16le", 11_025),
]


def beeps(rate: int, count: int = 4) -> np.ndarray:
    """A beep of 0.1 s at 0.5 s, and each second after that."""
    one = joined([silence(0.5, rate), tone(0.1, rate), silence(0.4, rate)])
    return joined([one] * count)


def heard(path: Path, start_s: float, end_s: float) -> np.ndarray:
    _, index = index_video(str(path))
    return decode_audio(str(path), int(index.pts[0]), index.time_base, start_s, end_s)


@pytest.mark.parametrize(("name", "codec", "rate"), KINDS)
def test_audio_beeps_are_heard_when_they_were_recorded(
    tmp_path: Path, name: str, codec: str, rate: int
) -> None:
    path = write_clip(tmp_path / name, beeps(rate), rate=rate, codec=codec, channels=2)
    found = heard(path, 0.0, 4.0)
    assert found.dtype == np.float32
    assert len(found) == 4 * AUDIO_HZ
    assert starts(found) == pytest.approx([0.5, 1.5, 2.5, 3.5], abs=0.005)


@pytest.mark.parametrize(("name", "codec", "rate"), KINDS)
def test_audio_a_piece_is_what_the_whole_has_there(
    tmp_path: Path, name: str, codec: str, rate: int
) -> None:
    path = write_clip(tmp_path / name, beeps(rate), rate=rate, codec=codec)
    whole, piece = heard(path, 0.0, 4.0), heard(path, 2.317, 3.7)
    first = round(2.317 * AUDIO_HZ)
    # Matroska's stamps are whole milliseconds.
    shifts = range(-16, 17) if name.endswith(".mkv") else [0]
    inner = piece[100:-100]
    apart = min(
        float(np.abs(whole[first + 100 + shift :][: len(inner)] - inner).max()) for shift in shifts
    )
    assert apart < (0.02 if name.endswith(".mkv") else 1e-4)


def test_audio_time_runs_from_the_first_frame_of_the_video(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "late.mp4", beeps(RATE), delay_s=0.4)
    assert starts(heard(path, 0.0, 4.0)) == pytest.approx([0.1, 1.1, 2.1, 3.1], abs=0.005)


def test_audio_is_silent_ahead_of_its_track(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "late.mkv", beeps(RATE), sound_at_s=1.0, frames=125, codec="flac")
    found = heard(path, 0.0, 5.0)
    assert starts(found) == pytest.approx([1.5, 2.5, 3.5, 4.5], abs=0.005)
    assert not found[:AUDIO_HZ].any()


def test_audio_is_silent_after_its_track(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "short.mp4", tone(1.0), frames=100)
    assert not heard(path, 2.0, 4.0).any()


def test_audio_of_a_video_without_a_track_is_empty(tmp_path: Path) -> None:
    assert len(heard(write_clip(tmp_path / "mute.mp4", None), 0.0, 2.0)) == 0


def test_audio_of_no_time_is_empty(tmp_path: Path) -> None:
    assert len(heard(write_clip(tmp_path / "a.mp4", tone(1.0)), 0.5, 0.5)) == 0


def test_audio_of_another_video_is_refused(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", tone(1.0))

    def refuse(source: object) -> None:
        raise MediaError("not the video that was indexed")

    with pytest.raises(MediaError, match="not the video"):
        decode_audio(str(path), 0, Fraction(1, 12_800), 0.0, 1.0, check=refuse)
