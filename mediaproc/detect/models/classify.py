"""Classifiers of whole images: what one is, and the exported ones that ONNX Runtime runs."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from mediaproc.detect.models.exported import Header, Run
from mediaproc.timing import timed


class Classifier(Protocol):
    """A loaded model. Calls from several threads are safe."""

    names: dict[int, str]

    def input_size(self, source_wh: tuple[int, int]) -> tuple[int, int] | None:
        """The size at which this classifier wants images; None for the source's own."""
        ...

    def classify(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        """Confidence of each class, shape (classes,), of an image, shape (H, W, 3), uint8, BGR."""
        ...


class ExportedClassifier:
    """A YOLO model with a classification head, as ONNX with Ultralytics' metadata.

    As in Ultralytics' own preprocessing, the shorter side is scaled to the model's input, and of
    the longer one the middle is seen.

    Args:
        header: what the file says of itself.
        run: the loaded model.
        size: side of the square input in pixels; a model of fixed size keeps its own.
    """

    def __init__(self, header: Header, run: Run, *, size: int) -> None:
        self.names = header.names
        self._size = header.fixed_size or size
        self._run = run

    def input_size(self, source_wh: tuple[int, int]) -> tuple[int, int] | None:
        """The size of the image whose middle is seen."""
        shorter = min(source_wh)
        width, height = (side * self._size // shorter for side in source_wh)
        return width, height

    def classify(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        """Confidences for an image of ``input_size``."""
        top, left = (round((side - self._size) / 2) for side in image.shape[:2])
        middle = image[top : top + self._size, left : left + self._size]
        batch = np.ascontiguousarray(middle[None, :, :, ::-1].transpose(0, 3, 1, 2))
        with timed("inference"):
            outputs = self._run(batch.astype(np.float32) / np.float32(255))
        confidences: npt.NDArray[np.float64] = outputs[0].astype(np.float64)
        return confidences
