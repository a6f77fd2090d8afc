"""``transcribe_pieces``: what is said in the stretches of speech that begin in a segment.

Stretches that follow each other closely are heard in one go, for the sake of context. Each such
piece is transcribed on its own and belongs to the segment in which it begins, so that a long video
resumes in the middle and results do not depend on how it is cut. ``transcribe`` puts the pieces
together: words of one may be said during the next segment.
"""

from __future__ import annotations

from typing import Any

from mediaproc.detect.models import ModelStore, whisper
from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO, StageNeeds
from mediaproc.detect.stages.channels import PHRASES, table_serializers
from mediaproc.detect.state import AudioSource, DetectState
from mediaproc.detect.tables import Speech, Transcript
from mediaproc.errors import ModelError

_HZ = 16_000

AUTO = "auto"


def transcribe_pieces(
    state: DetectState,
    *,
    config: dict[str, Any],
    media: AudioSource,
    models: ModelStore,
) -> dict[str, Any]:
    """Transcribe the pieces of speech that begin in the segment."""
    segment = state["segment"]
    here = [
        (start_s, end_s)
        for start_frame, start_s, end_s in _pieces(state["speech"], config)
        if segment.start_frame <= start_frame < segment.end_frame
    ]
    rows = []
    for start_s, end_s in here:
        phrases = _transcriber(models, config).phrases(
            media.audio(start_s, end_s),
            language=None if config["language"] == AUTO else config["language"],
            task=config["task"],
            beam=config["beam"],
        )
        # Sound is cut to whole samples. The model fills its half minute up with silence, and now
        # and then puts words there.
        begin_s = round(start_s * _HZ) / _HZ
        rows += [
            _row(phrase, begin_s, end_s, media)
            for phrase in phrases
            if phrase.text and begin_s + phrase.start_s < end_s
        ]
    return {"phrases": Transcript.from_records(rows)}


def prepare(*, config: dict[str, Any], models: ModelStore) -> None:
    """Fetch and load the model; ModelError where it cannot be had or lacks the language."""
    languages = _transcriber(models, config).languages
    if config["language"] not in (AUTO, *languages):
        raise ModelError(
            f"language {config['language']!r}: Whisper model {config['model']!r} knows "
            f"{', '.join(languages)}"
        )


def identity(*, config: dict[str, Any], models: ModelStore) -> dict[str, Any]:
    """The content of the model and the libraries that run it."""
    return dict(whisper.identity(models, whisper.model_folder(models, config["model"])))


def _transcriber(models: ModelStore, config: dict[str, Any]) -> whisper.Transcriber:
    model, device, precision = config["model"], config["device"], config["precision"]
    return models.shared(
        ("whisper", model, device, precision),
        lambda: whisper.Transcriber(
            whisper.model_folder(models, model),
            device=device,
            precision=precision,
            threads=models.threads,
        ),
    )


def _pieces(speech: Speech, config: dict[str, Any]) -> list[tuple[int, float, float]]:
    """(first frame, start, end in seconds) of what is heard in one go."""
    pieces: list[tuple[int, float, float]] = []
    for row in sorted(speech.records(), key=lambda row: (row["start_s"], row["end_s"])):
        if pieces:
            frame, start_s, end_s = pieces[-1]
            close = row["start_s"] - end_s <= config["join_s"]
            if close and row["end_s"] - start_s <= config["piece_s"]:
                pieces[-1] = (frame, start_s, max(end_s, row["end_s"]))
                continue
        pieces.append((row["start_frame"], row["start_s"], row["end_s"]))
    return pieces


def _row(
    phrase: whisper.Phrase, begin_s: float, until_s: float, media: AudioSource
) -> dict[str, Any]:
    def when(time_s: float) -> float:
        return round(min(begin_s + time_s, until_s), 3)

    start_s, end_s = when(phrase.start_s), when(phrase.end_s)
    (start, pts), (end, _) = media.frame_at(start_s), media.frame_at(end_s)
    return {
        "node": "",
        "pts": pts,
        "start_frame": start,
        "end_frame": end + 1,
        "start_s": start_s,
        "end_s": end_s,
        "text": phrase.text,
        "language": phrase.language,
        "confidence": phrase.confidence,
        "words": [[word, when(a), when(b), round(c, 4)] for word, a, b, c in phrase.words],
    }


FIELDS = [
    StageConfigField(
        "model",
        "str",
        "small",
        "A name that faster-whisper knows, fetched on first use (tiny, base, small, medium, "
        "large-v3, turbo, ...), or a folder with a Whisper model converted for CTranslate2.",
    ),
    StageConfigField(
        "language",
        "str",
        AUTO,
        "ISO 639-1 code of the language spoken; auto finds it out for each piece.",
    ),
    StageConfigField(
        "task",
        "str",
        "transcribe",
        "transcribe: in the language spoken; translate: into English.",
        options=["transcribe", "translate"],
    ),
    StageConfigField(
        "beam",
        "int",
        5,
        "How many wordings are followed at once. Less is faster and less exact.",
        min=1,
        max=20,
    ),
    StageConfigField(
        "join_s",
        "float",
        2.0,
        "Stretches of speech at most this many seconds apart are heard in one go.",
        min=0.0,
        max=30.0,
    ),
    StageConfigField(
        "piece_s",
        "float",
        28.0,
        "Most seconds of joined stretches; the model itself hears 30 at once.",
        min=0.0,
        max=600.0,
    ),
    StageConfigField(
        "precision",
        "str",
        "int8",
        "Arithmetic: int8 is fastest on a CPU; default is that of the model's file.",
        options=["int8", "float16", "float32", "default"],
    ),
    StageConfigField(
        "device",
        "str",
        "auto",
        "Where it runs; auto takes a GPU where there is one.",
        options=["auto", "cpu", "cuda"],
    ),
]

_SERIALIZE, _DESERIALIZE = table_serializers("phrases", Transcript)

STAGE = StageDefinition(
    name="transcribe_pieces",
    label="Transcribe pieces",
    description="Works ahead of transcribe: writes down what is said in each stretch of speech.",
    io=StageIO(reads=["speech"], writes=["phrases"]),
    config_fields=FIELDS,
    category="audio",
    fn=transcribe_pieces,
    prepare_fn=prepare,
    identity_fn=identity,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    channels=[PHRASES],
    implies=("detect_speech",),
    needs=StageNeeds(
        extra="transcribe",
        packages=("faster_whisper",),
        model_folders=("model",),
        licence="MIT (faster-whisper, Whisper weights)",
    ),
)
