"""Exported YOLO models, run straight by ONNX Runtime or OpenVINO.

The image arrives scaled by the decoder; here it is padded, run, and its boxes are decoded with
Ultralytics' arithmetic. Both engines read the same ``.onnx`` file.
"""

from __future__ import annotations

import ast
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.detect.models.base import Found, Thresholds
from mediaproc.detect.models.boxes import decoded, letterbox, scaled_wh, unletterboxed
from mediaproc.errors import MissingExtraError, ModelError
from mediaproc.timing import timed

# From a batch, shape (N, 3, H, W), float32, to the head's output, shape (N, rows, anchors).
Run = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Header:
    """What an ONNX file says of itself.

    Attributes:
        names: class names by number.
        task: ``"detect"``, ``"segment"``, ``"pose"``, …
        stride: sides of the input are multiples of it, pixels.
        input: name of its input.
        fixed_size: side of its square input where that is fixed, pixels, else None.
    """

    names: dict[int, str]
    task: str
    stride: int
    input: str
    fixed_size: int | None

    @classmethod
    def read(cls, path: Path) -> Header:
        """The header of a file; ModelError where it is no ONNX file of Ultralytics' making."""
        import onnx

        try:
            model = onnx.load(str(path), load_external_data=False)
        except Exception as error:
            raise ModelError(f"{path}: is not an ONNX model: {error}") from error
        meta = {prop.key: prop.value for prop in model.metadata_props}
        if "names" not in meta:
            raise ModelError(
                f"{path}: carries no class names; export it with Ultralytics "
                "(yolo export format=onnx), which writes them into the file"
            )
        given = model.graph.input[0]
        sides = [d.dim_value for d in given.type.tensor_type.shape.dim[2:]]
        return cls(
            names={int(k): str(v) for k, v in ast.literal_eval(meta["names"]).items()},
            task=meta.get("task", "detect"),
            stride=int(meta.get("stride", 32)),
            input=given.name,
            fixed_size=max(sides) if all(sides) else None,
        )

    def to_json(self) -> dict[str, Any]:
        """The header as JSON values."""
        return asdict(self)


class ExportedDetector:
    """A YOLO model with a detection head, as ONNX with Ultralytics' metadata.

    Args:
        header: what the file says of itself.
        run: the loaded model.
        size: longer side of the input in pixels; a model of fixed size keeps its own.
        batch: images that one call takes at most.
    """

    def __init__(self, header: Header, run: Run, *, size: int, batch: int = 1) -> None:
        self.names = header.names
        self.task = header.task
        self.batch = batch
        self._stride = header.stride
        self._square = header.fixed_size is not None
        self._size = header.fixed_size or size
        self._run = run

    def input_size(self, source_wh: tuple[int, int]) -> tuple[int, int] | None:
        """The size of the image within the letterbox."""
        return scaled_wh(source_wh, self._size)

    def detect(
        self,
        images: Sequence[npt.NDArray[np.uint8]],
        source_wh: tuple[int, int],
        thresholds: Thresholds,
    ) -> list[Found]:
        """Find objects in images of ``input_size``, shape (H, W, 3), uint8, BGR."""
        padded = np.stack(
            [letterbox(image, self._size, self._stride, square=self._square) for image in images]
        )
        batch = np.ascontiguousarray(padded[:, :, :, ::-1].transpose(0, 3, 1, 2))
        with timed("inference"):
            outputs = self._run(batch.astype(np.float32) / np.float32(255))
        return [self._found(output, padded.shape[1:3], source_wh, thresholds) for output in outputs]

    def _found(
        self,
        output: npt.NDArray[np.float32],
        padded_hw: tuple[int, ...],
        source_wh: tuple[int, int],
        thresholds: Thresholds,
    ) -> Found:
        boxes, scores, kinds = decoded(
            output,
            confidence=thresholds.confidence,
            iou=thresholds.iou,
            most=thresholds.max_detections,
            classes=thresholds.classes,
        )
        height, width = padded_hw
        return Found(
            unletterboxed(boxes.astype(np.float64), (width, height), source_wh),
            scores.astype(np.float64),
            kinds,
        )


def load_onnx_runtime(path: Path, header: Header, *, threads: int, device: str) -> Run:
    """The model in ONNX Runtime.

    Args:
        path: the ``.onnx`` file.
        header: what it says of itself.
        threads: threads of one call; a fixed number, so that results are the same everywhere.
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    providers: list[Any] = ["CPUExecutionProvider"]
    if device.startswith("cuda"):
        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            raise ModelError(
                f"{path}: device {device!r} needs onnxruntime-gpu, which is not installed"
            )
        number = int(device.partition(":")[2] or 0)
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": number}))
    try:
        session: Any = onnxruntime.InferenceSession(str(path), options, providers)
    except Exception as error:
        raise ModelError(f"{path}: ONNX Runtime cannot load it: {error}") from error

    def run(batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        output: npt.NDArray[np.float32] = session.run(None, {header.input: batch})[0]
        return output

    return run


def load_openvino(path: Path, header: Header, *, threads: int, half: bool) -> Run:
    """The model in OpenVINO, on the CPU.

    Args:
        path: the ``.onnx`` file.
        header: what it says of itself.
        threads: threads of one call.
        half: bfloat16 instead of float32; an error where the CPU has no bfloat16.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        ModelError: the model or the CPU does not fit.
    """
    try:
        import openvino
    except ImportError as error:
        raise MissingExtraError(
            "engine 'openvino' needs the package openvino; run: pip install 'mediaproc[openvino]'"
        ) from error
    # As many streams as can be at work at once, each with its own threads.
    streams = max(1, (os.cpu_count() or 1) // threads)
    wanted = "bf16" if half else "f32"
    properties = {
        "INFERENCE_PRECISION_HINT": wanted,
        "INFERENCE_NUM_THREADS": threads * streams,
        "NUM_STREAMS": streams,
    }
    try:
        compiled: Any = openvino.Core().compile_model(str(path), "CPU", properties)
        precision = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    except Exception as error:
        raise ModelError(f"{path}: OpenVINO cannot load it: {error}") from error
    if precision != wanted:
        raise ModelError(f"{path}: half precision needs a CPU with bfloat16; set half: false")
    local = threading.local()

    def run(batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        # A request holds its own buffers, so each thread has one.
        if not hasattr(local, "request"):
            local.request = compiled.create_infer_request()
        local.request.infer({header.input: batch})
        output: npt.NDArray[np.float32] = local.request.get_output_tensor(0).data.copy()
        return output

    return run
