"""How well tracks keep identities: IDF1, as TrackEval computes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

Sight = tuple[int, Sequence[float]]


def idf1(truth: Mapping[int, Sequence[Sight]], tracks: Mapping[int, Sequence[Sight]]) -> float:
    """IDF1, 0..1, of (id, xyxy) by frame: two boxes are of one object at IoU 0.5."""
    from trackeval.metrics import Identity

    numbers = [_numbered(table.values()) for table in (truth, tracks)]
    data: dict[str, Any] = {"gt_ids": [], "tracker_ids": [], "similarity_scores": []}
    for frame in truth:
        sights = (truth[frame], tracks.get(frame, ()))
        for key, known, found in zip(("gt_ids", "tracker_ids"), numbers, sights, strict=True):
            data[key].append(np.array([known[name] for name, _ in found], dtype=int))
        one, other = (np.array([box for _, box in found]).reshape(-1, 4) for found in sights)
        data["similarity_scores"].append(_iou(one, other))
    for kind, key in (("gt", "gt_ids"), ("tracker", "tracker_ids")):
        data[f"num_{kind}_dets"] = sum(map(len, data[key]))
        data[f"num_{kind}_ids"] = len(numbers[kind == "tracker"])
    assert data["num_tracker_dets"] == sum(map(len, tracks.values())), "tracks in unknown frames"
    return float(Identity({"PRINT_CONFIG": False}).eval_sequence(data)["IDF1"])


def _numbered(frames: Iterable[Sequence[Sight]]) -> dict[int, int]:
    names = sorted({name for sights in frames for name, _ in sights})
    return {name: number for number, name in enumerate(names)}


def _iou(one: Any, other: Any) -> Any:
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    overlap = (high - low).clip(0).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (one, other)]
    union = areas[0][:, None] + areas[1][None, :] - overlap
    return overlap / np.maximum(union, 1e-9)
