"""Detection by ONNX Runtime, on images that the decoder has scaled already."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.detect.models.base import Found, Thresholds
from mediaproc.detect.models.boxes import decoded, letterbox, scaled_wh, unletterboxed
from mediaproc.errors import ModelError


class OnnxDetector:
    """A YOLO model with a detection head, as ONNX with Ultralytics' metadata.

    Args:
        path: the ``.onnx`` file.
        size: longer side of the input in pixels; a model of fixed size keeps its own.
        threads: threads of one call; a fixed number, so that results are the same everywhere.
        device: ``"cpu"`` or ``"cuda"``.
    """

    def __init__(self, path: Path, *, size: int, threads: int, device: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        providers = ["CPUExecutionProvider"]
        if device.startswith("cuda"):
            if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
                raise ModelError(
                    f"{path}: device {device!r} needs onnxruntime-gpu, which is not installed"
                )
            providers.insert(0, "CUDAExecutionProvider")
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), options, providers)
        except Exception as error:
            raise ModelError(f"{path}: ONNX Runtime cannot load it: {error}") from error
        given = self._session.get_inputs()[0]
        meta = self._session.get_modelmeta().custom_metadata_map
        if "names" not in meta:
            raise ModelError(
                f"{path}: carries no class names; export it with Ultralytics "
                "(yolo export format=onnx), which writes them into the file"
            )
        self.names = {int(k): str(v) for k, v in ast.literal_eval(meta["names"]).items()}
        self.task = meta.get("task", "detect")
        self._stride = int(meta.get("stride", 32))
        self._input = given.name
        fixed = [n for n in given.shape[2:] if isinstance(n, int)]
        self._square = len(fixed) == 2
        self._size = max(fixed) if self._square else size

    def input_size(self, source_wh: tuple[int, int]) -> tuple[int, int] | None:
        """The size of the image within the letterbox."""
        return scaled_wh(source_wh, self._size)

    def detect(
        self,
        image: npt.NDArray[np.uint8],
        source_wh: tuple[int, int],
        thresholds: Thresholds,
    ) -> Found:
        """Find objects in an image of ``input_size``, shape (H, W, 3), uint8, BGR."""
        padded = letterbox(image, self._size, self._stride, square=self._square)
        batch = np.ascontiguousarray(padded[None, :, :, ::-1].transpose(0, 3, 1, 2))
        output = self._session.run(None, {self._input: batch.astype(np.float32) / np.float32(255)})
        boxes, scores, kinds = decoded(
            output[0][0],
            confidence=thresholds.confidence,
            iou=thresholds.iou,
            most=thresholds.max_detections,
            classes=thresholds.classes,
        )
        height, width = padded.shape[:2]
        return Found(
            unletterboxed(boxes.astype(np.float64), (width, height), source_wh),
            scores.astype(np.float64),
            kinds,
        )
