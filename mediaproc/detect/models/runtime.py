"""What runs a model, where, and how exactly."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from mediaproc.errors import ModelError

ENGINES = ("auto", "torch", "onnx", "openvino", "tensorrt")


@dataclass(frozen=True, slots=True)
class Runtime:
    """What runs a model.

    Attributes:
        engine: one of ``ENGINES``; ``"auto"`` takes ONNX Runtime on a CPU and torch on a GPU.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``; ``"auto"`` takes a GPU where
            torch finds one.
        half: half precision: float16 on a GPU, bfloat16 in OpenVINO.
        batch: images of one call on a GPU; on a CPU each is a call of its own.
        exact: Ultralytics' own preprocessing and prediction.
    """

    engine: str = "auto"
    device: str = "auto"
    half: bool = False
    batch: int = 8
    exact: bool = False

    def settled(self, path: Path) -> Runtime:
        """The same for weights, with nothing left open.

        Raises:
            ModelError: the engine does not run such a file, or not on such a device.
        """
        device = _best_device() if self.device == "auto" else self.device
        onnx, gpu = path.suffix == ".onnx", device.startswith("cuda")
        engine = self.engine
        if engine == "auto":
            engine = "onnx" if onnx or (not self.exact and not gpu) else "torch"
        if onnx and engine in ("torch", "tensorrt"):
            raise ModelError(
                f"{path}: engine {engine!r} cannot run an ONNX file; use engine 'onnx', or give "
                "the .pt file it was exported from"
            )
        if engine == "tensorrt" and not gpu:
            raise ModelError(
                f"{path}: engine 'tensorrt' runs on NVIDIA's GPUs, and the device is {device!r}; "
                "set device: cuda, or another engine"
            )
        if engine == "openvino" and gpu:
            raise ModelError(f"{path}: engine 'openvino' runs on the CPU here, not on {device!r}")
        if self.half and (engine == "onnx" or (engine == "torch" and not gpu)):
            raise ModelError(
                f"{path}: engine {engine!r} on {device!r} has no half precision here; it is for "
                "torch and tensorrt on a GPU, and for openvino: set half: false or one of those"
            )
        return replace(self, engine=engine, device=device, batch=self.batch if gpu else 1)


DEFAULT = Runtime()


def _best_device() -> str:
    # Loading torch takes seconds; without NVIDIA's driver there is nothing to ask it.
    if sys.platform == "linux" and not Path("/dev/nvidiactl").exists():
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
