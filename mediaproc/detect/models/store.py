"""Where models come from, and the ones that are loaded."""

from __future__ import annotations

import importlib.metadata
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mediaproc.detect.models.base import Detector
from mediaproc.detect.models.weights import WeightFiles
from mediaproc.errors import ModelError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from mediaproc.detect.models.classify import Classifier

T = TypeVar("T")

# What models are made for, in Ultralytics' words.
DETECTOR_TASKS = ("detect", "segment", "pose", "obb")
CLASSIFIER_TASKS = ("classify",)


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
        self._files = WeightFiles(folder)
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
        vocabulary: Sequence[str] = (),
    ) -> Detector:
        """A detector for object detection, segmentation, pose or oriented boxes.

        Args:
            model: a file, a name that Ultralytics publishes, ``s3://...`` or ``pkg:PACKAGE/FILE``.
            size: longer side of the model's input, pixels.
            exact: run Ultralytics' own preprocessing and prediction.
            engine: ``"auto"``, ``"torch"``, ``"onnx"`` or ``"openvino"``.
            device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
            half: half precision: float16 on a GPU, bfloat16 in OpenVINO.
            vocabulary: what an open-vocabulary model is to look for.

        Raises:
            ModelError: it cannot be found, fetched, exported or loaded, or is no detector.
        """
        words = tuple(vocabulary)
        key = ("detector", model, size, exact, engine, device, half, words)
        return self.shared(
            key, lambda: self._detector(model, size, exact, engine, device, half, words)
        )

    def _detector(
        self,
        model: str,
        size: int,
        exact: bool,
        engine: str,
        device: str,
        half: bool,
        vocabulary: tuple[str, ...],
    ) -> Detector:
        from mediaproc.detect.models import exported
        from mediaproc.detect.models.ultralytics import UltralyticsDetector

        path = self._files.worded(self.weights(model), vocabulary)
        is_onnx = path.suffix == ".onnx"
        engine, device = _chosen(path, exact, engine, device)
        if is_onnx and engine == "torch":
            raise ModelError(f"{path}: engine 'torch' cannot run an ONNX file; use engine 'onnx'")
        # Only a detection head is decoded here; outlines and poses are Ultralytics' to decode.
        task = self._checked(path, DETECTOR_TASKS)["task"]
        if engine != "torch" and not exact and task == "detect":
            if not is_onnx:
                path = self._files.exported(path, "onnx", size)
            header = self._files.header(path)
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
            path = self._files.exported(path, engine, size)
        self._fix_torch_threads()

        return UltralyticsDetector(path, size=size, device=device, half=half)

    def weights(self, model: str) -> Path:
        """The local file of a ``model:`` value, fetched where it has to be."""
        return self._files.find(model)

    def digest(self, path: Path) -> str:
        """SHA-256 of a file, hex; read once while size and time of change stay."""
        return self._files.digest(path)

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

    def classifier(
        self,
        model: str,
        *,
        size: int = 224,
        exact: bool = False,
        device: str = "auto",
        half: bool = False,
    ) -> Classifier:
        """A classifier of whole images.

        Args:
            model: as for ``detector``.
            size: side of the model's square input, pixels.
            exact: run Ultralytics' own preprocessing and prediction.
            device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
            half: half precision, float16 on a GPU.

        Raises:
            ModelError: it cannot be found, fetched, exported or loaded, or is no classifier.
        """
        key = ("classifier", model, size, exact, device, half)
        return self.shared(key, lambda: self._classifier(model, size, exact, device, half))

    def _classifier(
        self, model: str, size: int, exact: bool, device: str, half: bool
    ) -> Classifier:
        from mediaproc.detect.models import exported
        from mediaproc.detect.models.classify import ExportedClassifier
        from mediaproc.detect.models.ultralytics import UltralyticsClassifier

        path = self.weights(model)
        self._checked(path, CLASSIFIER_TASKS)
        engine, device = _chosen(path, exact, "auto", device)
        if exact or engine == "torch":
            self._fix_torch_threads()
            return UltralyticsClassifier(path, size=size, device=device, half=half)
        if path.suffix != ".onnx":
            path = self._files.exported(path, "onnx", size)
        header = self._files.header(path)
        run = exported.load_onnx_runtime(path, header, threads=self.threads, device=device)
        return ExportedClassifier(header, run, size=size)

    def class_names(
        self,
        model: str,
        tasks: Sequence[str] | None = None,
        *,
        vocabulary: Sequence[str] = (),
    ) -> dict[int, str]:
        """The class names of a ``model:`` value, by number.

        Only the first look at weights has to load them; what they say is kept.

        Args:
            model: as for ``detector``.
            tasks: what the model must be made for, such as ``DETECTOR_TASKS``; None for anything.
            vocabulary: what an open-vocabulary model is to look for.

        Raises:
            ModelError: it cannot be had, or is made for something else.
        """
        names: dict[int, str] = self._checked(
            self._files.worded(self.weights(model), tuple(vocabulary)), tasks
        )["names"]
        return names

    def _checked(self, path: Path, tasks: Sequence[str] | None) -> dict[str, Any]:
        """Task and class names of weights; ModelError where they are for none of ``tasks``."""
        facts = self._files.facts(path)
        if tasks is not None and facts["task"] not in tasks:
            takers = {"detect_objects": DETECTOR_TASKS, "classify_frames": CLASSIFIER_TASKS}
            taker = next((name for name, its in takers.items() if facts["task"] in its), None)
            hint = f"; the stage {taker} takes this one" if taker else ""
            raise ModelError(
                f"{path}: a model for {facts['task']!r}, where one for {' or '.join(tasks)} is "
                f"wanted{hint}"
            )
        return facts

    def _fix_torch_threads(self) -> None:
        import torch

        torch.set_num_threads(self.threads)


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
