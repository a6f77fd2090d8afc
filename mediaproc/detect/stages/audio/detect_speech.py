"""``detect_speech``: when somebody speaks, decided over the scores of the whole video.

The rule is Silero VAD's own (https://github.com/snakers4/silero-vad, ``get_speech_timestamps``):
speech begins where the score reaches the threshold, and ends where it falls clearly below it and
does not come back for a while.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.detect.models.speech import WINDOW
from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO
from mediaproc.detect.stages.channels import SPEECH, table_serializers
from mediaproc.detect.state import AudioSource, DetectState
from mediaproc.detect.tables import Speech

_WINDOW_S = WINDOW / 16_000
# Silero's: how far below the threshold speech ends, and the least that this may be.
_EXIT_BELOW, _EXIT_LEAST = 0.15, 0.01


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Windows ``first`` up to ``last``, which is left out."""

    first: int
    last: int


def detect_speech(
    state: DetectState, *, config: dict[str, Any], media: AudioSource
) -> dict[str, Any]:
    """Decide where speech begins and ends."""
    table = state["speech_scores"]
    times, scores = table.column("time_s"), table.column("speech")
    rows: dict[str, list[Any]] = {column.name: [] for column in Speech.columns}
    # A job may look at pieces of the video only: what lies apart is decided on its own.
    borders = np.flatnonzero(np.diff(times) > 1.5 * _WINDOW_S) + 1
    for piece in np.split(np.arange(len(table)), borders):
        if not len(piece):
            continue
        found = _stretches(scores[piece], config)
        pads = _pads(found, len(piece), config["pad_s"])
        for stretch, (before, after) in zip(found, pads, strict=True):
            first, last = int(piece[stretch.first]), int(piece[stretch.last - 1])
            start_s = float(times[first]) - before
            end_s = float(times[last]) + _WINDOW_S + after
            (start, pts), (end, _) = media.frame_at(start_s), media.frame_at(end_s)
            rows["node"].append("")
            rows["pts"].append(pts)
            rows["start_frame"].append(start)
            rows["end_frame"].append(end + 1)
            rows["start_s"].append(round(start_s, 6))
            rows["end_s"].append(round(end_s, 6))
            rows["confidence"].append(float(scores[first : last + 1].mean()))
    return {"speech": Speech(rows)}


def _stretches(scores: npt.NDArray[np.float64], config: dict[str, Any]) -> list[_Stretch]:
    enter = config["min_confidence"]
    leave = max(enter - _EXIT_BELOW, _EXIT_LEAST)
    patience = config["min_silence_s"] / _WINDOW_S
    found: list[_Stretch] = []
    start: int | None = None
    quiet: int | None = None
    for position, score in enumerate(scores.tolist()):
        if score >= enter:
            start = position if start is None else start
            quiet = None
        elif start is not None and score < leave:
            quiet = position if quiet is None else quiet
            if position - quiet >= patience:
                found.append(_Stretch(start, quiet))
                start = quiet = None
    if start is not None:
        found.append(_Stretch(start, len(scores) if quiet is None else quiet))
    least, most = config["min_speech_s"] / _WINDOW_S, config["max_speech_s"] / _WINDOW_S
    long_enough = [s for s in found if s.last - s.first >= least]
    return [piece for stretch in long_enough for piece in _cut(stretch, scores, most)]


def _cut(stretch: _Stretch, scores: npt.NDArray[np.float64], most: float) -> list[_Stretch]:
    """A stretch in pieces of at most ``most`` windows, cut where speech is least likely."""
    pieces = []
    first = stretch.first
    while stretch.last - first > most:
        low, high = first + max(1, int(most / 2)), first + int(most)
        cut = low + int(np.argmin(scores[low : high + 1]))
        pieces.append(_Stretch(first, cut))
        first = cut
    return [*pieces, _Stretch(first, stretch.last)]


def _pads(found: list[_Stretch], windows: int, pad_s: float) -> list[tuple[float, float]]:
    """Seconds to add before and after each stretch: half the silence between two at most."""
    if not found:
        return []
    borders = [0, *(edge for s in found for edge in (s.first, s.last)), windows]
    silences = [
        (after - before) * _WINDOW_S
        for before, after in zip(borders[::2], borders[1::2], strict=True)
    ]
    shares = [1.0, *([0.5] * (len(found) - 1)), 1.0]
    pads = [min(pad_s, gap * share) for gap, share in zip(silences, shares, strict=True)]
    return list(itertools.pairwise(pads))


_SERIALIZE, _DESERIALIZE = table_serializers("speech", Speech)

STAGE = StageDefinition(
    name="detect_speech",
    label="Detect speech",
    description="Finds when somebody speaks (Silero VAD); no rows for a video without sound.",
    io=StageIO(reads=["speech_scores"], writes=["speech"]),
    config_fields=[
        StageConfigField(
            "min_confidence",
            "float",
            0.5,
            "Likelihood at which speech begins; it ends 0.15 below. Raising it drops murmurs.",
            min=0.01,
            max=1.0,
        ),
        StageConfigField(
            "min_speech_s",
            "float",
            0.25,
            "Shortest stretch in seconds. Raising it drops single words.",
            min=0.0,
            max=60.0,
        ),
        StageConfigField(
            "min_silence_s",
            "float",
            0.1,
            "Silence in seconds that ends a stretch. Raising it joins sentences.",
            min=0.0,
            max=60.0,
        ),
        StageConfigField(
            "max_speech_s",
            "float",
            60.0,
            "Longest stretch in seconds; a longer one is cut where speech is least likely.",
            min=1.0,
            max=3600.0,
        ),
        StageConfigField(
            "pad_s",
            "float",
            0.03,
            "Seconds added before and after each stretch, at most half of the silence there.",
            min=0.0,
            max=5.0,
        ),
    ],
    category="audio",
    fn=detect_speech,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    scope="video",
    channels=[SPEECH],
    implies=("score_speech",),
)
