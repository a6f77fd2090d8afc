"""Where models come from, and the ones that are loaded."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from mediaproc.detect.models.base import Detector
from mediaproc.errors import ModelError
from mediaproc.s3 import s3_client, s3_errors, split_s3_url

T = TypeVar("T")


class ModelStore:
    """Loaded models: one per content, engine and device, shared by all segments.

    Args:
        folder: where fetched and exported weights are kept.
        threads: threads of one call on the CPU. A fixed number, since results depend on it.
    """

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        self.folder = folder
        self.threads = threads
        self._loaded: dict[Any, Any] = {}
        self._lock = threading.RLock()

    def shared(self, key: Any, make: Callable[[], T]) -> T:
        """The one object of ``key``, made on the first call."""
        with self._lock:
            if key not in self._loaded:
                self._loaded[key] = make()
            loaded: T = self._loaded[key]
            return loaded

    def detector(
        self,
        model: str,
        *,
        size: int = 640,
        exact: bool = False,
        engine: str = "auto",
        device: str = "auto",
        half: bool = False,
    ) -> Detector:
        """A detector for object detection, segmentation or pose.

        Args:
            model: a file, a name that Ultralytics publishes, ``s3://...`` or ``pkg:PACKAGE/FILE``.
            size: longer side of the model's input, pixels.
            exact: run Ultralytics' own preprocessing and prediction.
            engine: ``"auto"``, ``"torch"`` or ``"onnx"``.
            device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
            half: half precision, on a GPU.

        Raises:
            ModelError: it cannot be found, fetched, exported or loaded.
        """
        key = ("detector", model, size, exact, engine, device, half)
        return self.shared(key, lambda: self._detector(model, size, exact, engine, device, half))

    def _detector(
        self, model: str, size: int, exact: bool, engine: str, device: str, half: bool
    ) -> Detector:
        from mediaproc.detect.models.onnx import OnnxDetector
        from mediaproc.detect.models.ultralytics import UltralyticsDetector, task_of

        path = self.weights(model)
        device = _best_device() if device == "auto" else device
        is_onnx = path.suffix == ".onnx"
        if engine == "auto":
            engine = "onnx" if is_onnx or (not exact and device == "cpu") else "torch"
        if engine == "torch" and is_onnx:
            raise ModelError(f"{path}: engine 'torch' cannot run an ONNX file; use engine 'onnx'")
        # Only a detection head is decoded here; outlines and poses are Ultralytics' to decode.
        plain = is_onnx or task_of(path) == "detect"
        if engine == "onnx":
            if not is_onnx:
                path = self._exported(path, size)
            if not exact and plain:
                return OnnxDetector(path, size=size, threads=self.threads, device=device)
        self._fix_torch_threads()
        return UltralyticsDetector(path, size=size, device=device, half=half)

    def weights(self, model: str) -> Path:
        """The local file of a ``model:`` value, fetched where it has to be."""
        if model.startswith("pkg:"):
            return _packaged(model)
        if model.startswith("s3://"):
            return self._from_s3(model)
        path = Path(model).expanduser()
        if path.exists():
            return path
        if path.name != model:
            raise ModelError(
                f"model {model!r}: no such file; it was looked for at {path.resolve()}"
            )
        kept = self.folder / "weights" / model
        if kept.exists():
            return kept
        from mediaproc.detect.models.ultralytics import fetch

        return fetch(model, kept.parent)

    def _exported(self, path: Path, size: int) -> Path:
        from mediaproc.detect.models.ultralytics import export_onnx

        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        target = self.folder / "exports" / f"{digest}-{size}.onnx"
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            export_onnx(path, target, size)
        return target

    def _from_s3(self, model: str) -> Path:
        try:
            bucket, key = split_s3_url(model)
        except ValueError as error:
            raise ModelError(f"model {error}") from None
        client = s3_client()
        with s3_errors(ModelError, client, "fetched", bucket, key):
            tag = client.head_object(Bucket=bucket, Key=key)["ETag"].strip('"')
            target: Path = self.folder / "weights" / tag / Path(key).name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=target.parent) as folder:
                    client.download_file(bucket, key, str(Path(folder) / "model"))
                    os.replace(Path(folder) / "model", target)
        return target

    def _fix_torch_threads(self) -> None:
        import torch

        torch.set_num_threads(self.threads)


def _packaged(model: str) -> Path:
    package, _, file = model.removeprefix("pkg:").partition("/")
    spec = importlib.util.find_spec(package) if package else None
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"model {model!r}: no package {package!r} is installed")
    path = Path(spec.submodule_search_locations[0]) / file
    if not path.is_file():
        raise ModelError(f"model {model!r}: package {package!r} holds no file {file!r}")
    return path


def _best_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
