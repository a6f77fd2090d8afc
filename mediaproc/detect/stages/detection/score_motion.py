"""``score_motion``: what moves in each frame, before the background of a camera that stands still.

The background is the median of frames around (Cucchiara et al., Detecting moving objects, ghosts,
and shadows in video streams, 2003): unlike a running model it needs no time to settle, and a frame
sees the same one wherever the video is cut.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO
from mediaproc.detect.stages.channels import MOTION, table_serializers
from mediaproc.detect.stages.sampling.sample_frames import scaled_size
from mediaproc.detect.state import DetectState, MediaSource
from mediaproc.detect.tables import Motion

# Frames per second from which a background is made.
_BACKGROUND_HZ = 2.5

Picture = npt.NDArray[np.uint8]


def score_motion(
    state: DetectState, *, config: dict[str, Any], media: MediaSource
) -> dict[str, Any]:
    """Hold the frames of the segment against the background of their anchor block."""
    frames, segment, video = state["frames"], state["segment"], state["video"]
    size = scaled_size(video.width, video.height, config["size"])
    blocks = [block for block in segment.blocks if len(frames.within(*block))]
    stills = {
        block: _stills(block, video.frame_count, video.fps, config["window_s"]) for block in blocks
    }
    wanted = sorted({*frames.indexes.tolist(), *(i for chosen in stills.values() for i in chosen)})
    # Also frames of the neighbouring blocks, so from the video and not from what is kept.
    pictures = {frame.index: frame.image for frame in media.images(wanted, size_wh=size)}
    scale = np.array([video.width / size[0], video.height / size[1]] * 2)
    rows: dict[str, list[Any]] = {column.name: [] for column in Motion.columns}
    for block in blocks:
        background = median([pictures[i] for i in stills[block]])
        within = frames.within(*block)
        stamps = (within.indexes.tolist(), within.pts.tolist(), within.time_s.tolist())
        for index, pts, time_s in zip(*stamps, strict=True):
            share, boxes = moving(
                pictures[index], background, config["threshold"], config["min_area"]
            )
            rows["node"].append("")
            rows["frame_index"].append(index)
            rows["pts"].append(pts)
            rows["time_s"].append(time_s)
            rows["share"].append(share)
            rows["boxes"].append((boxes * scale).tolist())
    return {"motion": Motion(rows)}


def _stills(block: tuple[int, int], frame_count: int, fps: float, window_s: float) -> list[int]:
    """The frames that make a block's background, on a grid of the whole video."""
    step = max(1, round(fps / _BACKGROUND_HZ))
    around = round(window_s * fps)
    start, end = max(0, block[0] - around), min(frame_count, block[1] + around)
    # A video shorter than a step has its first frame alone.
    return list(range(start + -start % step, end, step)) or [block[0]]


def median(pictures: list[Picture]) -> Picture:
    """The picture of each pixel's median, shape (H, W, 3), uint8; of an even number the lower."""
    middle = (len(pictures) - 1) // 2
    found: Picture = np.partition(np.stack(pictures), middle, axis=0)[middle]
    return found


def moving(
    picture: Picture, background: Picture, threshold: float, min_area: float
) -> tuple[float, npt.NDArray[np.float64]]:
    """What of a picture is not background.

    Args:
        picture: shape (H, W, 3), uint8.
        background: of the same shape.
        threshold: change of a colour that counts, 0..255.
        min_area: smallest share of the picture that counts as one thing that moves.

    Returns:
        The share of the picture that moves, and the boxes of what does, xyxy in its pixels, shape
        (N, 4), the largest first.
    """
    import cv2

    change = picture.astype(np.int16) - background
    # A change of all pixels alike is the light's, or the camera's exposure.
    change -= np.median(change, axis=(0, 1)).astype(np.int16)
    mask = (np.abs(change).max(axis=2) >= threshold).astype(np.uint8)
    square = np.ones((3, 3), np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, square)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, square, iterations=3)
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    # The first is what does not move.
    left, top, width, height, area = stats[1:].T.astype(np.float64)
    order = np.argsort(-area, kind="stable")
    order = order[area[order] >= max(1.0, min_area * mask.size)]
    boxes = np.stack([left, top, left + width, top + height], axis=1)[order]
    return float(area[order].sum() / mask.size), boxes


_SERIALIZE, _DESERIALIZE = table_serializers("motion", Motion)

STAGE = StageDefinition(
    name="score_motion",
    label="Score motion",
    description="Measures what moves before a still background; detect_motion decides on it.",
    io=StageIO(reads=["video", "frames"], writes=["motion"]),
    config_fields=[
        StageConfigField(
            "threshold",
            "float",
            24.0,
            "Change of a colour (of 255) that counts. Raising it ignores fainter motion and noise.",
            min=1.0,
            max=255.0,
        ),
        StageConfigField(
            "min_area",
            "float",
            0.0005,
            "Smallest moving thing, as a share of the frame. Raising it ignores smaller ones.",
            min=0.0,
            max=1.0,
        ),
        StageConfigField(
            "window_s",
            "float",
            5.0,
            "Seconds before and after each stretch of 1 to 10 s from which its background is "
            "taken. More sees slower things move, and takes more time.",
            min=0.0,
            max=120.0,
        ),
        StageConfigField(
            "size",
            "int",
            320,
            "Longer side in pixels at which frames are compared. More sees smaller things.",
            min=16,
            max=4096,
        ),
    ],
    category="detection",
    fn=score_motion,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    channels=[MOTION],
)
