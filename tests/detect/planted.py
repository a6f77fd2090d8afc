"""A stage that finds what a test says there is, so that what follows it can be tested by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from mediaproc.detect.stages.base import REGISTRY, StageDefinition, StageIO
from mediaproc.detect.stages.channels import DETECTIONS, table_serializers
from mediaproc.detect.tables import Detections

Box = tuple[float, float, float, float]
# From the index of a frame to (label, confidence, xyxy) of what is in it.
Truth = Callable[[int], Iterable[tuple[str, float, Box]]]


def plant(monkeypatch: pytest.MonkeyPatch, truth: Truth, *, cached: bool = False) -> None:
    """Register a stage ``planted`` for the time of a test: it reads frames, writes detections."""

    def planted(state: Any) -> dict[str, Any]:
        rows = []
        for frame, pts, time_s in zip(
            state["frames"].indexes.tolist(),
            state["frames"].pts.tolist(),
            state["frames"].time_s.tolist(),
            strict=True,
        ):
            for label, confidence, (x1, y1, x2, y2) in truth(frame):
                rows.append(
                    {
                        "node": "",
                        "frame_index": frame,
                        "pts": pts,
                        "time_s": time_s,
                        "label": label,
                        "class_id": 0,
                        "confidence": confidence,
                        "x1": x1,
                        "y1": y1,
                        "x2": x2,
                        "y2": y2,
                        "polygon": None,
                        "keypoints": None,
                    }
                )
        return {"detections": Detections.from_records(rows)}

    serialize, deserialize = table_serializers("detections", Detections)
    REGISTRY.load()
    monkeypatch.setattr(REGISTRY, "_stages", dict(REGISTRY._stages))
    REGISTRY.register(
        StageDefinition(
            "planted",
            "Planted",
            "",
            StageIO(["frames"], ["detections"]),
            fn=planted,
            serialize_fn=serialize,
            deserialize_fn=deserialize,
            cached=cached,
            channels=[DETECTIONS],
        )
    )
