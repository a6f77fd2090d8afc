"""``score_frames``: how much each frame differs from the one before it.

The measures are PySceneDetect's: its ``ContentDetector`` takes the mean absolute change of hue,
saturation and value (HSV of 8 bits, components of equal weight), its ``ThresholdDetector`` the
mean of all channels. https://www.scenedetect.com/docs/latest/api/detectors.html
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO
from mediaproc.detect.stages.channels import FRAME_SCORES, table_serializers
from mediaproc.detect.stages.sample_frames import scaled_size
from mediaproc.detect.state import DetectState, MediaSource
from mediaproc.detect.tables import FrameScores


def score_frames(
    state: DetectState, *, config: dict[str, Any], media: MediaSource
) -> dict[str, Any]:
    """Score every frame of the segment; the one ahead of it is decoded too, to compare with."""
    import cv2

    segment, video = state["segment"], state["video"]
    first = segment.start_frame
    size = scaled_size(video.width, video.height, config["size"])
    before: npt.NDArray[np.int16] | None = None
    rows: dict[str, list[Any]] = {column.name: [] for column in FrameScores.columns}
    for frame in media.images(range(max(0, first - 1), segment.end_frame), size_wh=size):
        hsv = cv2.cvtColor(frame.image, cv2.COLOR_BGR2HSV).astype(np.int16)
        if frame.index >= first:
            content = 0.0 if before is None else float(np.abs(hsv - before).mean())
            rows["node"].append("")
            rows["frame_index"].append(frame.index)
            rows["pts"].append(frame.pts)
            rows["time_s"].append(frame.time_s)
            rows["content"].append(content)
            rows["luma"].append(float(frame.image.mean()))
        before = hsv
    return {"frame_scores": FrameScores(rows)}


_SERIALIZE, _DESERIALIZE = table_serializers("frame_scores", FrameScores)

STAGE = StageDefinition(
    name="score_frames",
    label="Score frames",
    description="Measures how each frame differs from the one before; detect_shots decides on it.",
    io=StageIO(reads=["video"], writes=["frame_scores"]),
    config_fields=[
        StageConfigField(
            "size",
            "int",
            256,
            "Longer side in pixels at which frames are compared. Less is faster and less exact.",
            min=16,
            max=4096,
        ),
    ],
    category="shots",
    fn=score_frames,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    channels=[FRAME_SCORES],
)
