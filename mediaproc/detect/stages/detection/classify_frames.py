"""``classify_frames``: what each frame as a whole shows, by a YOLO classifier."""

from __future__ import annotations

from typing import Any

import numpy as np

from mediaproc.detect.models import CLASSIFIER_TASKS, ModelStore
from mediaproc.detect.models.runtime import Runtime
from mediaproc.detect.stages.base import (
    StageConfigField,
    StageDefinition,
    StageIO,
    StageNeeds,
)
from mediaproc.detect.stages.channels import FRAME_LABELS, table_serializers
from mediaproc.detect.stages.detection.detect_objects import DEVICE_FIELD
from mediaproc.detect.state import DetectState
from mediaproc.detect.tables import FrameLabels


def classify_frames(
    state: DetectState, *, config: dict[str, Any], models: ModelStore
) -> dict[str, Any]:
    """Give each frame of the segment the labels that the model is surest of."""
    frames = state["frames"]
    classifier = models.classifier(
        config["model"],
        Runtime(device=config["device"], exact=config["exact"]),
        size=config["image_size"],
    )
    rows: list[dict[str, Any]] = []
    # The classifier's own transform shrinks smoothly, so that each pixel counts.
    size = classifier.input_size(frames.source_wh)
    for frame in frames.images(size_wh=size):
        confidences = classifier.classify(frame.image)
        for number in np.argsort(-confidences, kind="stable")[: config["top_k"]].tolist():
            confidence = float(confidences[number])
            if confidence < config["min_confidence"]:
                break
            rows.append(
                {
                    "node": "",
                    "frame_index": frame.index,
                    "pts": frame.pts,
                    "time_s": frame.time_s,
                    "label": classifier.names[number],
                    "class_id": number,
                    "confidence": confidence,
                }
            )
    return {"frame_labels": FrameLabels.from_records(rows)}


def prepare(*, config: dict[str, Any], models: ModelStore) -> None:
    """Fetch the weights, and see that they are a classifier's."""
    models.class_names(config["model"], CLASSIFIER_TASKS)


def identity(*, config: dict[str, Any], models: ModelStore) -> dict[str, Any]:
    """The model's content and what runs it."""
    return models.identity(config["model"], Runtime(device=config["device"], exact=config["exact"]))


_SERIALIZE, _DESERIALIZE = table_serializers("frame_labels", FrameLabels)

STAGE = StageDefinition(
    name="classify_frames",
    label="Classify frames",
    description="Labels each frame as a whole with a YOLO classifier: kinds of scene, of weather.",
    io=StageIO(reads=["frames"], writes=["frame_labels"]),
    config_fields=[
        StageConfigField(
            "model",
            "str",
            "yolo11n-cls.pt",
            "Weights: a file, a name that Ultralytics publishes, s3://... or pkg:PACKAGE/FILE.",
        ),
        StageConfigField(
            "top_k", "int", 1, "Most labels of one frame, the surest first.", min=1, max=1000
        ),
        StageConfigField(
            "min_confidence",
            "float",
            0.25,
            "Lowest confidence. Raising it drops doubtful labels, and leaves frames without any.",
            min=0.0,
            max=1.0,
        ),
        StageConfigField(
            "image_size",
            "int",
            224,
            "Side of the model's square input in pixels; of a wide frame the middle is seen.",
            min=32,
            max=2048,
        ),
        StageConfigField(
            "exact",
            "bool",
            False,
            "Use Ultralytics' own preprocessing: its very confidences, but slower.",
        ),
        DEVICE_FIELD,
    ],
    category="detection",
    fn=classify_frames,
    prepare_fn=prepare,
    identity_fn=identity,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    channels=[FRAME_LABELS],
    needs=StageNeeds(model_fields=("model",), licence="AGPL-3.0 (Ultralytics)"),
)
