"""``detect_motion``: when something moves, decided over the scores of the whole video."""

from __future__ import annotations

from typing import Any

import numpy as np

from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO
from mediaproc.detect.stages.channels import EVENTS, table_serializers
from mediaproc.detect.state import DetectState
from mediaproc.detect.tables import Events


def detect_motion(state: DetectState, *, config: dict[str, Any]) -> dict[str, Any]:
    """Join the frames in which something moves to events."""
    motion, step_s = state["motion"], 1 / state["video"].fps
    records = motion.records()
    runs: list[list[dict[str, Any]]] = []
    for row in records:
        if row["share"] <= 0 or row["share"] < config["min_share"]:
            continue
        if not runs or row["time_s"] - runs[-1][-1]["time_s"] > config["max_gap_s"]:
            runs.append([])
        runs[-1].append(row)
    rows: list[dict[str, Any]] = []
    for run in runs:
        first, last = run[0], run[-1]
        end_s = last["time_s"] + step_s
        if end_s - first["time_s"] < config["min_s"]:
            continue
        boxes = np.array([box for row in run for box in row["boxes"]])
        shares = [row["share"] for row in run]
        rows.append(
            {
                "node": "",
                "kind": "motion",
                "label": "motion",
                "pts": first["pts"],
                "start_frame": first["frame_index"],
                "end_frame": last["frame_index"] + 1,
                "start_s": first["time_s"],
                "end_s": end_s,
                "score": max(shares),
                "track_id": 0,
                "details": {
                    "mean_share": sum(shares) / len(shares),
                    "frames": len(run),
                    "xyxy": [
                        *boxes[:, :2].min(axis=0).tolist(),
                        *boxes[:, 2:].max(axis=0).tolist(),
                    ],
                },
            }
        )
    return {"events": Events.from_records(rows)}


_SERIALIZE, _DESERIALIZE = table_serializers("events", Events)

STAGE = StageDefinition(
    name="detect_motion",
    label="Detect motion",
    description="Tells when something moves before a camera that stands still, as events.",
    io=StageIO(reads=["video", "motion"], writes=["events"]),
    config_fields=[
        StageConfigField(
            "min_share",
            "float",
            0.001,
            "Least share of the frame that moves. Raising it drops lesser motion.",
            min=0.0,
            max=1.0,
        ),
        StageConfigField(
            "max_gap_s",
            "float",
            2.0,
            "Motion at most this many seconds apart is one event.",
            min=0.0,
        ),
        StageConfigField(
            "min_s",
            "float",
            0.0,
            "Shortest event in seconds. Raising it drops brief motion.",
            min=0.0,
        ),
    ],
    category="detection",
    fn=detect_motion,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    scope="video",
    channels=[EVENTS],
    implies=("score_motion",),
)
