"""``filter_frames``: the sampled frames without black, blurred and repeated ones."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO
from mediaproc.detect.stages.channels import FRAMES
from mediaproc.detect.stages.sampling.sample_frames import deserialize, scaled_size, serialize
from mediaproc.detect.state import DetectState, Frames

# Longer side at which frames are judged. Sharpness depends on it, so it is fixed.
_JUDGED_PX = 256
# Share of dark pixels that makes a frame black, as FFmpeg's blackdetect has it.
_DARK_SHARE = 0.98
# Cells each way in which two frames are compared.
_CELLS = 16

Grey = npt.NDArray[np.uint8]


def filter_frames(state: DetectState, *, config: dict[str, Any]) -> dict[str, Any]:
    """Judge each frame of the segment at a small size, and hand on those that are worth a look."""
    import cv2

    frames: Frames = state["frames"]
    if not any(config[name] > 0 for name in ("black_level", "min_sharpness", "min_change")):
        return {"frames": frames}
    starts = [start for start, _ in state["segment"].blocks]
    keep = np.zeros(len(frames), dtype=np.bool_)
    compared: tuple[int, npt.NDArray[np.float64], float] | None = None
    size = scaled_size(*frames.size_wh, _JUDGED_PX)
    for position, frame in enumerate(frames.images(size_wh=size)):
        grey: Grey = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
        if is_black(grey, config["black_level"]) or is_blurred(grey, config["min_sharpness"]):
            continue
        block, cells = bisect_right(starts, frame.index), in_cells(grey)
        # Each block begins anew, so that what is kept does not depend on segments.
        if compared is not None and compared[0] == block:
            _, before, time_s = compared
            due = 0 < config["max_gap_s"] <= frame.time_s - time_s
            if not due and float(np.abs(cells - before).max()) < config["min_change"]:
                continue
        keep[position] = True
        compared = (block, cells, frame.time_s)
    return {"frames": frames.only(keep)}


def is_black(grey: Grey, level: float) -> bool:
    """Whether nearly all pixels of a picture, shape (H, W), uint8, are darker than ``level``."""
    return level > 0 and float((grey < level).mean()) >= _DARK_SHARE


def is_blurred(grey: Grey, min_sharpness: float) -> bool:
    """Whether a picture, shape (H, W), uint8, has less detail than ``min_sharpness``.

    The measure is the variance of the Laplacian (Pech-Pacheco et al., Diatom autofocusing in
    brightfield microscopy, 2000).
    """
    import cv2

    return min_sharpness > 0 and float(cv2.Laplacian(grey, cv2.CV_64F).var()) < min_sharpness


def in_cells(grey: Grey) -> npt.NDArray[np.float64]:
    """Mean brightness in each cell of a grid, shape (16, 16), 0..255.

    Perceptual hashes (aHash, dHash, pHash) were tried: those of 64 bits do not see a small caption
    come, those of 256 bits take the noise of an encoder for news. The greatest change of a cell
    tells them apart by a factor of ten.
    """
    import cv2

    cells: npt.NDArray[np.float64] = cv2.resize(
        grey.astype(np.float32), (_CELLS, _CELLS), interpolation=cv2.INTER_AREA
    ).astype(np.float64)
    return cells


STAGE = StageDefinition(
    name="filter_frames",
    label="Filter frames",
    description="Drops black, blurred and repeated frames before the stages that cost time.",
    io=StageIO(reads=["frames"], writes=["frames"]),
    config_fields=[
        StageConfigField(
            "black_level",
            "float",
            26.0,
            "A frame is black where 98% of its pixels are darker. 0 keeps black frames.",
            min=0.0,
            max=255.0,
        ),
        StageConfigField(
            "min_sharpness",
            "float",
            10.0,
            "Least variance of the Laplacian, at 256 pixels; sharp pictures have hundreds. Raising "
            "it drops more blurred frames, 0 keeps all.",
            min=0.0,
        ),
        StageConfigField(
            "min_change",
            "float",
            4.0,
            "Least change of brightness (of 255) in any place since the last frame that was kept. "
            "Raising it drops more frames as repeated, 0 keeps all.",
            min=0.0,
            max=255.0,
        ),
        StageConfigField(
            "max_gap_s",
            "float",
            0.0,
            "Keep a repeated frame all the same where the last kept one is so many seconds back; "
            "0 never does.",
            min=0.0,
        ),
    ],
    category="sampling",
    fn=filter_frames,
    serialize_fn=serialize,
    deserialize_fn=deserialize,
    channels=[FRAMES],
)
