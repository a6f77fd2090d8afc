"""``score_frames``: how much each frame differs from the one after it.

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
from mediaproc.detect.stages.sampling.sample_frames import scaled_size
from mediaproc.detect.state import DetectState, MediaSource
from mediaproc.detect.tables import FrameScores


def score_frames(
    state: DetectState, *, config: dict[str, Any], media: MediaSource
) -> dict[str, Any]:
    """Score every frame of the segment; the one after it is decoded too, to compare with."""
    import cv2

    segment, video = state["segment"], state["video"]
    size = scaled_size(video.width, video.height, config["size"])
    rows: dict[str, list[Any]] = {column.name: [] for column in FrameScores.columns}
    before: npt.NDArray[np.uint8] | None = None
    # Not the frame before the segment: it may take a whole run from its keyframe to decode it.
    wanted = range(segment.start_frame, min(segment.end_frame + 1, video.frame_count))
    for frame in media.images(wanted, size_wh=size):
        hsv = cv2.cvtColor(frame.image, cv2.COLOR_BGR2HSV)
        if before is not None:
            rows["change"].append(cv2.norm(hsv, before, cv2.NORM_L1) / hsv.size)
        if frame.index < segment.end_frame:
            rows["node"].append("")
            rows["frame_index"].append(frame.index)
            rows["pts"].append(frame.pts)
            rows["time_s"].append(frame.time_s)
            rows["luma"].append(sum(cv2.sumElems(frame.image)) / frame.image.size)
        before = hsv
    rows["change"] += [0.0] * (len(rows["luma"]) - len(rows["change"]))
    return {"frame_scores": FrameScores(rows)}


_SERIALIZE, _DESERIALIZE = table_serializers("frame_scores", FrameScores)

STAGE = StageDefinition(
    name="score_frames",
    label="Score frames",
    description="Measures how each frame differs from the next; detect_shots decides on it.",
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
    version=2,
    fn=score_frames,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    channels=[FRAME_SCORES],
)
