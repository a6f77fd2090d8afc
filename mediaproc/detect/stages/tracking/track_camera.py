"""``track_camera``: how the camera moves from each frame to the next.

Corners are followed by pyramidal Lucas-Kanade (Shi and Tomasi, Good features to track, 1994;
Bouguet, 2001), and the similarity that most of them agree on is taken (RANSAC), as BoT-SORT does
(Aharon et al., 2022, https://arxiv.org/abs/2206.14651): what moves by itself is outvoted.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO
from mediaproc.detect.stages.channels import CAMERA, table_serializers
from mediaproc.detect.stages.sampling.sample_frames import scaled_size
from mediaproc.detect.state import DetectState, MediaSource
from mediaproc.detect.tables import CameraMotion

# Corners looked for in a frame, and the fewest that can tell how the camera moved.
_CORNERS = 300
_FEWEST = 12
# Distance within which a corner agrees, pixels of the small image.
_AGREES_PX = 1.5
# A picture of which no place moves farther, in pixels of the small image, stands still: what is
# measured then is noise, which would add up over hours.
_STILL_PX = 0.3

Grey = npt.NDArray[np.uint8]


def track_camera(
    state: DetectState, *, config: dict[str, Any], media: MediaSource
) -> dict[str, Any]:
    """Measure every frame of the segment against the one ahead of it, which is decoded too."""
    import cv2

    segment, video = state["segment"], state["video"]
    first = segment.start_frame
    size = scaled_size(video.width, video.height, config["size"])
    scale = video.width / size[0]
    before: Grey | None = None
    rows: list[dict[str, Any]] = []
    for frame in media.images(range(max(0, first - 1), segment.end_frame), size_wh=size):
        grey: Grey = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
        if frame.index >= first:
            move = None if before is None else moved(before, grey)
            rows.append(
                {
                    "node": "",
                    "frame_index": frame.index,
                    "pts": frame.pts,
                    "time_s": frame.time_s,
                    **_row(move, size, config["min_agreement"], scale),
                }
            )
        before = grey
    return {"camera": CameraMotion.from_records(rows)}


def moved(before: Grey, now: Grey) -> tuple[npt.NDArray[np.float64], float] | None:
    """How a picture moved, or None where too few corners are seen in both.

    Args:
        before: shape (H, W), uint8.
        now: of the same shape.

    Returns:
        The similarity from pixels of the first to those of the second, shape (2, 3), and the share
        of the corners that agree with it, 0..1.
    """
    import cv2

    corners = cv2.goodFeaturesToTrack(before, _CORNERS, 0.01, 7)
    if corners is None or len(corners) < _FEWEST:
        return None
    found, status, _ = cv2.calcOpticalFlowPyrLK(before, now, corners, None)
    seen = status.ravel() == 1
    if seen.sum() < _FEWEST:
        return None
    matrix, agreeing = cv2.estimateAffinePartial2D(
        corners[seen], found[seen], ransacReprojThreshold=_AGREES_PX
    )
    if matrix is None:
        return None
    return matrix, float(agreeing.sum()) / len(corners)


def _row(
    move: tuple[npt.NDArray[np.float64], float] | None,
    size_wh: tuple[int, int],
    min_agreement: float,
    scale: float,
) -> dict[str, float]:
    """The movement in pixels of the source; none where the corners do not agree on one."""
    still = {"dx": 0.0, "dy": 0.0, "scale": 1.0, "angle": 0.0}
    if move is None or move[1] < min_agreement:
        return {**still, "agreement": 0.0}
    matrix, agreement = move
    width, height = size_wh
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], dtype=np.float64)
    away = corners @ matrix[:, :2].T + matrix[:, 2] - corners
    if float(np.abs(away).max()) < _STILL_PX:
        return {**still, "agreement": agreement}
    turn = complex(matrix[0, 0], matrix[1, 0])
    return {
        "dx": float(matrix[0, 2]) * scale,
        "dy": float(matrix[1, 2]) * scale,
        "scale": abs(turn),
        "angle": math.atan2(turn.imag, turn.real),
        "agreement": agreement,
    }


_SERIALIZE, _DESERIALIZE = table_serializers("camera", CameraMotion)

STAGE = StageDefinition(
    name="track_camera",
    label="Track camera",
    description="Measures how the camera pans, turns and zooms; track_objects allows for it.",
    io=StageIO(reads=["video"], writes=["camera"]),
    config_fields=[
        StageConfigField(
            "min_agreement",
            "float",
            0.4,
            "Least share of the corners that move alike; with fewer, as at a cut, the camera "
            "counts as still. Raising it trusts fewer frames.",
            min=0.0,
            max=1.0,
        ),
        StageConfigField(
            "size",
            "int",
            320,
            "Longer side in pixels at which frames are compared. More is more exact, slower.",
            min=64,
            max=4096,
        ),
    ],
    category="tracking",
    fn=track_camera,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    channels=[CAMERA],
)
