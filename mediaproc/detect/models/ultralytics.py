"""The one file that imports Ultralytics (AGPL-3.0): its own prediction, and exports."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.detect.models.base import Found, Thresholds
from mediaproc.detect.models.runtime import DEFAULT, Runtime
from mediaproc.errors import ModelError
from mediaproc.timing import timed

# Ultralytics keeps state in its predictors and settings; one call at a time.
_LOCK = threading.RLock()


def _ultralytics() -> Any:
    # Read once, when the package is first imported: no installing of packages, no call home.
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("YOLO_VERBOSE", "false")
    import ultralytics

    return ultralytics


def fetch(name: str, folder: Path) -> Path:
    """Download the weights that Ultralytics publishes under ``name`` into ``folder``."""
    _ultralytics()
    from ultralytics.utils.downloads import attempt_download_asset

    folder.mkdir(parents=True, exist_ok=True)
    target = folder / name
    try:
        with _LOCK:
            attempt_download_asset(str(target))
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"model {name!r} cannot be fetched from Ultralytics ({reason}); put the file at "
            f"{target}, or set the stage's model: to a file, s3://... or pkg:PACKAGE/FILE"
        ) from error
    if not target.exists():
        raise ModelError(
            f"model {name!r} is not among the weights that Ultralytics publishes; put the file at "
            f"{target}, or set the stage's model: to a file, s3://... or pkg:PACKAGE/FILE"
        )
    return target


def facts_of(path: Path) -> dict[str, Any]:
    """The task (detect, segment, pose, classify, obb) and the class names of a ``.pt`` file."""
    with _LOCK:
        model = _load(path)
        return {"task": str(model.task), "names": {int(k): str(v) for k, v in model.names.items()}}


def with_vocabulary(path: Path, words: Sequence[str], target: Path) -> None:
    """Weights of an open-vocabulary model that look for ``words``; they need no text encoder.

    Args:
        path: weights of YOLO-World or YOLOE, ``.pt``.
        words: what to look for, in plain words.
        target: the ``.pt`` file to make; it appears whole or not at all.

    Raises:
        ModelError: the model has a fixed set of classes, or its text encoder cannot be had.
    """
    with _LOCK, tempfile.TemporaryDirectory(dir=target.parent) as folder:
        model = _load(path)
        if not hasattr(model, "set_classes") or not hasattr(model.model, "get_text_pe"):
            raise ModelError(
                f"{path}: vocabulary: works for open-vocabulary models only (YOLO-World, YOLOE), "
                "and this one has classes of its own; choose among them with classes:"
            )
        try:
            model.set_classes(list(words))
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ModelError(
                f"{path}: vocabulary: needs the model's text encoder ({reason}): run pip install "
                "git+https://github.com/ultralytics/CLIP.git; its weights are fetched on first use"
            ) from error
        made = Path(folder) / target.name
        model.save(str(made))
        os.replace(made, target)


def export(path: Path, target: Path, engine: str, size: int, runtime: Runtime = DEFAULT) -> None:
    """Export ``.pt`` weights for an engine; ``target`` appears whole or not at all.

    Args:
        path: the weights.
        target: the file (``"onnx"``, of a free input size) or folder (``"openvino"``) to make.
        engine: ``"onnx"``, ``"openvino"`` or ``"tensorrt"``.
        size: ``imgsz`` of the export, pixels.
        runtime: of ``"tensorrt"``, whose engines are built for a device, precision and batch.
    """
    settings: dict[str, Any] = {"format": engine, "imgsz": size, "dynamic": True, "device": "cpu"}
    if engine == "onnx":
        settings |= {"simplify": False, "opset": 17}
    if engine == "tensorrt":
        settings |= {"format": "engine", "half": runtime.half, "batch": runtime.batch}
        settings["device"] = runtime.device
    with _LOCK, tempfile.TemporaryDirectory(dir=target.parent) as folder:
        copy = Path(folder) / "model.pt"
        shutil.copyfile(path, copy)
        try:
            made = _load(copy).export(**settings)
        except Exception as error:
            raise ModelError(f"{path}: cannot be exported for {engine}: {error}") from error
        os.replace(made, target)


class UltralyticsDetector:
    """A model run by Ultralytics itself, so that its boxes are Ultralytics' boxes.

    Args:
        path: the weights, ``.pt`` or an export.
        runtime: what runs it, settled.
        size: ``imgsz`` of its ``predict``.
    """

    def __init__(self, path: Path, runtime: Runtime, *, size: int) -> None:
        with _LOCK:
            self._model = _load(path)
            self._settings = _settings(runtime, size)
            # The names of an export are known only once its backend has loaded.
            names = self._model.names
            self.names = {int(k): str(v) for k, v in names.items()}
        self.task = str(self._model.task)
        self.batch = runtime.batch

    def input_size(self, source_wh: tuple[int, int]) -> tuple[int, int] | None:
        """The source's own size: Ultralytics scales by itself."""
        return None

    def detect(
        self,
        images: Sequence[npt.NDArray[np.uint8]],
        source_wh: tuple[int, int],
        thresholds: Thresholds,
    ) -> list[Found]:
        """What ``predict`` finds in images, shape (H, W, 3), uint8, BGR."""
        with timed("inference"), _LOCK:
            results = self._model.predict(
                list(images),
                conf=thresholds.confidence,
                iou=thresholds.iou,
                max_det=thresholds.max_detections,
                classes=None if thresholds.classes is None else list(thresholds.classes),
                save=False,
                **self._settings,
            )
        return [
            self._found(result, image.shape, source_wh)
            for result, image in zip(results, images, strict=True)
        ]

    def _found(self, result: Any, shape: tuple[int, ...], source_wh: tuple[int, int]) -> Found:
        height, width = shape[:2]
        scale = np.array([source_wh[0] / width, source_wh[1] / height])
        boxes = result.boxes if result.obb is None else result.obb
        polygons, keypoints = [], []
        xyxy = boxes.xyxy.cpu().numpy().astype(np.float64) * np.tile(scale, 2)
        if result.obb is not None:
            # The corners of a turned box; the upright one around it stays within the frame.
            corners = boxes.xyxyxyxy.cpu().numpy().astype(np.float64)
            polygons = (corners * scale).tolist()
            xyxy = xyxy.clip(0, np.tile(source_wh, 2))
        if result.masks is not None:
            polygons = [(outline * scale).tolist() for outline in result.masks.xy]
        if result.keypoints is not None:
            for points in result.keypoints.data.cpu().numpy().astype(np.float64):
                points[:, :2] *= scale
                keypoints.append(points.tolist())
        return Found(
            xyxy,
            boxes.conf.cpu().numpy().astype(np.float64),
            boxes.cls.cpu().numpy().astype(np.int64),
            polygons,
            keypoints,
        )


