"""``detect_objects``: objects in each frame, by a YOLO model."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator
from typing import Any

from mediaproc.detect.models import DETECTOR_TASKS, Detector, ModelStore
from mediaproc.detect.models.base import Found, Thresholds
from mediaproc.detect.models.boxes import suppressed
from mediaproc.detect.models.runtime import ENGINES, Runtime
from mediaproc.detect.stages.base import (
    OptionNeeds,
    StageConfigField,
    StageDefinition,
    StageIO,
    StageNeeds,
)
from mediaproc.detect.stages.channels import DETECTIONS, table_serializers
from mediaproc.detect.state import DetectState, Frame, Frames
from mediaproc.detect.tables import Detections
from mediaproc.errors import StageError


def detect_objects(
    state: DetectState, *, config: dict[str, Any], models: ModelStore
) -> dict[str, Any]:
    """Find objects in every frame of the segment."""
    detector = models.detector(
        config["model"],
        _runtime(config),
        size=config["image_size"],
        vocabulary=config["vocabulary"],
    )
    thresholds = Thresholds(
        confidence=config["min_confidence"],
        iou=config["iou"],
        max_detections=config["max_detections"],
        classes=_class_numbers(config["classes"], detector.names),
    )
    renamed = _renamed(config["rename"], detector.names)
    return {"detections": found_in(state["frames"], detector, thresholds, renamed)}


def found_in(
    frames: Frames, detector: Detector, thresholds: Thresholds, renamed: dict[int, str]
) -> Detections:
    """What a detector finds in each of the frames.

    Args:
        frames: the frames.
        detector: the model.
        thresholds: what counts as found.
        renamed: labels by class number; objects that get the same one and overlap are one.
    """
    rows: list[dict[str, Any]] = []
    for frame, found in _pairs(frames, detector, thresholds):
        labels = [renamed.get(n, detector.names[n]) for n in found.class_id.tolist()]
        for i in _distinct(found, labels, thresholds.iou) if renamed else range(len(labels)):
            x1, y1, x2, y2 = found.xyxy[i].tolist()
            class_id = int(found.class_id[i])
            rows.append(
                {
                    "node": "",
                    "frame_index": frame.index,
                    "pts": frame.pts,
                    "time_s": frame.time_s,
                    "label": labels[i],
                    "class_id": class_id,
                    "confidence": float(found.confidence[i]),
                    "x1": x1,
                    "y1": y1,
                    "x2": x2,
                    "y2": y2,
                    "polygon": found.polygons[i] if found.polygons else None,
                    "keypoints": found.keypoints[i] if found.keypoints else None,
                }
            )
    return Detections.from_records(rows)


def _pairs(
    frames: Frames, detector: Detector, thresholds: Thresholds
) -> Iterator[tuple[Frame, Found]]:
    # Exact boxes need the source's own pixels; otherwise the decoder scales to the model's input.
    size = detector.input_size(frames.source_wh)
    images = iter(frames.images(size_wh=size, resample="linear"))
    while batch := list(itertools.islice(images, detector.batch)):
        found = detector.detect([frame.image for frame in batch], frames.source_wh, thresholds)
        yield from zip(batch, found, strict=True)


def _runtime(config: dict[str, Any]) -> Runtime:
    return Runtime(
        config["engine"], config["device"], config["half"], config["batch"], config["exact"]
    )


def prepare(*, config: dict[str, Any], models: ModelStore) -> None:
    """Fetch the weights; see that they are a detector's that knows the classes, and can be run."""
    models.settle(config["model"], _runtime(config))
    names = models.class_names(config["model"], DETECTOR_TASKS, vocabulary=config["vocabulary"])
    if config["classes"]:
        _class_numbers(config["classes"], names)
    _renamed(config["rename"], names)


def identity(*, config: dict[str, Any], models: ModelStore) -> dict[str, Any]:
    """The model's content and what runs it."""
    return models.identity(config["model"], _runtime(config))


def _class_numbers(names: list[str], known: dict[int, str]) -> tuple[int, ...] | None:
    if not names:
        return None
    return tuple(_class_number(name, known) for name in names)


def _renamed(settings: list[str], known: dict[int, str]) -> dict[int, str]:
    """The labels of ``rename``, by class number."""
    renamed = {}
    for setting in settings:
        name, equals, label = (part.strip() for part in setting.partition("="))
        if not (name and equals and label):
            raise StageError(f"detect_objects: rename: {setting!r} is not of the form CLASS=LABEL")
        renamed[_class_number(name, known)] = label
    return renamed


