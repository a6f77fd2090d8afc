"""Whisper (Radford et al., 2022, https://arxiv.org/abs/2212.04356) as faster-whisper runs it."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.detect.models.store import ModelStore
from mediaproc.errors import ModelError
from mediaproc.timing import timed


@dataclass(frozen=True, slots=True)
class Phrase:
    """What was said in one go.

    Attributes:
        start_s: seconds from the beginning of the sound.
        end_s: likewise.
        text: what was said.
        language: ISO 639-1 code.
        confidence: mean probability of the words, 0..1.
        words: ``[word, start_s, end_s, confidence]`` of each.
    """

    start_s: float
    end_s: float
    text: str
    language: str
    confidence: float
    words: list[list[Any]]


class Transcriber:
    """A loaded Whisper model. Calls from several threads are safe.

    Args:
        folder: a Whisper model that was converted for CTranslate2.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        precision: of the arithmetic, as CTranslate2 calls it.
        threads: threads of one call on the CPU.

    Raises:
        ModelError: it cannot be loaded.
    """

    def __init__(self, folder: Path, *, device: str, precision: str, threads: int) -> None:
        from faster_whisper import WhisperModel

        try:
            self._model = WhisperModel(
                str(folder), device=device, compute_type=precision, cpu_threads=threads
            )
        except Exception as error:  # CTranslate2 raises plain RuntimeErrors and ValueErrors
            raise ModelError(f"Whisper model {folder}: {_line(error)}") from error

    @property
    def languages(self) -> list[str]:
        """Codes of the languages that the model knows."""
        return sorted(self._model.supported_languages)

    def phrases(
        self, samples: npt.NDArray[np.float32], *, language: str | None, task: str, beam: int
    ) -> list[Phrase]:
        """What is said in a piece of sound, which knows nothing of what was said before.

        Args:
            samples: shape (N,), float32, 16 kHz, mono, -1..1.
            language: ISO 639-1 code; found out where None.
            task: ``"transcribe"`` or ``"translate"`` (into English).
            beam: how many wordings are followed at once.
        """
        with timed("inference"):
            segments, info = self._model.transcribe(
                samples,
                language=language,
                task=task,
                beam_size=beam,
                # Higher temperatures, which it would try next, draw at random.
                temperature=0.0,
                condition_on_previous_text=False,
                word_timestamps=True,
            )
            return [_phrase(segment, info.language) for segment in segments]


def model_folder(models: ModelStore, model: str) -> Path:
    """The folder of a ``model:`` value, fetched from the Hugging Face Hub on first use.

    Args:
        models: where what is fetched is kept.
        model: a folder, or a name that faster-whisper knows, such as ``small``.

    Raises:
        ModelError: there is no such model, or it cannot be fetched.
    """
    from faster_whisper import available_models, download_model
    from huggingface_hub.errors import LocalEntryNotFoundError

    path = Path(model).expanduser()
    if path.is_dir():
        if not (path / "model.bin").is_file():
            raise ModelError(
                f"model {model!r}: the folder holds no model.bin; it should be a Whisper model "
                "converted for CTranslate2"
            )
        return path
    if model not in available_models():
        raise ModelError(
            f"model {model!r}: neither a folder nor one of: {', '.join(available_models())}"
        )
    cache = str(models.folder / "whisper")
    try:
        try:
            return Path(download_model(model, cache_dir=cache, local_files_only=True))
        except LocalEntryNotFoundError:
            return Path(download_model(model, cache_dir=cache))
    except Exception as error:
        raise ModelError(
            f"model {model!r}: cannot be fetched from the Hugging Face Hub: {_line(error)}; give "
            "a folder with a Whisper model converted for CTranslate2 instead"
        ) from error


def identity(models: ModelStore, folder: Path) -> dict[str, str]:
    """What transcripts follow from besides their settings, as JSON."""
    whole = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.is_file():
            whole.update(f"{file.name} {models.digest(file)}\n".encode())
    packages = ("faster-whisper", "ctranslate2", "tokenizers")
    return {"weights": whole.hexdigest(), **{name: version(name) for name in packages}}


def _phrase(segment: Any, language: str) -> Phrase:
    words = [
        [word.word.strip(), float(word.start), float(word.end), float(word.probability)]
        for word in segment.words or []
    ]
    likely = sum(word[3] for word in words) / len(words) if words else None
    confidence = math.exp(segment.avg_logprob) if likely is None else likely
    return Phrase(
        float(segment.start),
        float(segment.end),
        segment.text.strip(),
        language,
        min(1.0, max(0.0, confidence)),
        words,
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
