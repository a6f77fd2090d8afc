"""``plan_overlays``: what ``render_video`` draws, over every frame of the video."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mediaproc.detect.products import Overlays
from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO
from mediaproc.detect.stages.channels import OVERLAYS, table_serializers
from mediaproc.detect.stages.rendering.overlay_spans import (
    Ints,
    Sights,
    Timeline,
    fixed,
    follow,
    of_labels,
    overlays,
    sampled_after,
    untracked,
)
from mediaproc.detect.state import DetectState, VideoSource
from mediaproc.detect.tables import Detections, Events, Texts, Totals, Tracks

# Colours that people with any kind of colour vision tell apart (Okabe and Ito, 2008,
# https://jfly.uni-koeln.de/color/), without black.
_PALETTE = np.array(
    [0xE69F00, 0x56B4E9, 0x009E73, 0xF0E442, 0x0072B2, 0xD55E00, 0xCC79A7], dtype=np.int64
)
_TEXT_COLOUR, _ZONE_COLOUR, _EVENT_COLOUR = 0xF5F5F5, 0x00C8C8, 0xD00000
_LONGEST_TEXT = 60
SHOWN = ("tracks", "detections", "texts", "zones", "events")


def plan_overlays(
    state: DetectState, *, config: dict[str, Any], media: VideoSource
) -> dict[str, Any]:
    """Lay out what was found over the whole video."""
    timeline = Timeline(media)
    shown, found = set(config["show"]), [Overlays.empty()]
    if "zones" in shown and "totals" in state:
        found.append(_zones(state["totals"], timeline))
    if "texts" in shown and "texts" in state:
        found.append(_texts(state["texts"], state, timeline, config))
    tracks = of_labels(state.get("tracks", Tracks.empty()), config["labels"])
    if "detections" in shown and "detections" in state:
        detections = of_labels(state["detections"], config["labels"])
        # Those of a track are drawn with it, also between the sampled frames.
        rest = untracked(detections, tracks) if "tracks" in shown else detections
        found.append(_detections(rest, state, timeline, config))
    if "tracks" in shown:
        found.append(_tracks(tracks, state, timeline, config))
    if "events" in shown and "events" in state:
        found.append(_events(state["events"], config))
    return {"overlays": Overlays.concat(found)}


def _tracks(
    tracks: Tracks, state: DetectState, timeline: Timeline, config: dict[str, Any]
) -> Overlays:
    sights = Sights.of(tracks)
    places = follow(sights, lambda frames: _held(frames, state, timeline, config))
    labels, ids = tracks.column("label"), tracks.column("track_id")
    by_track = config["colours"] == "track"
    colours = (_PALETTE[ids % len(_PALETTE)] if by_track else _by_label(labels))[sights.rows]
    names = [f"{labels[i]} {ids[i]}" for i in sights.rows.tolist()]
    return overlays(places, "box", labels=names, colours=colours)


def _detections(
    rows: Detections, state: DetectState, timeline: Timeline, config: dict[str, Any]
) -> Overlays:
    frames = rows.column("frame_index")
    places = fixed(frames, _held(frames, state, timeline, config), rows.xyxy)
    names = [
        f"{label} {confidence:.2f}"
        for label, confidence in zip(
            rows.column("label"), rows.column("confidence").tolist(), strict=True
        )
    ]
    return overlays(places, "box", labels=names, colours=_by_label(rows.column("label")))


def _texts(rows: Texts, state: DetectState, timeline: Timeline, config: dict[str, Any]) -> Overlays:
    boxes = np.stack([rows.column(side) for side in ("x1", "y1", "x2", "y2")], axis=1)
    frames = rows.column("frame_index")
    places = fixed(frames, _held(frames, state, timeline, config), boxes)
    return overlays(
        places,
        "outline",
        labels=[_short(text) for text in rows.column("text")],
        colours=np.full(len(rows), _TEXT_COLOUR, dtype=np.int64),
        points=rows.column("quad"),
    )


def _zones(totals: Totals, timeline: Timeline) -> Overlays:
    """The lines and areas that something was counted at: totals that tell their corners."""
    shapes = [row for row in totals.records() if row["values"].get("points")]
    corners = [np.array(row["values"]["points"], dtype=np.float64) for row in shapes]
    boxes = np.array([[*points.min(axis=0), *points.max(axis=0)] for points in corners]).reshape(
        -1, 4
    )
    start, end = np.zeros(len(shapes), dtype=np.int64), np.full(len(shapes), len(timeline))
    return overlays(
        fixed(start, end, boxes),
        "outline",
        labels=[row["label"] for row in shapes],
        colours=np.full(len(shapes), _ZONE_COLOUR, dtype=np.int64),
        points=[points.tolist() for points in corners],
    )


def _held(frames: Ints, state: DetectState, timeline: Timeline, config: dict[str, Any]) -> Ints:
    """Up to which frame a sight stays: the next one that was looked at, or for ``hold_s``."""
    after = sampled_after(state.get("frames"), timeline, frames)
    return np.minimum(after, timeline.after(frames, config["hold_s"]))


def _events(events: Events, config: dict[str, Any]) -> Overlays:
    kinds = set(config["events"])
    rows = events.take([i for i, kind in enumerate(events.column("kind")) if kind in kinds])
    start, end = rows.column("start_frame"), rows.column("end_frame")
    places = fixed(start, end, np.zeros((len(rows), 4)))
    names = [
        _short(f"{kind}: {label}")
        for kind, label in zip(rows.column("kind"), rows.column("label"), strict=True)
    ]
    colours = np.full(len(rows), _EVENT_COLOUR, dtype=np.int64)
    return overlays(places, "banner", labels=names, colours=colours)


def _by_label(labels: Sequence[str]) -> Ints:
    """A colour for each label, the same wherever it comes again in this video."""
    numbers = {label: number for number, label in enumerate(sorted(set(labels)))}
    positions = np.array([numbers[label] for label in labels], dtype=np.int64)
    colours: Ints = _PALETTE[positions % len(_PALETTE)]
    return colours


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"


_SERIALIZE, _DESERIALIZE = table_serializers("overlays", Overlays)

FIELDS = [
    StageConfigField(
        "show",
        "list[str]",
        list(SHOWN),
        "What is drawn, of what the profile's stages find.",
        options=list(SHOWN),
    ),
    StageConfigField("labels", "list[str]", [], "Classes that get a box; empty for all."),
    StageConfigField(
        "colours",
        "str",
        "track",
        "Whether each track has a colour or each class.",
        options=["track", "class"],
    ),
    StageConfigField("events", "list[str]", ["flag"], "Kinds of events that are named at the top."),
    StageConfigField(
        "hold_s",
        "float",
        1.0,
        "Longest time in seconds that a detection or text stays drawn when no later frame was "
        "looked at.",
        min=0.0,
        max=60.0,
    ),
]

STAGE = StageDefinition(
    name="plan_overlays",
    label="Plan overlays",
    description="Works ahead of render_video: what is drawn over which frame, between sights too.",
    io=StageIO(
        reads=["video"],
        writes=["overlays"],
        optional_reads=["frames", "detections", "tracks", "texts", "totals", "events"],
        merges=["frames", "detections", "tracks", "texts", "totals", "events"],
    ),
    config_fields=FIELDS,
    category="output",
    fn=plan_overlays,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    scope="video",
    channels=[OVERLAYS],
)
