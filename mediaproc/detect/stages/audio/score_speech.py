"""``score_speech``: how likely each 32 ms of sound are speech, by Silero VAD.

The network carries state from window to window. So that results do not depend on how a video is
cut into segments, it starts anew for each anchor block, on the two seconds of sound ahead of it,
whose scores are dropped. Against one unbroken reading, about one score in a hundred moves by more
than 0.1 on synthetic speech. What is speech is then decided over the whole, by ``detect_speech``.
"""

from __future__ import annotations

from importlib.metadata import version
from math import ceil
from typing import Any

import numpy as np

from mediaproc.detect.models import ModelStore
from mediaproc.detect.models.speech import CONTEXT, WINDOW, SpeechScorer
from mediaproc.detect.stages.base import StageDefinition, StageIO, StageNeeds
from mediaproc.detect.stages.channels import SPEECH_SCORES, table_serializers
from mediaproc.detect.state import AudioSource, DetectState
from mediaproc.detect.tables import SpeechScores

# Samples per second that the network wants, and windows that it hears before those that count.
_HZ = 16_000
_LEAD = 64


def score_speech(state: DetectState, *, media: AudioSource, models: ModelStore) -> dict[str, Any]:
    """Score the windows that begin in the segment; none where the video has no sound."""
    segment = state["segment"]
    if not media.has_audio:
        return {"speech_scores": SpeechScores.empty()}
    scorer = models.shared("speech", lambda: SpeechScorer(models))
    rows: dict[str, list[Any]] = {column.name: [] for column in SpeechScores.columns}
    for start, end in segment.blocks:
        offset = start - segment.start_frame
        times = segment.time_s[offset : offset + end - start]
        # Windows lie on one axis for the whole video; a block has those that begin in it.
        first = ceil(times[0] * _HZ / WINDOW)
        last = ceil(media.end_s(end - 1) * _HZ / WINDOW)
        if last <= first:
            continue
        begin = max(0, first - _LEAD)
        # Ahead of the first frame, reading gives what is there, or silence.
        samples = media.audio((begin * WINDOW - CONTEXT) / _HZ, last * WINDOW / _HZ)
        scores = scorer.scores(samples)[first - begin :]
        begins = np.arange(first, last) * WINDOW / _HZ
        frames = np.searchsorted(times, begins, side="right") - 1
        rows["node"] += [""] * len(scores)
        rows["frame_index"] += (frames + start).tolist()
        rows["pts"] += segment.pts[offset + frames].tolist()
        rows["time_s"] += begins.tolist()
        rows["speech"] += scores.tolist()
    return {"speech_scores": SpeechScores(rows)}


def identity() -> dict[str, Any]:
    """The release whose wheel carries the weights."""
    return {"silero-vad": version("silero-vad")}


_SERIALIZE, _DESERIALIZE = table_serializers("speech_scores", SpeechScores)

STAGE = StageDefinition(
    name="score_speech",
    label="Score speech",
    description="Measures how likely each 32 ms of sound are speech; detect_speech decides on it.",
    io=StageIO(reads=["video"], writes=["speech_scores"]),
    category="audio",
    fn=score_speech,
    identity_fn=identity,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    channels=[SPEECH_SCORES],
    needs=StageNeeds(
        extra="audio", packages=("silero_vad",), licence="MIT (Silero VAD and its weights)"
    ),
)
