"""Letterboxing and non-maximum suppression, with the arithmetic that Ultralytics uses."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

# Grey of the letterbox's border.
BORDER = 114
# Offset that keeps boxes of different classes apart in one suppression.
_CLASS_OFFSET = 7680.0
_MOST_CANDIDATES = 30_000


def scaled_wh(source_wh: tuple[int, int], size: int) -> tuple[int, int]:
    """Size of the image within a letterbox of ``size``."""
    width, height = source_wh
    gain = min(size / height, size / width)
    return max(1, round(width * gain)), max(1, round(height * gain))


def letterbox(
    image: npt.NDArray[np.uint8], size: int, stride: int, *, square: bool
) -> npt.NDArray[np.uint8]:
    """Pad a scaled image to ``size`` square, or to the next multiple of the stride."""
    height, width = image.shape[:2]
    across, down = float(size - width), float(size - height)
    if not square:
        across, down = across % stride, down % stride
    across, down = across / 2, down / 2
    top, bottom = round(down - 0.1), round(down + 0.1)
    left, right = round(across - 0.1), round(across + 0.1)
    padded = np.full((height + top + bottom, width + left + right, 3), BORDER, dtype=np.uint8)
    padded[top : top + height, left : left + width] = image
    return padded


def unletterboxed(
    boxes: npt.NDArray[np.float64], padded_wh: tuple[int, int], source_wh: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """Boxes, shape (N, 4), from pixels of the letterbox to pixels of the source, clipped to it."""
    width, height = source_wh
    gain = min(padded_wh[1] / height, padded_wh[0] / width)
    left = round((padded_wh[0] - round(width * gain)) / 2 - 0.1)
    top = round((padded_wh[1] - round(height * gain)) / 2 - 0.1)
    moved: npt.NDArray[np.float64] = (boxes - np.array([left, top, left, top])) / gain
    moved[:, 0::2] = moved[:, 0::2].clip(0, width)
    moved[:, 1::2] = moved[:, 1::2].clip(0, height)
    return moved


def decoded(
    output: npt.NDArray[np.float32],
    *,
    confidence: float,
    iou: float,
    most: int,
    classes: tuple[int, ...] | None,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Boxes, confidences and classes out of a YOLO head.

    Args:
        output: shape (4 + classes, anchors): xywh and a score per class; or shape (N, 6) of an
            end-to-end model: xyxy, score, class.
        confidence: lowest score.
        iou: overlap above which two boxes of a class are one.
        most: most boxes to keep.
        classes: class numbers to keep, or None.
    """
    if output.shape[-1] == 6:
        scores, kinds = output[:, 4], output[:, 5].astype(np.int64)
        keep = scores > confidence
        if classes is not None:
            keep &= np.isin(kinds, classes)
        chosen = np.flatnonzero(keep)[:most]
        return output[chosen, :4], scores[chosen], kinds[chosen]
    rows = output.T
    scores = rows[:, 4:].max(axis=1)
    candidates = np.flatnonzero(scores > confidence)
    kinds = rows[candidates, 4:].argmax(axis=1).astype(np.int64)
    if classes is not None:
        wanted = np.isin(kinds, classes)
        candidates, kinds = candidates[wanted], kinds[wanted]
    order = np.argsort(-scores[candidates], kind="stable")[:_MOST_CANDIDATES]
    candidates, kinds = candidates[order], kinds[order]
    centre, half = rows[candidates, :2], rows[candidates, 2:4] / 2
    boxes = np.concatenate([centre - half, centre + half], axis=1)
    kept = suppressed(boxes + kinds[:, None].astype(np.float32) * np.float32(_CLASS_OFFSET), iou)
    kept = kept[:most]
    return boxes[kept], scores[candidates][kept], kinds[kept]


def suppressed(boxes: npt.NDArray[np.floating[Any]], iou: float) -> npt.NDArray[np.int64]:
    """Positions of the boxes that survive, of boxes ordered by descending score."""
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    alive = np.ones(len(boxes), dtype=np.bool_)
    kept: list[int] = []
    for position in range(len(boxes)):
        if not alive[position]:
            continue
        kept.append(position)
        rest = slice(position + 1, None)
        low = np.maximum(boxes[position, :2], boxes[rest, :2])
        high = np.minimum(boxes[position, 2:], boxes[rest, 2:])
        overlap = (high - low).clip(0).prod(axis=1)
        union = areas[position] + areas[rest] - overlap
        with np.errstate(divide="ignore", invalid="ignore"):
            alive[rest] &= ~(overlap / union > iou)
    return np.array(kept, dtype=np.int64)
