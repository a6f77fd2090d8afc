"""What a detector is, whichever engine runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Found:
    """What a detector found in one image, by descending confidence.

    Attributes:
        xyxy: boxes in pixels of the source frame, shape (N, 4), float64.
        confidence: shape (N,), float64, 0..1.
        class_id: shape (N,), int64.
        polygons: an outline per object, ``[[x, y], ...]`` in pixels, where the model gives masks.
        keypoints: ``[[x, y, confidence], ...]`` per object, where the model gives poses.
    """

    xyxy: npt.NDArray[np.float64]
    confidence: npt.NDArray[np.float64]
    class_id: npt.NDArray[np.int64]
    polygons: list[Any] = field(default_factory=list)
    keypoints: list[Any] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What counts as found.

    Attributes:
        confidence: lowest confidence, 0..1.
        iou: two boxes of a class that overlap by more are one object, 0..1.
        max_detections: most objects per image.
        classes: class numbers to look for; None for all.
    """

    confidence: float
    iou: float
    max_detections: int
    classes: tuple[int, ...] | None = None


class Detector(Protocol):
    """A loaded model. Calls from several threads are safe."""

    names: dict[int, str]
    task: str
    # Images that one call takes at most; 1 on a CPU, where more only make results depend on what
    # else is in a batch, and are no faster.
    batch: int

    def input_size(self, source_wh: tuple[int, int]) -> tuple[int, int] | None:
        """The size at which this detector wants images; None for the source's own."""
        ...

    def detect(
        self,
        images: Sequence[npt.NDArray[np.uint8]],
        source_wh: tuple[int, int],
        thresholds: Thresholds,
    ) -> list[Found]:
        """Find objects in images, shape (H, W, 3), uint8, BGR, of the size asked for."""
        ...
