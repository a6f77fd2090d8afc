"""``detect_shots``: cuts and fades, decided over the scores of the whole video.

Cuts follow PySceneDetect: a score above the threshold (``ContentDetector``), or above it and
several times the mean of its neighbours (``AdaptiveDetector``); a fade is a run of frames darker
than a level (``ThresholdDetector``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO
from mediaproc.detect.stages.channels import SHOTS, table_serializers
from mediaproc.detect.state import DetectState
from mediaproc.detect.tables import FrameScores, Shots

# Frames on each side with which the adaptive method compares.
_WINDOW = 2


def detect_shots(state: DetectState, *, config: dict[str, Any]) -> dict[str, Any]:
    """Decide where shots begin."""
    scores = state["frame_scores"]
    if not len(scores):
        return {"shots": Shots.empty()}
    borders = _borders(scores, config)
    frames, pts = scores.column("frame_index"), scores.column("pts")
    times = scores.column("time_s")
    starts = [0, *sorted(borders)]
    rows: dict[str, list[Any]] = {column.name: [] for column in Shots.columns}
    # A job may look at a part of the video only; its last shot ends with the last frame seen.
    whole = int(frames[-1]) + 1 == state["video"].frame_count
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    end_s = state["video"].duration_s if whole else float(times[-1]) + step
    for number, start in enumerate(starts):
        last = number + 1 == len(starts)
        following = None if last else starts[number + 1]
        rows["node"].append("")
        rows["shot"].append(number)
        rows["pts"].append(int(pts[start]))
        rows["start_frame"].append(int(frames[start]))
        rows["end_frame"].append(
            int(frames[-1]) + 1 if following is None else int(frames[following])
        )
        rows["start_s"].append(float(times[start]))
        rows["end_s"].append(end_s if following is None else float(times[following]))
        rows["transition"].append("start" if number == 0 else borders[start])
    return {"shots": Shots(rows)}


def _borders(scores: FrameScores, config: dict[str, Any]) -> dict[int, str]:
    """Position of the first frame of each shot but the first, and the kind of transition."""
    times = scores.column("time_s")
    fades = _fades(scores.column("luma"), config["fade_level"])
    dark = np.zeros(len(times), dtype=np.bool_)
    borders: dict[int, str] = {}
    for start, end in fades:
        dark[start:end] = True
        # A run at either end of the video is its beginning or end, not a transition.
        if start > 0 and end < len(times):
            borders[(start + end) // 2] = "fade"
    last_s = float(times[0])
    for position in _cuts(_content(scores), config):
        around = slice(max(0, position - 1), position + 1)
        if not dark[around].any():
            borders[position] = "cut"
    kept: dict[int, str] = {}
    for position in sorted(borders):
        if float(times[position]) - last_s >= config["min_shot_s"]:
            kept[position] = borders[position]
            last_s = float(times[position])
    return kept


def _content(scores: FrameScores) -> npt.NDArray[np.float64]:
    """How each frame differs from the one before; 0 where that one was not looked at."""
    follows = np.diff(scores.column("frame_index")) == 1
    return np.concatenate([[0.0], np.where(follows, scores.column("change")[:-1], 0.0)])


def _cuts(content: npt.NDArray[np.float64], config: dict[str, Any]) -> list[int]:
    above = content >= config["threshold"]
    if config["method"] == "adaptive":
        padded = np.pad(content, _WINDOW, mode="edge")
        total = np.convolve(padded, np.ones(2 * _WINDOW + 1), mode="valid")
        neighbours = (total - content) / (2 * _WINDOW)
        above &= content >= config["ratio"] * np.maximum(neighbours, 1e-9)
    return [int(i) for i in np.flatnonzero(above) if i > 0]


def _fades(luma: npt.NDArray[np.float64], level: float) -> list[tuple[int, int]]:
    """Runs of frames darker than ``level``, as (first, after the last)."""
    dark = np.concatenate([[False], luma < level, [False]])
    edges = np.flatnonzero(np.diff(dark.astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


_SERIALIZE, _DESERIALIZE = table_serializers("shots", Shots)

STAGE = StageDefinition(
    name="detect_shots",
    label="Detect shots",
    description="Cuts the video into shots at hard cuts and at fades through black.",
    io=StageIO(reads=["frame_scores"], writes=["shots"]),
    config_fields=[
        StageConfigField(
            "threshold",
            "float",
            27.0,
            "Change of picture that makes a cut. Raising it finds fewer cuts.",
            min=0.0,
            max=255.0,
        ),
        StageConfigField(
            "method",
            "str",
            "adaptive",
            "content: any change above the threshold; adaptive: it must also stand out from its "
            "neighbours, which keeps fast motion from being taken for cuts.",
            options=["adaptive", "content"],
        ),
        StageConfigField(
            "ratio",
            "float",
            3.0,
            "With method adaptive, how many times its neighbours' change a cut is.",
            min=1.0,
            max=100.0,
        ),
        StageConfigField(
            "min_shot_s",
            "float",
            0.6,
            "Shortest shot in seconds; a transition sooner after the last one is dropped.",
            min=0.0,
        ),
        StageConfigField(
            "fade_level",
            "float",
            12.0,
            "Mean brightness below which a frame is black. 0 finds no fades.",
            min=0.0,
            max=255.0,
        ),
    ],
    category="shots",
    fn=detect_shots,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    scope="video",
    channels=[SHOTS],
    implies=("score_frames",),
)
