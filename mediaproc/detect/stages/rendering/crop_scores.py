"""How good a picture of its object a sight makes, before and after its pixels are seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Share of the frame at which size counts half of what it can.
_HALF_SIZE = 0.01
# Pixels from the border within which an object may be cut off.
_BORDER_PX = 2.0
_CUT_OFF = 0.5
# What the place in the frame takes away at most, in a corner.
_CORNER = 0.3
# Longer side at which sharpness is measured, so that size does not count twice, and the variance
# at which it counts half.
_MEASURED_PX = 96
_HALF_SHARPNESS = 150.0
# What is left of the score of a picture without any detail.
_BLURRED = 0.3


def place_scores(boxes: Floats, confidences: Floats, size_wh: tuple[int, int]) -> Floats:
    """Scores by size, confidence and place, 0..1, shape (N,).

    Args:
        boxes: shape (N, 4), xyxy, pixels.
        confidences: shape (N,), 0..1.
        size_wh: of the frame, pixels.
    """
    width, height = size_wh
    sides = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None)
    share = sides.prod(axis=1) / (width * height)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 / np.array([width, height])
    away = np.sqrt(((centres - 0.5) ** 2).sum(axis=1)) / np.sqrt(0.5)
    inside = (boxes[:, :2] > _BORDER_PX).all(axis=1) & (
        boxes[:, 2:] < np.array([width, height]) - _BORDER_PX
    ).all(axis=1)
    place = np.where(inside, 1.0, _CUT_OFF) * (1 - _CORNER * away.clip(0, 1))
    scores: Floats = share / (share + _HALF_SIZE) * confidences * place
    return scores


def sharpness(image: npt.NDArray[np.uint8]) -> float:
    """How much fine detail an image, shape (H, W, 3), uint8, BGR, has, 0..1.

    From the variance of its Laplacian (Pech-Pacheco et al., 2000, "Diatom autofocusing in
    brightfield microscopy").
    """
    import cv2

    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    scale = _MEASURED_PX / max(grey.shape)
    size = max(3, round(grey.shape[1] * scale)), max(3, round(grey.shape[0] * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    variance = float(cv2.Laplacian(cv2.resize(grey, size, interpolation=way), cv2.CV_64F).var())
    return variance / (variance + _HALF_SHARPNESS)


def whole_score(place: float, sharp: float) -> float:
    """The score of a picture, out of those of its place and its sharpness."""
    return place * (_BLURRED + (1 - _BLURRED) * sharp)
