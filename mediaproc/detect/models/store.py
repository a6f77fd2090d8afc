"""Where models come from, and the ones that are loaded."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mediaproc.detect.models.base import Detector
from mediaproc.errors import ModelError
from mediaproc.s3 import s3_client, s3_errors, split_s3_url

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

T = TypeVar("T")


class ModelStore:
    """Loaded models: one per content, engine and device, shared by all segments.

    Args:
        folder: where fetched and exported weights are kept.
        threads: threads of one call on the CPU. A fixed number, since results depend on it.
        chat_models: LangChain chat models that the application hands in, by name.
    """

    def __init__(
        self,
        folder: Path,
        *,
        threads: int = 1,
        chat_models: Mapping[str, BaseChatModel] | None = None,
    ) -> None:
        self.folder = folder
        self.threads = threads
        self.chat_models = dict(chat_models or {})
        self._loaded: dict[Any, Any] = {}
        self._digests: dict[Any, str] = {}
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
            engine: ``"auto"``, ``"torch"``, ``"onnx"`` or ``"openvino"``.
            device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
            half: half precision: float16 on a GPU, bfloat16 in OpenVINO.

        Raises:
            ModelError: it cannot be found, fetched, exported or loaded.
        """
        key = ("detector", model, size, exact, engine, device, half)
        return self.shared(key, lambda: self._detector(model, size, exact, engine, device, half))

    def _detector(
        self, model: str, size: int, exact: bool, engine: str, device: str, half: bool
    ) -> Detector:
        from mediaproc.detect.models import exported

        path = self.weights(model)
        is_onnx = path.suffix == ".onnx"
        engine, device = _chosen(path, exact, engine, device)
        if is_onnx and engine == "torch":
            raise ModelError(f"{path}: engine 'torch' cannot run an ONNX file; use engine 'onnx'")
        # Only a detection head is decoded here; outlines and poses are Ultralytics' to decode.
        if engine != "torch" and not exact and self._about(path)["task"] == "detect":
            if not is_onnx:
                path = self._exported(path, "onnx", size)
            header = exported.Header.from_json(self._about(path))
            if engine == "onnx":
                run = exported.load_onnx_runtime(path, header, threads=self.threads, device=device)
            else:
                run = exported.load_openvino(
                    path, header, threads=self.threads, device=device, half=half
                )
            return exported.ExportedDetector(header, run, size=size)
        if is_onnx and engine == "openvino":
            raise ModelError(
                f"{path}: engine 'openvino' runs an ONNX file only as plain boxes (exact: false); "
                "give the .pt file it was exported from"
            )
        if not is_onnx and engine != "torch":
            path = self._exported(path, engine, size)
        self._fix_torch_threads()
        from mediaproc.detect.models.ultralytics import UltralyticsDetector

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

    def identity(
        self, model: str, *, exact: bool = False, engine: str = "auto", device: str = "auto"
    ) -> dict[str, Any]:
        """What the boxes of a ``detector`` follow from besides its size and precision, as JSON."""
        path = self.weights(model)
        engine, device = _chosen(path, exact, engine, device)
        packages = ["ultralytics", "torch"] if path.suffix != ".onnx" or exact else []
        packages += ["openvino"] if engine == "openvino" else []
        return {
            "weights": self.digest(path),
            "engine": engine,
            "device": device.partition(":")[0],
            **{package: importlib.metadata.version(package) for package in packages},
        }

    def class_names(self, model: str) -> dict[int, str]:
        """The class names of a ``model:`` value, by number."""
        names = self._about(self.weights(model))["names"]
        return {int(number): name for number, name in names.items()}

    def _about(self, path: Path) -> dict[str, Any]:
        """What a model file says of itself: ``names``, ``task``, and of ONNX the whole header.

        Only the first look has to load the file, and what reads it; what it says is kept.
        """
        kept = self.folder / "about" / f"{self.digest(path)}.json"
        if not kept.exists():
            from mediaproc.detect.models import exported, ultralytics

            onnx = path.suffix == ".onnx"
            said = exported.Header.read(path).to_json() if onnx else ultralytics.about(path)
            kept.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
                written = Path(folder) / "about.json"
                written.write_text(json.dumps(said))
                os.replace(written, kept)
        about: dict[str, Any] = json.loads(kept.read_text())
        return about

    def digest(self, path: Path) -> str:
        """SHA-256 of a file, hex; read once while size and time of change stay."""
        stat = path.stat()
        key = (str(path), stat.st_size, stat.st_mtime_ns)
        with self._lock:
            if key not in self._digests:
                with path.open("rb") as file:
                    self._digests[key] = hashlib.file_digest(file, "sha256").hexdigest()
            return self._digests[key]

    def _exported(self, path: Path, engine: str, size: int) -> Path:
        """The model in the engine's own format, exported once per content and size."""
        from mediaproc.detect.models.ultralytics import export

        # Ultralytics knows an OpenVINO export by the ending of its folder.
        ending = ".onnx" if engine == "onnx" else "_openvino_model"
        target = self.folder / "exports" / f"{self.digest(path)}-{size}{ending}"
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            export(path, target, engine, size)
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


def _chosen(path: Path, exact: bool, engine: str, device: str) -> tuple[str, str]:
    """Engine and device where the profile leaves them to us."""
    device = _best_device() if device == "auto" else device
    if engine == "auto":
        engine = "onnx" if path.suffix == ".onnx" or (not exact and device == "cpu") else "torch"
    return engine, device


def _best_device() -> str:
    # Loading torch takes seconds; without NVIDIA's driver there is nothing to ask it.
    if sys.platform == "linux" and not Path("/dev/nvidiactl").exists():
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
