"""``detect_faces``: faces in each frame, by any YOLO model that has classes of faces."""

from __future__ import annotations

from typing import Any

from mediaproc.detect.models import DETECTOR_TASKS, ModelStore
from mediaproc.detect.models.base import Thresholds
from mediaproc.detect.models.runtime import Runtime
from mediaproc.detect.stages.base import (
    StageConfigField,
    StageDefinition,
    StageIO,
    StageNeeds,
)
from mediaproc.detect.stages.channels import DETECTIONS, table_serializers
from mediaproc.detect.stages.detection.detect_objects import DEVICE_FIELD, found_in
from mediaproc.detect.state import DetectState
from mediaproc.detect.tables import Detections
from mediaproc.errors import StageError

_LABEL = "face"
# Two boxes of faces that overlap by more are one: a face hides the one behind it.
_IOU = 0.5
_MOST_FACES = 300


def detect_faces(
    state: DetectState, *, config: dict[str, Any], models: ModelStore
) -> dict[str, Any]:
    """Find faces in every frame of the segment."""
    runtime = Runtime(device=config["device"])
    detector = models.detector(config["model"], runtime, size=config["image_size"])
    classes = _face_classes(config["model"], detector.names)
    thresholds = Thresholds(
        confidence=config["min_confidence"], iou=_IOU, max_detections=_MOST_FACES, classes=classes
    )
    found = found_in(state["frames"], detector, thresholds, dict.fromkeys(classes, _LABEL))
    boxes = found.xyxy
    large = (boxes[:, 3] - boxes[:, 1]) >= config["min_height"]
    return {"detections": found.take(large.nonzero()[0])}


def prepare(*, config: dict[str, Any], models: ModelStore) -> None:
    """Fetch the weights, and see that they know faces."""
    _face_classes(config["model"], models.class_names(config["model"], DETECTOR_TASKS))


def identity(*, config: dict[str, Any], models: ModelStore) -> dict[str, Any]:
    """The model's content and what runs it."""
    return models.identity(config["model"], Runtime(device=config["device"]))


def _face_classes(model: str, names: dict[int, str]) -> tuple[int, ...]:
    classes = tuple(number for number, name in names.items() if _LABEL in name.lower())
    if not classes:
        known = ", ".join(sorted(names.values()))
        raise StageError(
            f"detect_faces: model {model!r} has no class with 'face' in its name, it has {known}; "
            "give a model of faces, or name the class in the stage detect_objects"
        )
    return classes


_SERIALIZE, _DESERIALIZE = table_serializers("detections", Detections)

STAGE = StageDefinition(
    name="detect_faces",
    label="Detect faces",
    description="Finds faces in each frame, all under the label face; whose they are stays open.",
    io=StageIO(reads=["frames"], writes=["detections"]),
    config_fields=[
        StageConfigField(
            "model",
            "str",
            "pkg:nudenet/320n.onnx",
            "Weights with a class of faces: a file, s3://... or pkg:PACKAGE/FILE.",
        ),
        StageConfigField(
            "min_confidence",
            "float",
            0.25,
            "Lowest confidence. Raising it drops doubtful faces, lowering it finds more.",
            min=0.0,
            max=1.0,
        ),
        StageConfigField(
            "min_height",
            "float",
            0.0,
            "Least height of a face in pixels. Raising it drops distant faces.",
            min=0.0,
        ),
        StageConfigField(
            "image_size",
            "int",
            640,
            "Longer side of the model's input in pixels. More finds smaller faces, slower.",
            min=32,
            max=4096,
        ),
        DEVICE_FIELD,
    ],
    category="detection",
    fn=detect_faces,
    prepare_fn=prepare,
    identity_fn=identity,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    channels=[DETECTIONS],
    needs=StageNeeds(model_fields=("model",), licence="AGPL-3.0 (Ultralytics)"),
)
