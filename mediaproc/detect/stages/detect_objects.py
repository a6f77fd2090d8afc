"""``detect_objects``: objects in each frame, by a YOLO model."""

from __future__ import annotations

import difflib
from typing import Any

from mediaproc.detect.models import Detector, ModelStore
from mediaproc.detect.models.base import Thresholds
from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO, StageNeeds
from mediaproc.detect.stages.channels import DETECTIONS, table_serializers
from mediaproc.detect.state import Detections, DetectState
from mediaproc.errors import StageError


def detect_objects(
    state: DetectState, *, config: dict[str, Any], models: ModelStore
) -> dict[str, Any]:
    """Find objects in every frame of the segment."""
    frames = state["frames"]
    detector = models.detector(
        config["model"],
        size=config["image_size"],
        exact=config["exact"],
        engine=config["engine"],
        device=config["device"],
        half=config["half"],
    )
    thresholds = Thresholds(
        confidence=config["min_confidence"],
        iou=config["iou"],
        max_detections=config["max_detections"],
        classes=_class_numbers(config["classes"], detector),
    )
    rows: list[dict[str, Any]] = []
    # Exact boxes need the source's own pixels; otherwise the decoder scales straight to the input.
    size = detector.input_size(frames.source_wh)
    for frame in frames.images(size_wh=size):
        found = detector.detect(frame.image, frames.source_wh, thresholds)
        for i, (x1, y1, x2, y2) in enumerate(found.xyxy.tolist()):
            class_id = int(found.class_id[i])
            rows.append(
                {
                    "node": "",
                    "frame_index": frame.index,
                    "pts": frame.pts,
                    "time_s": frame.time_s,
                    "label": detector.names[class_id],
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
    return {"detections": Detections.from_records(rows)}


def _class_numbers(names: list[str], detector: Detector) -> tuple[int, ...] | None:
    if not names:
        return None
    numbers = {name: number for number, name in detector.names.items()}
    for name in names:
        if name not in numbers:
            near = difflib.get_close_matches(name, numbers, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise StageError(
                f"detect_objects: the model knows no class {name!r}{hint} "
                f"It knows: {', '.join(sorted(numbers))}"
            )
    return tuple(numbers[name] for name in names)


_SERIALIZE, _DESERIALIZE = table_serializers("detections", Detections)

STAGE = StageDefinition(
    name="detect_objects",
    label="Detect objects",
    description="Finds objects in each frame with a YOLO model: boxes, outlines or poses.",
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
            "What runs the model; auto takes ONNX on a CPU and torch on a GPU.",
            options=["auto", "torch", "onnx"],
        ),
        StageConfigField("device", "str", "auto", "auto, cpu, cuda or cuda:N."),
        StageConfigField("half", "bool", False, "Half precision, on a GPU."),
    ],
    category="detection",
    fn=detect_objects,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    channels=[DETECTIONS],
    needs=StageNeeds(model_fields=("model",), licence="AGPL-3.0 (Ultralytics)"),
)
