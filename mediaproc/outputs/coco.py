"""COCO object detection, with the keys by which video data sets extend it.

The structure is that of https://cocodataset.org/#format-data; ``videos``, ``video_id``,
``frame_id`` and ``track_id`` are those of TAO (Dave et al., 2020) and COCO-VID.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mediaproc.outputs import boxes
from mediaproc.outputs.exporter import BOX_COLUMNS, Exporter
from mediaproc.outputs.tables import Findings, Row, Table

# Key points surer than this count as visible, as in Ultralytics.
_VISIBLE = 0.5


def _write(path: Path, findings: Findings, options: Mapping[str, Any]) -> None:
    video = findings.video
    (table,) = findings.tables.values()
    names = boxes.labels([table], options["labels"])
    document = {
        "info": {"description": f"Findings in {video.name}", "version": "1.0"},
        "licenses": [],
        "videos": [
            {
                "id": 1,
                "name": video.name,
                "width": video.width,
                "height": video.height,
                "fps": float(video.frame_rate),
                "length": video.frame_count,
            }
        ],
        "images": [
            {
                "id": frame + 1,
                "video_id": 1,
                "frame_id": frame,
                "file_name": f"{boxes.image_name(video, frame)}.jpg",
                "width": video.width,
                "height": video.height,
                "time_s": time_s,
            }
            for frame, time_s in boxes.frames([table]).items()
        ],
        "categories": _categories(table, names),
        "annotations": _annotations(table, names),
    }
    if table.has("track_id"):
        document["tracks"] = _tracks(table, names)
    with path.open("w", encoding="utf-8") as file:
        for piece in json.JSONEncoder(ensure_ascii=False, allow_nan=False).iterencode(document):
            file.write(piece)
        file.write("\n")


def _categories(table: Table, names: Sequence[str]) -> list[dict[str, Any]]:
    points: dict[str, int] = {}
    if table.has("keypoints", "label"):
        for name, found in zip(table.values("label"), table.values("keypoints"), strict=True):
            points[name] = max(points.get(name, 0), len(found or ()))
    categories: list[dict[str, Any]] = []
    for number, name in enumerate(names, 1):
        category: dict[str, Any] = {"id": number, "name": name, "supercategory": ""}
        if points.get(name):
            category["keypoints"] = [str(n) for n in range(1, points[name] + 1)]
            category["skeleton"] = []
        categories.append(category)
    return categories


def _annotations(table: Table, names: Sequence[str]) -> list[dict[str, Any]]:
    category = {name: number for number, name in enumerate(names, 1)}
    tracks = boxes.track_numbers(table)
    annotations: list[dict[str, Any]] = []
    for row in table.rows():
        if boxes.label(row) not in category:
            continue
        width, height = row["x2"] - row["x1"], row["y2"] - row["y1"]
        outline = row.get("polygon")
        annotation = {
            "id": len(annotations) + 1,
            "image_id": row["frame_index"] + 1,
            "video_id": 1,
            "category_id": category[boxes.label(row)],
            "bbox": [row["x1"], row["y1"], width, height],
            "area": _area(outline) if outline else width * height,
            "iscrowd": 0,
            "segmentation": [[side for xy in outline for side in xy]] if outline else [],
        }
        if "confidence" in row:
            annotation["score"] = row["confidence"]
        if tracks:
            annotation["track_id"] = tracks[row["node"], row["track_id"]]
        if "text" in row:
            annotation["attributes"] = {"text": row["text"]}
        if row.get("keypoints"):
            annotation |= _keypoints(row)
        annotations.append(annotation)
    return annotations


def _keypoints(row: Row) -> dict[str, Any]:
    """COCO's flags: 0 not there, 1 there but hidden, 2 visible."""
    flat: list[float] = []
    there = 0
    for x, y, confidence in row["keypoints"]:
        flag = 2 if confidence > _VISIBLE else 1 if confidence > 0 else 0
        there += flag > 0
        flat += [x, y, flag] if flag else [0, 0, 0]
    return {"keypoints": flat, "num_keypoints": there}


def _tracks(table: Table, names: Sequence[str]) -> list[dict[str, Any]]:
    category = {name: number for number, name in enumerate(names, 1)}
    numbers = boxes.track_numbers(table)
    first: dict[int, str] = {}
    for row in table.rows():
        first.setdefault(numbers[row["node"], row["track_id"]], boxes.label(row))
    return [
        {"id": number, "video_id": 1, "category_id": category[name]}
        for number, name in sorted(first.items())
        if name in category
    ]


def _area(outline: Sequence[Sequence[float]]) -> float:
    """Area of a polygon of any direction, by the shoelace formula."""
    total = 0.0
    for (x1, y1), (x2, y2) in zip(outline, [*outline[1:], outline[0]], strict=True):
        total += x1 * y2 - x2 * y1
    return abs(total) / 2


EXPORTER = Exporter(
    name="coco",
    description="COCO object detection with video, frame and track ids, exact values; every "
    "frame that was looked at is an image.",
    shape="file",
    extension=".json",
    media_type="application/json",
    tables=("tracks", "detections", "texts"),
    columns=BOX_COLUMNS,
    options=(boxes.LABELS,),
    write=_write,
)
