"""``plan_redaction``: what ``redact`` hides, in every frame of the video.

To hide too much is the lesser harm: what was seen once is hidden around that moment, and where a
stage failed, so that nothing is known of who is on screen, the whole picture is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mediaproc.detect.products import Overlays
from mediaproc.detect.stages.base import REGISTRY, StageConfigField, StageDefinition, StageIO
from mediaproc.detect.stages.channels import OVERLAYS, table_serializers
from mediaproc.detect.stages.rendering.overlay_spans import (
    Sights,
    Timeline,
    beyond,
    fixed,
    follow,
    grown,
    of_labels,
    overlays,
    untracked,
)
from mediaproc.detect.state import DetectState, VideoSource

# A failure of a stage that writes one of these leaves frames of which nothing is known.
_RELIED_ON = {"frames", "detections", "tracks"}


def plan_redaction(
    state: DetectState, *, config: dict[str, Any], media: VideoSource
) -> dict[str, Any]:
    """Follow what is to be hidden from frame to frame."""
    timeline = Timeline(media)
    style = {"kind": config["method"], "detail": config["detail"]}
    tracks = of_labels(state["tracks"], config["labels"])
    sights = Sights.of(tracks, margin=config["margin"])
    places = [follow(sights), *beyond(sights, timeline, config["extend_s"])]
    if "detections" in state:
        lone = untracked(of_labels(state["detections"], config["labels"]), tracks)
        frames = lone.column("frame_index")
        start = timeline.before(frames, config["extend_s"])
        end = timeline.after(frames, config["extend_s"])
        places.append(fixed(start, end, grown(lone.xyxy, config["margin"])))
    found = [overlays(each, **style) for each in places]
    found.append(_unknown(state, timeline, style))
    return {"overlays": Overlays.concat(found)}


def _unknown(state: DetectState, timeline: Timeline, style: dict[str, Any]) -> Overlays:
    """The whole picture, where a stage failed that would have told what is in it."""
    spans = [
        timeline.between(failure["start_s"], failure["end_s"])
        for failure in state.get("failures", [])
        if _RELIED_ON & {*REGISTRY.get(failure["stage"]).io.writes}
    ]
    video = state["video"]
    boxes = np.tile(np.array([0.0, 0.0, video.width, video.height]), (len(spans), 1))
    bounds = np.array(spans, dtype=np.int64).reshape(-1, 2)
    return overlays(fixed(bounds[:, 0], bounds[:, 1], boxes), **style)


_SERIALIZE, _DESERIALIZE = table_serializers("overlays", Overlays)

FIELDS = [
    StageConfigField(
        "method",
        "str",
        "pixelate",
        "How it is hidden. fill paints it black: the others leave a hint of what was there.",
        options=["pixelate", "blur", "fill"],
    ),
    StageConfigField("labels", "list[str]", [], "Classes to hide; empty for all that are found."),
    StageConfigField(
        "margin",
        "float",
        0.2,
        "Share of a box's width and height by which more is hidden on each side.",
        min=0.0,
        max=2.0,
    ),
    StageConfigField(
        "extend_s",
        "float",
        0.5,
        "Seconds before the first and after the last sight in which it is hidden too. At least "
        "the time between two sampled frames, since nothing tells when in it something came.",
        min=0.0,
        max=60.0,
    ),
    StageConfigField(
        "detail",
        "int",
        8,
        "Cells that are left across the longer side where it is pixelated or blurred. Fewer hide "
        "more.",
        min=1,
        max=64,
    ),
]

STAGE = StageDefinition(
    name="plan_redaction",
    label="Plan redaction",
    description="Works ahead of redact: what is hidden in which frame, between sights too.",
    io=StageIO(
        reads=["tracks"],
        writes=["overlays"],
        optional_reads=["detections"],
        merges=["tracks", "detections"],
    ),
    config_fields=FIELDS,
    category="output",
    fn=plan_redaction,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    scope="video",
    channels=[OVERLAYS],
    implies=("track_objects",),
)
