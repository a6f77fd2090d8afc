"""What is said is written down with its times, piece by piece."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mediaproc.detect.models import ModelStore
from mediaproc.detect.models.speech import SpeechScorer
from mediaproc.detect.models.whisper import Phrase, Transcriber, model_folder
from mediaproc.detect.stages.audio.transcribe_pieces import (
    STAGE,
    identity,
    prepare,
    transcribe_pieces,
)
from mediaproc.detect.state import Segment
from mediaproc.detect.tables import Speech, Transcript
from mediaproc.errors import ModelError, ProfileError
from tests.detect.running import run_profile
from tests.sounds import RATE, joined, silence, spoken, tone, write_clip


class Media:
    """Sound of 25 frames a second that can be told by its length."""

    has_audio = True

    def audio(self, start_s: float, end_s: float) -> npt.NDArray[np.float32]:
        return np.zeros(round((end_s - start_s) * 16_000), dtype=np.float32)

    def frame_at(self, time_s: float) -> tuple[int, int]:
        return int(time_s * 25), 512 * int(time_s * 25)


class Hearing:
    """Notes what it is given, and hears one word in each."""

    languages = ("de", "en")

    def __init__(self, start_s: float) -> None:
        self.start_s = start_s
        self.seconds: list[float] = []
        self.asked: dict[str, Any] = {}

    def phrases(self, samples: npt.NDArray[np.float32], **asked: Any) -> list[Phrase]:
        self.seconds.append(len(samples) / 16_000)
        self.asked = asked
        start_s, end_s = self.start_s, self.start_s + 0.5
        return [Phrase(start_s, end_s, "word", "de", 0.75, [["word", start_s, end_s, 0.75]])]


def heard(
    spans: Sequence[tuple[float, float]],
    *,
    frames: tuple[int, int] = (0, 10_000),
    word_s: float = 0.5,
    **config: Any,
) -> tuple[list[dict[str, Any]], Hearing]:
    """The transcript of stretches of speech, and what the model was given."""
    first, last = frames
    settings = {**STAGE.filled_config({}), **config}
    hearing, models = Hearing(word_s), ModelStore(Path())
    key = ("whisper", settings["model"], settings["device"], settings["precision"])
    models.shared(key, lambda: hearing)
    speech = Speech.from_records(
        {
            "node": "speech",
            "pts": int(start * 25) * 512,
            "start_frame": int(start * 25),
            "end_frame": int(end * 25) + 1,
            "start_s": start,
            "end_s": end,
            "confidence": 0.9,
        }
        for start, end in spans
    )
    nothing = np.zeros(0, dtype=np.int64)
    segment = Segment(0, ((first, last),), nothing, nothing / 25, nothing > 0, 0, None)
    state: Any = {"segment": segment, "speech": speech}
    update = transcribe_pieces(state, config=settings, media=Media(), models=models)
    table: Transcript = update["phrases"]
    return table.records(), hearing


def test_transcribe_counts_from_the_first_frame_of_the_video() -> None:
    (row,), _ = heard([(10.0, 14.0)])
    assert (row["start_s"], row["end_s"]) == (10.5, 11.0)
    assert (row["pts"], row["start_frame"], row["end_frame"]) == (262 * 512, 262, 276)
    assert row["words"] == [["word", 10.5, 11.0, 0.75]]


def test_transcribe_ends_a_phrase_with_the_sound() -> None:
    (row,), _ = heard([(10.0, 12.0)], word_s=1.75)
    assert (row["start_s"], row["end_s"]) == (11.75, 12.0)


def test_transcribe_drops_words_after_the_sound() -> None:
    rows, _ = heard([(10.0, 12.0)], word_s=2.5)
    assert rows == []


def test_transcribe_hears_close_stretches_in_one_go() -> None:
    _, hearing = heard([(1.0, 3.0), (4.0, 6.0), (9.0, 10.0)], join_s=2.0)
    assert hearing.seconds == [5.0, 1.0]


def test_transcribe_joins_no_more_than_the_model_hears_at_once() -> None:
    _, hearing = heard([(0.0, 20.0), (21.0, 40.0)], piece_s=28.0)
    assert hearing.seconds == [20.0, 19.0]


def test_transcribe_takes_the_pieces_that_begin_in_its_segment() -> None:
    spans = [(1.0, 3.0), (9.0, 12.0), (20.0, 21.0)]
    _, hearing = heard(spans, frames=(200, 400))
    assert hearing.seconds == [3.0]


def test_transcribe_leaves_the_language_open_when_told_to() -> None:
    _, hearing = heard([(1.0, 3.0)])
    assert hearing.asked["language"] is None


def test_transcribe_passes_its_settings_on() -> None:
    _, hearing = heard([(1.0, 3.0)], language="de", task="translate", beam=2)
    assert hearing.asked == {"language": "de", "task": "translate", "beam": 2}


def test_transcribe_of_no_speech_is_empty() -> None:
    rows, hearing = heard([])
    assert (rows, hearing.seconds) == ([], [])


def test_transcribe_refuses_a_language_that_the_model_lacks(tiny_whisper: Path) -> None:
    config = {**STAGE.filled_config({"model": str(tiny_whisper), "language": "xx"})}
    with pytest.raises(ModelError, match=r"language 'xx': Whisper model .* knows en"):
        prepare(config=config, models=ModelStore(Path()))


def test_transcribe_names_the_models_there_are(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model 'smal': neither a folder nor one of: .*small"):
        model_folder(ModelStore(tmp_path), "smal")


def test_transcribe_refuses_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no model\.bin"):
        model_folder(ModelStore(tmp_path), str(tmp_path))


def test_transcribe_says_why_a_model_cannot_be_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match=r"'tiny': cannot be fetched .*give a folder"):
        model_folder(ModelStore(tmp_path), "tiny")


def test_transcribe_says_why_a_model_cannot_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match="Whisper model"):
        Transcriber(tmp_path, device="cpu", precision="int8", threads=1)


def test_transcribe_is_keyed_by_the_content_of_the_model(
    tiny_whisper: Path, tmp_path: Path
) -> None:
    models = ModelStore(tmp_path)
    before = identity(config={"model": str(tiny_whisper)}, models=models)
    other = tmp_path / "other"
    other.mkdir()
    for file in tiny_whisper.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    assert identity(config={"model": str(other)}, models=models) == before
    (other / "config.json").write_text("{}")
    assert identity(config={"model": str(other)}, models=models) != before


def test_transcribe_model_in_a_missing_folder_is_a_problem_of_the_profile(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "mute.mp4", None)
    with pytest.raises(ProfileError, match="no folder 'models/none', neither here nor beside"):
        run_profile(tmp_path, clip, "stages: [transcribe: {model: models/none}]")


class Straddling(Hearing):
    """Hears a word long after the beginning of a piece."""

    def phrases(self, samples: npt.NDArray[np.float32], **asked: Any) -> list[Phrase]:
        return [Phrase(at, at + 0.4, f"word{at}", "en", 0.5, []) for at in (0.0, 1.5)]


def test_transcribe_feeds_matching_with_words_of_a_piece_that_began_in_another_segment(
    tmp_path: Path, tiny_whisper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def speaks(scorer: SpeechScorer, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        return np.full(len(samples) // 512, 0.9)

    monkeypatch.setattr(SpeechScorer, "scores", speaks)
    monkeypatch.setattr(Transcriber, "phrases", Straddling(0.0).phrases)
    clip = write_clip(tmp_path / "clip.mp4", tone(2.4))
    stages = f"""stages:
  - transcribe: {{model: {tiny_whisper}}}
  - match_text: {{terms: [word1.5], of: [transcript]}}
  - report"""
    _, tables = run_profile(tmp_path, clip, stages, more="segment: {max_s: 1}")
    assert tables["transcript"].column("node") == ["transcribe"] * 2
    assert tables["matches"].column("label") == ["word1.5"]
    assert tables["matches"].column("frame_index").tolist() == [37]


@pytest.mark.slow
def test_transcribe_is_the_same_however_the_video_is_cut(
    tmp_path: Path, tiny_whisper: Path
) -> None:
    words = spoken("Good evening. This is the news from the harbour.")
    clip = write_clip(tmp_path / "news.mp4", joined([silence(1), words, silence(3), words]))
    stages = f"stages: [transcribe: {{model: {tiny_whisper}, beam: 1}}]"
    found = []
    for folder, most in (("short", 1), ("long", 60)):
        more = f"segment: {{max_s: {most}}}"
        _, tables = run_profile(tmp_path / folder, clip, stages, more=more)
        found.append(tables["transcript"].records())
    assert found[0] == found[1]
    starts = [row["start_s"] for row in found[0]]
    assert min(starts) == pytest.approx(1.0, abs=0.2)
    assert any(start >= 4 + len(words) / RATE - 0.2 for start in starts)
