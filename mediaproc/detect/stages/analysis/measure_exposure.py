"""``measure_exposure``: how long, how large and how prominently a brand or class is on screen.

What is seen in a sampled frame is taken to be there until the next one that was looked at, so that
the time on screen is right within one sampled interval.

The prominence of a sight, 0..1, is ``confidence * size * (1 + centrality) / 2``:

* ``size`` is the square root of the share of the frame, relative to ``full_share`` and at most 1:
  what is seen as twice as large is twice as wide;
* ``centrality`` is 1 in the middle of the frame and falls with the distance to 0 in its corners;
* ``confidence`` is that of the sight; of a match, its score times the confidence of the line.

A frame with several sights of one label has the prominence of the foremost, and the share of the
frame that their boxes cover together. Means are over time, and gaps that were bridged do not count.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mediaproc.detect.stages.analysis.sampled_time import SampledTime, Sight, Stretch
from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO
from mediaproc.detect.stages.channels import EXPOSURE, TOTALS, tables_serializers
from mediaproc.detect.state import DetectState, Video
from mediaproc.detect.tables import Exposure, Totals

_SOURCES = ("matches", "tracks", "detections")
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a label in one frame.

    Attributes:
        confidence: highest of the sights, 0..1.
        share: of the frame that the boxes cover, 0..1.
        prominence: of the foremost sight, 0..1.
    """

    confidence: float
    share: float
    prominence: float


def measure_exposure(state: DetectState, *, config: dict[str, Any]) -> dict[str, Any]:
    """Measure every label over the whole video."""
    time, video = SampledTime.of(state), state["video"]
    cuts = []
    if config["split_at_cuts"]:
        cuts = [(r["start_frame"], r["start_s"]) for r in state["shots"].records() if r["shot"]]
    looked_at_s = sum(span.end_s - span.start_s for span in time.spans)
    rows: list[dict[str, Any]] = []
    totals: list[dict[str, Any]] = []
    for label, sights in sorted(_by_label(state, config).items()):
        frames = [
            Sight(frame, found[0]["pts"], found[0]["time_s"], _seen(found, video, config))
            for frame, found in sorted(sights.items())
        ]
        mine = [
            _row(label, stretch)
            for stretch in time.stretches(frames, config["max_gap_s"], cuts)
            if stretch.lasts(config["min_s"])
        ]
        if mine:
            rows += mine
            totals.append(_total(label, mine, looked_at_s))
    rows.sort(key=lambda row: (row["pts"], row["label"]))
    return {"exposure": Exposure.from_records(rows), "totals": Totals.from_records(totals)}