class UltralyticsClassifier:
    """A classifier run by Ultralytics itself, so that its confidences are Ultralytics' own.

    Args:
        path: the weights, ``.pt`` or an export.
        runtime: what runs it, settled.
        size: ``imgsz`` of its ``predict``.
    """

    def __init__(self, path: Path, runtime: Runtime, *, size: int) -> None:
        with _LOCK:
            self._model = _load(path)
            self._settings = _settings(runtime, size)
            self.names = {int(k): str(v) for k, v in self._model.names.items()}

    def input_size(self, source_wh: tuple[int, int]) -> tuple[int, int] | None:
        """The source's own size: Ultralytics scales by itself."""
        return None

    def classify(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        """What ``predict`` says of an image, shape (H, W, 3), uint8, BGR."""
        with timed("inference"), _LOCK:
            result = self._model.predict(image, save=False, **self._settings)[0]
        confidences: npt.NDArray[np.float64] = result.probs.data.cpu().numpy().astype(np.float64)
        return confidences


def _settings(runtime: Runtime, size: int) -> dict[str, Any]:
    return {
        "imgsz": size,
        "device": runtime.device,
        "half": runtime.half,
        "batch": runtime.batch,
        "verbose": False,
    }


def _load(path: Path) -> Any:
    try:
        return _ultralytics().YOLO(str(path), verbose=False)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{path}: Ultralytics cannot load it: {reason}") from error
