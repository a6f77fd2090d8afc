"""``plan_crops``: which sights of each track are worth a look for its best picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO
from mediaproc.detect.stages.channels import CROP_PLAN, table_serializers
from mediaproc.detect.stages.rendering.crop_scores import place_scores
from mediaproc.detect.stages.rendering.overlay_spans import of_labels
from mediaproc.detect.state import DetectState
from mediaproc.detect.tables import Tracks


def plan_crops(state: DetectState, *, config: dict[str, Any]) -> dict[str, Any]:
    """The best few sights of each track by what its boxes tell, apart from each other."""
    tracks: Tracks = of_labels(state["tracks"], config["labels"])
    boxes, times = tracks.xyxy, tracks.column("time_s")
    sides = boxes[:, 2:] - boxes[:, :2]
    large = sides.min(axis=1, initial=np.inf) >= config["min_size_px"]
    video = state["video"]
    scores = place_scores(boxes, tracks.column("confidence"), (video.width, video.height))
    frames, ids = tracks.column("frame_index"), tracks.column("track_id")
    chosen: list[int] = []
    kept: dict[int, list[float]] = {}
    for row in np.lexsort((frames, -scores)).tolist():
        others = kept.setdefault(int(ids[row]), [])
        if not large[row] or len(others) >= config["candidates"]:
            continue
        # Neighbours of a sight look like it.
        if all(abs(times[row] - other) >= config["apart_s"] for other in others):
            others.append(float(times[row]))
            chosen.append(row)
    return {"crop_plan": tracks.take(sorted(chosen))}


_SERIALIZE, _DESERIALIZE = table_serializers("crop_plan", Tracks)

FIELDS = [
    StageConfigField("labels", "list[str]", [], "Classes to cut out; empty for all."),
    StageConfigField(
        "min_size_px",
        "int",
        16,
        "Shorter side of an object, in pixels of the source, below which it is left out.",
        min=1,
    ),
    StageConfigField(
        "candidates",
        "int",
        4,
        "Sights of a track that are looked at. More may find a sharper picture, and take longer.",
        min=1,
        max=100,
    ),
    StageConfigField(
        "apart_s", "float", 0.4, "Least time between them in seconds.", min=0.0, max=3600.0
    ),
]

STAGE = StageDefinition(
    name="plan_crops",
    label="Plan crops",
    description="Works ahead of crop_objects: which sights of a track are worth a look.",
    io=StageIO(reads=["video", "tracks"], writes=["crop_plan"]),
    config_fields=FIELDS,
    category="output",
    fn=plan_crops,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    scope="video",
    channels=[CROP_PLAN],
    implies=("track_objects",),
)