def check(config: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """Something has to be measured."""
    if not config["of"]:
        yield "of", f"name at least one of {', '.join(_SOURCES)}"


def uses(config: dict[str, Any]) -> dict[str, bool]:
    """What is measured must be there; shots are read where they end stretches."""
    return {"shots": config["split_at_cuts"], **{name: name in config["of"] for name in _SOURCES}}


def _by_label(
    state: DetectState, config: dict[str, Any]
) -> dict[str, dict[int, list[dict[str, Any]]]]:
    """The sights of each label by frame, from everything that is measured."""
    wanted = set(config["labels"])
    found: dict[str, dict[int, list[dict[str, Any]]]] = {}
    for row in _sights(state, config):
        if (not wanted or row["label"] in wanted) and row["sure"] >= config["min_confidence"]:
            found.setdefault(row["label"], {}).setdefault(row["frame_index"], []).append(row)
    return found


def _sights(state: DetectState, config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for source in _SOURCES:
        if source not in config["of"]:
            continue
        for row in state[source].records():  # type: ignore[literal-required]
            # What was said is not on screen.
            if row.get("source") != "transcript":
                yield {**row, "sure": row["confidence"] * row.get("score", 1.0)}


def _seen(rows: list[dict[str, Any]], video: Video, config: dict[str, Any]) -> Seen:
    boxes, prominence = [], 0.0
    for row in rows:
        box = (
            min(max(row["x1"], 0.0), float(video.width)),
            min(max(row["y1"], 0.0), float(video.height)),
            min(max(row["x2"], 0.0), float(video.width)),
            min(max(row["y2"], 0.0), float(video.height)),
        )
        boxes.append(box)
        prominence = max(prominence, row["sure"] * _weight(box, video, config["full_share"]))
    share = _covered(boxes) / (video.width * video.height)
    return Seen(max(row["sure"] for row in rows), share, prominence)


def _weight(box: Box, video: Video, full_share: float) -> float:
    """Size times centrality, 0..1; see the head of this module."""
    x1, y1, x2, y2 = box
    share = (x2 - x1) * (y2 - y1) / (video.width * video.height)
    away = math.hypot((x1 + x2 - video.width) / 2, (y1 + y2 - video.height) / 2)
    centrality = 1 - away / (math.hypot(video.width, video.height) / 2)
    return min(1.0, math.sqrt(share / full_share)) * (1 + centrality) / 2


def _covered(boxes: list[Box]) -> float:
    """Area that boxes cover together, square pixels, by the cells between their edges."""
    across = sorted({x for x1, _, x2, _ in boxes for x in (x1, x2)})
    area = 0.0
    for left, right in itertools.pairwise(across):
        down = sorted((y1, y2) for x1, y1, x2, y2 in boxes if x1 <= left and x2 >= right)
        reached = 0.0
        for top, bottom in down:
            area += (right - left) * max(0.0, bottom - max(top, reached))
            reached = max(reached, bottom)
    return area


def _row(label: str, stretch: Stretch) -> dict[str, Any]:
    seen = list(zip((sight.row for sight in stretch.sights), stretch.held_s, strict=True))
    peak = max(stretch.sights, key=lambda sight: (sight.row.prominence, -sight.frame))
    return {
        "node": "",
        "label": label,
        "pts": stretch.sights[0].pts,
        "start_frame": stretch.start_frame,
        "end_frame": stretch.end_frame,
        "start_s": stretch.start_s,
        "end_s": stretch.end_s,
        "seen_s": stretch.seen_s,
        "sights": len(stretch.sights),
        "area_share": _mean((row.share, held) for row, held in seen),
        "prominence": _mean((row.prominence, held) for row, held in seen),
        "confidence": sum(row.confidence for row, _ in seen) / len(seen),
        "peak_frame": peak.frame,
    }


def _mean(weighted: Iterable[tuple[float, float]]) -> float:
    pairs = list(weighted)
    total = sum(weight for _, weight in pairs)
    return sum(value * weight for value, weight in pairs) / total if total > 0 else 0.0


def _total(label: str, rows: list[dict[str, Any]], looked_at_s: float) -> dict[str, Any]:
    seconds = sum(row["end_s"] - row["start_s"] for row in rows)
    seen_s = sum(row["seen_s"] for row in rows)
    prominence = _mean((row["prominence"], row["seen_s"]) for row in rows)
    values = {
        "seconds": round(seconds, 3),
        "seen_s": round(seen_s, 3),
        "share_of_time": round(seconds / looked_at_s, 4) if looked_at_s > 0 else 0.0,
        "stretches": len(rows),
        "sights": sum(row["sights"] for row in rows),
        "mean_area_share": round(_mean((r["area_share"], r["seen_s"]) for r in rows), 4),
        "mean_prominence": round(prominence, 4),
        "prominent_s": round(prominence * seen_s, 3),
        "longest_s": round(max(row["end_s"] - row["start_s"] for row in rows), 3),
    }
    return {"node": "", "topic": "exposure", "label": label, "values": values}


_SERIALIZE, _DESERIALIZE = tables_serializers({"exposure": Exposure, "totals": Totals})

STAGE = StageDefinition(
    name="measure_exposure",
    label="Measure exposure",
    description="Measures how long, how large and how prominently brands or classes are on screen.",
    io=StageIO(
        reads=["frames"],
        writes=["exposure", "totals"],
        optional_reads=["matches", "tracks", "detections", "shots"],
        merges=["matches", "tracks", "detections"],
    ),
    config_fields=[
        StageConfigField(
            "of",
            "list[str]",
            ["matches"],
            "What is measured: brands in matches, classes of tracks or of detections. Equal labels "
            "count as one.",
            options=list(_SOURCES),
        ),
        StageConfigField("labels", "list[str]", [], "Brands or classes to measure; empty for all."),
        StageConfigField(
            "min_confidence",
            "float",
            0.0,
            "Lowest confidence of a sight; of a match, its score times the confidence of the line.",
            min=0.0,
            max=1.0,
        ),
        StageConfigField(
            "max_gap_s",
            "float",
            1.0,
            "Longest time without a sight that is bridged, in seconds. Raising it makes fewer and "
            "longer stretches, and hides real breaks.",
            min=0.0,
        ),
        StageConfigField(
            "min_s", "float", 0.0, "Shortest stretch in seconds; shorter ones are dropped.", min=0.0
        ),
        StageConfigField("split_at_cuts", "bool", False, "End every stretch at a cut of the shot."),
        StageConfigField(
            "full_share",
            "float",
            0.25,
            "Share of the frame that counts as full size in the prominence.",
            min=0.0001,
            max=1.0,
        ),
    ],
    category="analysis",
    fn=measure_exposure,
    check_fn=check,
    uses_fn=uses,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    scope="video",
    channels=[EXPOSURE, TOTALS],
)