def _distinct(found: Found, labels: list[str], iou: float) -> list[int]:
    """Positions of the objects that stay where classes become one: the best of each overlap."""
    kept: list[int] = []
    for label in dict.fromkeys(labels):
        mine = [i for i, other in enumerate(labels) if other == label]
        kept += [mine[i] for i in suppressed(found.xyxy[mine], iou).tolist()]
    return sorted(kept)


def _class_number(name: str, known: dict[int, str]) -> int:
    numbers = {other: number for number, other in known.items()}
    if name not in numbers:
        near = difflib.get_close_matches(name, numbers, 1)
        hint = f", did you mean {near[0]!r}" if near else ""
        raise StageError(
            f"detect_objects: the model knows no class {name!r}{hint}; "
            f"it knows {', '.join(sorted(numbers))}"
        )
    return numbers[name]


DEVICE_FIELD = StageConfigField(
    "device",
    "str",
    "auto",
    "Where the model runs; auto takes a GPU where torch finds one.",
    options=["auto", "cpu", "cuda", *(f"cuda:{number}" for number in range(16))],
)

_SERIALIZE, _DESERIALIZE = table_serializers("detections", Detections)

STAGE = StageDefinition(
    name="detect_objects",
    label="Detect objects",
    description="Finds objects in each frame with a YOLO model: boxes, turned boxes, outlines or "
    "poses.",
    io=StageIO(reads=["frames"], writes=["detections"]),
    config_fields=[
        StageConfigField(
            "model",
            "str",
            "yolo11n.pt",
            "Weights: a file, a name that Ultralytics publishes, s3://... or pkg:PACKAGE/FILE.",
        ),
        StageConfigField("classes", "list[str]", [], "Class names to look for; empty for all."),
        StageConfigField(
            "vocabulary",
            "list[str]",
            [],
            "With an open-vocabulary model (YOLO-World, YOLOE), what to look for in plain words.",
        ),
        StageConfigField(
            "rename",
            "list[str]",
            [],
            "Labels of your own, as CLASS=LABEL; classes of one label count as one.",
        ),
        StageConfigField(
            "min_confidence",
            "float",
            0.25,
            "Lowest confidence. Raising it drops doubtful objects, lowering it finds more.",
            min=0.0,
            max=1.0,
        ),
        StageConfigField(
            "iou",
            "float",
            0.7,
            "Two boxes of a class that overlap by more are one object. Raising it keeps more.",
            min=0.0,
            max=1.0,
        ),
        StageConfigField(
            "image_size",
            "int",
            640,
            "Longer side of the model's input in pixels. More finds smaller objects, slower.",
            min=32,
            max=4096,
        ),
        StageConfigField(
            "max_detections", "int", 300, "Most objects in one frame.", min=1, max=10000
        ),
        StageConfigField(
            "exact",
            "bool",
            False,
            "Use Ultralytics' own preprocessing: its very boxes, but slower.",
        ),
        StageConfigField(
            "engine",
            "str",
            "auto",
            "What runs the model; auto takes ONNX Runtime on a CPU and torch on a GPU. openvino "
            "needs mediaproc[openvino], tensorrt mediaproc[tensorrt] and an NVIDIA GPU.",
            options=list(ENGINES),
        ),
        DEVICE_FIELD,
        StageConfigField(
            "half",
            "bool",
            False,
            "Half precision: float16 on a GPU, bfloat16 with openvino. Faster, less exact.",
        ),
        StageConfigField(
            "batch",
            "int",
            8,
            "Frames in one call on a GPU; more is faster until its memory is full. On a CPU each "
            "frame is a call of its own.",
            min=1,
            max=256,
        ),
    ],
    category="detection",
    fn=detect_objects,
    prepare_fn=prepare,
    identity_fn=identity,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    channels=[DETECTIONS],
    needs=StageNeeds(
        options=(
            OptionNeeds("engine", "openvino", "openvino", ("openvino",)),
            OptionNeeds("engine", "tensorrt", "tensorrt", ("tensorrt",)),
        ),
        model_fields=("model",),
        licence="AGPL-3.0 (Ultralytics)",
    ),
)
