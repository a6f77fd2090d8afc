"""Where models come from, and the ones that are loaded."""

from __future__ import annotations

import importlib.metadata
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mediaproc.detect.models.base import Detector
from mediaproc.detect.models.runtime import DEFAULT, Runtime
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
        runtime: Runtime = DEFAULT,
        *,
        size: int = 640,
        vocabulary: Sequence[str] = (),
    ) -> Detector:
        """A detector for object detection, segmentation, pose or oriented boxes.

        Args:
            model: a file, a name that Ultralytics publishes, ``s3://...`` or ``pkg:PACKAGE/FILE``.
            runtime: what runs it.
            size: longer side of the model's input, pixels.
            vocabulary: what an open-vocabulary model is to look for.

        Raises:
            ModelError: it cannot be found, fetched, exported or loaded, or is no detector.
        """
        words = tuple(vocabulary)
        key = ("detector", model, runtime, size, words)
        return self.shared(key, lambda: self._detector(model, runtime, size, words))

    def _detector(
        self, model: str, runtime: Runtime, size: int, vocabulary: tuple[str, ...]
    ) -> Detector:
        from mediaproc.detect.models import exported
        from mediaproc.detect.models.ultralytics import UltralyticsDetector

        path = self._files.worded(self.weights(model), vocabulary)
        runtime = runtime.settled(path)
        engine, is_onnx = runtime.engine, path.suffix == ".onnx"
        task = self._checked(path, DETECTOR_TASKS)["task"]
        # Only a detection head is decoded here; outlines and poses are Ultralytics' to decode.
        if engine in ("onnx", "openvino") and not runtime.exact and task == "detect":
            if not is_onnx:
                path = self._files.exported(path, "onnx", size)
            header = self._files.header(path)
            if engine == "onnx":
                run = exported.load_onnx_runtime(
                    path, header, threads=self.threads, device=runtime.device
                )
            else:
                run = exported.load_openvino(path, header, threads=self.threads, half=runtime.half)
            return exported.ExportedDetector(header, run, size=size, batch=runtime.batch)
        if is_onnx and engine == "openvino":
            raise ModelError(
                f"{path}: engine 'openvino' runs an ONNX file only as plain boxes (exact: false); "
                "give the .pt file it was exported from"
            )
        if engine == "tensorrt":
            path = self._files.engine(path, size, runtime)
        elif not is_onnx and engine != "torch":
            path = self._files.exported(path, engine, size)
        self._fix_torch_threads()
        return UltralyticsDetector(path, runtime, size=size)

    def weights(self, model: str) -> Path:
        """The local file of a ``model:`` value, fetched where it has to be."""
        return self._files.find(model)

    def digest(self, path: Path) -> str:
        """SHA-256 of a file, hex; read once while size and time of change stay."""
        return self._files.digest(path)

    def settle(self, model: str, runtime: Runtime = DEFAULT) -> Runtime:
        """What will run a model, with nothing left open; see ``Runtime.settled``.

        Raises:
            ModelError: it cannot be found or fetched, or cannot be run so.
        """
        return runtime.settled(self.weights(model))

    def identity(self, model: str, runtime: Runtime = DEFAULT) -> dict[str, Any]:
        """What the results of a model follow from besides its settings, as JSON."""
        path = self.weights(model)
        runtime = runtime.settled(path)
        packages = ["ultralytics", "torch"] if path.suffix != ".onnx" or runtime.exact else []
        packages += [runtime.engine] if runtime.engine in ("openvino", "tensorrt") else []
        return {
            "weights": self.digest(path),
            "engine": runtime.engine,
            "device": runtime.device.partition(":")[0],
            **{package: importlib.metadata.version(package) for package in packages},
        }

    def classifier(self, model: str, runtime: Runtime = DEFAULT, *, size: int = 224) -> Classifier:
        """A classifier of whole images.

        Args:
            model: as for ``detector``.
            runtime: what runs it.
            size: side of the model's square input, pixels.

        Raises:
            ModelError: it cannot be found, fetched, exported or loaded, or is no classifier.
        """
        key = ("classifier", model, runtime, size)
        return self.shared(key, lambda: self._classifier(model, runtime, size))

    def _classifier(self, model: str, runtime: Runtime, size: int) -> Classifier:
        from mediaproc.detect.models import exported
        from mediaproc.detect.models.classify import ExportedClassifier
        from mediaproc.detect.models.ultralytics import UltralyticsClassifier

        path = self.weights(model)
        self._checked(path, CLASSIFIER_TASKS)
        runtime = runtime.settled(path)
        if runtime.exact or runtime.engine == "torch":
            self._fix_torch_threads()
            return UltralyticsClassifier(path, runtime, size=size)
        if path.suffix != ".onnx":
            path = self._files.exported(path, "onnx", size)
        header = self._files.header(path)
        run = exported.load_onnx_runtime(path, header, threads=self.threads, device=runtime.device)
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
