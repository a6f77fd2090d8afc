"""Responses shaped as those of Amazon Rekognition's GetLabelDetection.

https://docs.aws.amazon.com/rekognition/latest/APIReference/API_GetLabelDetection.html

A folder of pages, each a response: ``page-0001.json``, whose ``NextToken`` is the name, without
suffix, of the next page. The last page has none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from mediaproc.outputs import boxes
from mediaproc.outputs.cues import milliseconds
from mediaproc.outputs.exporter import BOX_COLUMNS, Exporter, ExportOption
from mediaproc.outputs.tables import Findings, Row, Table, VideoFacts


def _write(path: Path, findings: Findings, options: Mapping[str, Any]) -> None:
    video = findings.video
    (table,) = findings.tables.values()
    found = [*_labels(table, set(boxes.labels([table], options["labels"])), video)]
    size = options["page_size"]
    pages = [found[at : at + size] for at in range(0, len(found), size)] or [[]]
    for number, page in enumerate(pages, 1):
        response: dict[str, Any] = {
            "JobStatus": "SUCCEEDED",
            "VideoMetadata": {
                "DurationMillis": milliseconds(video.duration_s),
                "FrameRate": float(video.frame_rate),
                "FrameHeight": video.height,
                "FrameWidth": video.width,
            },
            "Labels": page,
            "LabelModelVersion": "mediaproc",
            "GetRequestMetadata": {"SortBy": "TIMESTAMP", "AggregateBy": "TIMESTAMPS"},
        }
        if number < len(pages):
            response["NextToken"] = _name(number + 1)
        with (path / f"{_name(number)}.json").open("w", encoding="utf-8") as file:
            json.dump(response, file, ensure_ascii=False, allow_nan=False)
            file.write("\n")


def _name(page: int) -> str:
    return f"page-{page:04d}"


def _labels(table: Table, names: set[str], video: VideoFacts) -> Iterator[dict[str, Any]]:
    rows = [row for row in table.rows() if boxes.label(row) in names]
    rows.sort(key=lambda row: (row["frame_index"], boxes.label(row)))
    for (_, name), group in groupby(rows, lambda row: (row["frame_index"], boxes.label(row))):
        sights = [*group]
        yield {
            "Timestamp": milliseconds(sights[0]["time_s"]),
            "Label": {
                "Name": name,
                "Confidence": max(map(_percent, sights)),
                "Instances": [_instance(row, video) for row in sights],
                "Parents": [],
                "Aliases": [],
                "Categories": [],
            },
        }


def _instance(row: Row, video: VideoFacts) -> dict[str, Any]:
    return {
        "BoundingBox": {
            "Width": (row["x2"] - row["x1"]) / video.width,
            "Height": (row["y2"] - row["y1"]) / video.height,
            "Left": row["x1"] / video.width,
            "Top": row["y1"] / video.height,
        },
        "Confidence": _percent(row),
    }


def _percent(row: Row) -> float:
    return 100.0 * float(row.get("confidence", 1.0))


EXPORTER = Exporter(
    name="rekognition",
    description="JSON shaped as Rekognition's GetLabelDetection, in pages; times in whole "
    "milliseconds.",
    shape="folder",
    tables=("detections", "tracks"),
    columns=BOX_COLUMNS,
    options=(
        boxes.LABELS,
        ExportOption("page_size", "int", 1000, "Most labels on a page.", min=1),
    ),
    write=_write,
)
