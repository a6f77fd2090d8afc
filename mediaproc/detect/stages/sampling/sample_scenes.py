"""``sample_scenes``: a few frames of each shot."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.blobs import BlobStore
from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO
from mediaproc.detect.stages.channels import FRAMES
from mediaproc.detect.stages.sampling.sample_frames import (
    KEEP_FIELDS,
    MAX_SIZE_FIELD,
    deserialize,
    identity,
    picked,
    serialize,
)
from mediaproc.detect.state import DetectState, MediaSource
from mediaproc.detect.tables import Shots
from mediaproc.errors import StageError


def sample_scenes(
    state: DetectState, *, config: dict[str, Any], media: MediaSource, blobs: BlobStore
) -> dict[str, Any]:
    """Choose the frames of the segment that stand for its shots."""
    chosen = of_shots(state["shots"], state["video"].fps, config)
    segment = state["segment"]
    numbers = np.arange(segment.start_frame, segment.end_frame)
    return {"frames": picked(state, np.isin(numbers, chosen), config, media, blobs)}


def of_shots(shots: Shots, fps: float, config: dict[str, Any]) -> npt.NDArray[np.int64]:
    """Indexes of the frames of all shots of a video, ascending, each once.

    Args:
        shots: the whole video's, so that the choice does not depend on segments.
        fps: mean frame rate, Hz.
        config: the stage's settings.
    """
    margin = round(config["margin_s"] * fps)
    chosen: set[int] = set()
    starts, ends = shots.column("start_frame").tolist(), shots.column("end_frame").tolist()
    for start, end in zip(starts, ends, strict=True):
        middle = (start + end - 1) // 2
        # Of a shot that is shorter than its margins, the middle is left.
        first, last = min(start + margin, middle), max(end - 1 - margin, middle)
        if count := config["spread"]:
            # The middles of as many equal parts.
            length = last + 1 - first
            chosen.update(first + (2 * i + 1) * length // (2 * count) for i in range(count))
            continue
        places = {"first": first, "middle": middle, "last": last}
        chosen.update(places[place] for place in config["at"])
    return np.array(sorted(chosen), dtype=np.int64)


def prepare(*, config: dict[str, Any]) -> None:
    """See that any frame is asked for."""
    if not config["at"] and not config["spread"]:
        raise StageError(
            "sample_scenes: at: is empty and spread: is 0, so no frame would be chosen; name "
            "first, middle or last, or give spread: a number"
        )


STAGE = StageDefinition(
    name="sample_scenes",
    label="Sample scenes",
    description="Chooses a few frames of each shot for the stages after it, however long it lasts.",
    io=StageIO(reads=["video", "shots"], writes=["frames"]),
    config_fields=[
        StageConfigField(
            "at",
            "list[str]",
            ["middle"],
            "Which frames of a shot: its first, middle, last.",
            options=["first", "middle", "last"],
        ),
        StageConfigField(
            "spread",
            "int",
            0,
            "Take so many frames instead, spread evenly over each shot; 0 means those of at.",
            min=0,
            max=1000,
        ),
        StageConfigField(
            "margin_s",
            "float",
            0.0,
            "Seconds to keep away from both ends of a shot, where fades are.",
            min=0.0,
            max=60.0,
        ),
        MAX_SIZE_FIELD,
        *KEEP_FIELDS,
    ],
    category="sampling",
    fn=sample_scenes,
    prepare_fn=prepare,
    identity_fn=identity,
    serialize_fn=serialize,
    deserialize_fn=deserialize,
    channels=[FRAMES],
    implies=("detect_shots",),
)
