"""Speech is found when it is spoken, and only then, however the video is cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mediaproc.detect.rows import Rows
from mediaproc.detect.stages.audio.detect_speech import STAGE, detect_speech
from mediaproc.detect.tables import SpeechScores
from tests.detect.running import run_profile
from tests.sounds import joined, noise, silence, spoken, tone, write_clip

SENTENCE = "Good evening. This is the news from the harbour."
STEP = 512 / 16_000


class Frames25:
    """The frames of 25 per second, as ``media`` knows them."""

    def frame_at(self, time_s: float) -> tuple[int, int]:
        frame = int(time_s * 25 + 1e-6)
        return frame, 512 * frame


def decided(scores: list[float], first: int = 0, **config: float) -> Rows:
    """What is decided on scores of windows, from window ``first`` on."""
    times = (first + np.arange(len(scores))) * STEP
    frames = (times * 25).astype(int)
    table = SpeechScores(
        {
            "node": [""] * len(scores),
            "frame_index": frames,
            "pts": 512 * frames,
            "time_s": times,
            "speech": scores,
        }
    )
    settings = {**STAGE.filled_config({}), "pad_s": 0.0, **config}
    return detect_speech(  # type: ignore[no-any-return]
        {"speech_scores": table}, config=settings, media=Frames25()
    )["speech"]


def spans(table: Rows) -> list[tuple[float, float]]:
    return [(row["start_s"], row["end_s"]) for row in table.records()]


def windows(*runs: tuple[int, int]) -> list[tuple[float, float]]:
    return [(round(a * STEP, 6), round(b * STEP, 6)) for a, b in runs]


def test_detect_speech_begins_at_the_threshold_and_ends_clearly_below() -> None:
    scores = [0.4] * 5 + [0.5] * 20 + [0.36] * 10 + [0.1] * 10
    assert spans(decided(scores)) == windows((5, 35))


def test_detect_speech_bridges_a_short_silence() -> None:
    assert spans(decided([0.9] * 10 + [0.0] * 3 + [0.9] * 10)) == windows((0, 23))


def test_detect_speech_splits_at_a_long_silence() -> None:
    found = decided([0.9] * 10 + [0.0] * 20 + [0.9] * 10)
    assert spans(found) == windows((0, 10), (30, 40))


def test_detect_speech_drops_what_is_too_short() -> None:
    assert len(decided([0.0] * 10 + [0.9] * 5 + [0.0] * 10)) == 0


def test_detect_speech_cuts_a_long_stretch_where_speech_is_least_likely() -> None:
    scores = [0.9] * 100
    scores[40] = 0.5
    assert spans(decided(scores, max_speech_s=60 * STEP)) == windows((0, 40), (40, 100))


def test_detect_speech_pads_by_half_of_a_short_silence() -> None:
    found = decided([0.9] * 10 + [0.0] * 8 + [0.9] * 10, pad_s=1.0)
    assert spans(found) == windows((0, 14), (14, 28))


def test_detect_speech_does_not_join_pieces_of_the_video_that_lie_apart() -> None:
    one, other = decided([0.9] * 10), decided([0.9] * 10, first=100)
    together = SpeechScores.concat(
        [
            SpeechScores(
                {
                    "node": [""] * 10,
                    "frame_index": ((first + np.arange(10)) * STEP * 25).astype(int),
                    "pts": (512 * (first + np.arange(10)) * STEP * 25).astype(int),
                    "time_s": (first + np.arange(10)) * STEP,
                    "speech": [0.9] * 10,
                }
            )
            for first in (0, 100)
        ]
    )
    settings = {**STAGE.filled_config({}), "pad_s": 0.0}
    found = detect_speech({"speech_scores": together}, config=settings, media=Frames25())
    assert spans(found["speech"]) == [*spans(one), *spans(other)]


def test_detect_speech_names_the_frames_on_screen() -> None:
    (row,) = decided([0.0] * 25 + [0.9] * 25 + [0.0] * 25).records()
    assert (row["start_s"], row["end_s"]) == (0.8, 1.6)
    assert (row["pts"], row["start_frame"], row["end_frame"]) == (512 * 20, 20, 41)


def test_detect_speech_of_nothing_is_nothing() -> None:
    assert len(decided([])) == 0


@pytest.fixture(scope="module")
def news(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence at 2 s, and again, faintly, after a beep and noise."""
    words = spoken(SENTENCE)
    sound = joined([silence(2), words, silence(1), tone(1), noise(1), silence(1), words * 0.3])
    folder = tmp_path_factory.mktemp("news")
    return write_clip(folder / "news.mp4", joined([sound, silence(1)]))


def test_detect_speech_finds_spoken_sentences(tmp_path: Path, news: Path) -> None:
    _, tables = run_profile(tmp_path, news, "stages: [detect_speech: {min_silence_s: 0.5}]")
    length = len(spoken(SENTENCE)) / 16_000
    second = 2 + length + 4
    found = spans(tables["speech"])
    assert [start for start, _ in found] == pytest.approx([2.0, second], abs=0.15)
    assert [end for _, end in found] == pytest.approx([2 + length, second + length], abs=0.3)


def test_detect_speech_is_the_same_however_the_video_is_cut(tmp_path: Path, news: Path) -> None:
    stages = "stages: [detect_speech]"
    scores = []
    for folder, most in (("short", 1), ("long", 60)):
        more = f"segment: {{max_s: {most}}}"
        _, tables = run_profile(tmp_path / folder, news, stages, more=more)
        scores.append(tables["speech_scores"].records())
    assert scores[0] == scores[1]


def test_detect_speech_scores_each_window_once(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "tone.mp4", tone(4.0))
    _, tables = run_profile(tmp_path, clip, "stages: [score_speech]", more="segment: {max_s: 2}")
    assert tables["speech_scores"].column("time_s") == pytest.approx(np.arange(125) * STEP)


@pytest.mark.parametrize("sound", [tone(4.0), noise(4.0), silence(4.0)], ids=["tone", "noise", "0"])
def test_detect_speech_finds_none_where_nobody_speaks(tmp_path: Path, sound: np.ndarray) -> None:
    clip = write_clip(tmp_path / "clip.mp4", sound)
    _, tables = run_profile(tmp_path, clip, "stages: [detect_speech]")
    assert len(tables["speech_scores"]) == 125
    assert len(tables["speech"]) == 0


def test_detect_speech_has_no_rows_for_a_video_without_sound(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "mute.mp4", None)
    _, tables = run_profile(tmp_path, clip, "stages: [detect_speech]")
    assert (len(tables["speech_scores"]), len(tables["speech"])) == (0, 0)


def test_detect_speech_takes_a_video_of_one_frame(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "one.mp4", tone(1.0), frames=1)
    _, tables = run_profile(tmp_path, clip, "stages: [detect_speech]")
    assert tables["speech_scores"].column("frame_index").tolist() == [0, 0]
