"""Exports read back by the tools that they are for, or by the libraries that those use.

A reader gives ``(frame index, label, (x1, y1, x2, y2))`` of each box. Times, ids and what else a
format holds are looked at in the tests of the format.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mediaproc.outputs import Findings

Box = tuple[int, str, tuple[float, float, float, float]]
SIDES = ("x1", "y1", "x2", "y2")


def read_coco(path: Path, findings: Findings) -> list[Box]:
    coco = coco_of(path)
    return [
        (
            coco.imgs[found["image_id"]]["frame_id"],
            coco.cats[found["category_id"]]["name"],
            _from_xywh(*found["bbox"]),
        )
        for found in coco.anns.values()
    ]


def coco_of(path: Path) -> Any:
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def read_mot(path: Path, findings: Findings) -> list[Box]:
    """Through motmetrics, which counts pixels from 0 as we do; frames stay counted from 1."""
    import motmetrics

    names = (path / "gt" / "labels.txt").read_text().splitlines()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pandas deprecated what it uses
        frame = motmetrics.io.loadtxt(path / "gt" / "gt.txt", fmt="mot16")
    return [
        (number - 1, names[int(row.ClassId) - 1], _from_xywh(row.X, row.Y, row.Width, row.Height))
        for (number, _), row in frame.iterrows()
    ]


def read_yolo(path: Path, findings: Findings) -> list[Box]:
    """Through supervision, which reads YOLO data sets for training."""
    dataset = yolo_of(path)
    return [
        (int(Path(image).stem.rpartition("_")[2]), dataset.classes[kind], tuple(box.tolist()))
        for image, found in dataset.annotations.items()
        for box, kind in zip(found.xyxy, found.class_id, strict=True)
    ]


def yolo_of(path: Path) -> Any:
    import supervision as sv

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sv.DetectionDataset.from_yolo(
            images_directory_path=str(path / "images"),
            annotations_directory_path=str(path / "labels"),
            data_yaml_path=str(path / "data.yaml"),
        )


def read_cvat(path: Path, findings: Findings) -> list[Box]:
    return [
        (int(item.id.rpartition("_")[2]), names[found.label], tuple(found.points))
        for item, names in cvat_of(path)
        for found in item.annotations
        if not found.attributes["outside"]
    ]


def cvat_of(path: Path) -> Iterator[tuple[Any, list[str]]]:
    """Items and label names that datumaro, whose reader CVAT uses, finds."""
    with warnings.catch_warnings():
        # attrs deprecated an argument that datumaro uses.
        warnings.simplefilter("ignore", DeprecationWarning)
        from datumaro.components.annotation import AnnotationType
        from datumaro.plugins.data_formats.cvat.base import CvatBase

        base = CvatBase(str(path))
    names = [label.name for label in base.categories()[AnnotationType.label].items]
    for item in base:
        yield item, names


def read_label_studio(path: Path, findings: Findings) -> list[Box]:
    """Label Studio's own library is no dependency: see ``test_label_studio``."""
    (task,) = json.loads((path / "tasks.json").read_text())
    (made,) = task["predictions"]
    width, height = findings.video.width / 100, findings.video.height / 100
    return [
        (
            key["frame"] - 1,
            region["value"]["labels"][0],
            _from_xywh(
                key["x"] * width, key["y"] * height, key["width"] * width, key["height"] * height
            ),
        )
        for region in made["result"]
        for key in region["value"]["sequence"]
    ]


def read_rekognition(path: Path, findings: Findings) -> list[Box]:
    """Through boto3, whose stub holds each page to the service's model."""
    video = findings.video
    frames = {
        round(time_s * 1000): frame
        for table in findings.tables.values()
        if table.has("time_s")
        for frame, time_s in zip(table.values("frame_index"), table.values("time_s"), strict=True)
    }
    boxes = []
    for found in (label for page in rekognition_of(path) for label in page["Labels"]):
        for instance in found["Label"]["Instances"]:
            box = instance["BoundingBox"]
            xywh = (
                box["Left"] * video.width,
                box["Top"] * video.height,
                box["Width"] * video.width,
                box["Height"] * video.height,
            )
            boxes.append((frames[found["Timestamp"]], found["Label"]["Name"], _from_xywh(*xywh)))
    return boxes


def rekognition_of(path: Path) -> list[dict[str, Any]]:
    import boto3
    from botocore.stub import Stubber

    client = boto3.client(
        "rekognition", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    with Stubber(client) as stub:
        token: str | None = None
        for _ in path.glob("page-*.json"):
            page = json.loads((path / f"{token or 'page-0001'}.json").read_text())
            asked = {"JobId": "1" * 8} | ({"NextToken": token} if token else {})
            stub.add_response("get_label_detection", page, asked)
            token = page.get("NextToken")
        pages = []
        asked = {}
        while True:
            pages.append(client.get_label_detection(JobId="1" * 8, **asked))
            if "NextToken" not in pages[-1]:
                break
            asked = {"NextToken": pages[-1]["NextToken"]}
        stub.assert_no_pending_responses()
    return pages


def read_json(path: Path, findings: Findings) -> list[Box]:
    return _boxes(json.loads(path.read_text())["tables"]["tracks"]["rows"])


def read_csv(path: Path, findings: Findings) -> list[Box]:
    with (path / "tracks.csv").open(newline="", encoding="utf-8") as file:
        return _boxes(csv.DictReader(file))


def read_parquet(path: Path, findings: Findings) -> list[Box]:
    import pyarrow.parquet as pq

    return _boxes(pq.read_table(path / "tracks.parquet").to_pylist())


def expected(findings: Findings, table: str) -> list[Box]:
    """The boxes of a table."""
    return _boxes(findings.tables[table].rows())


def _boxes(rows: Any) -> list[Box]:
    return [
        (
            int(row["frame_index"]),
            row["label"],
            tuple(float(row[side]) for side in SIDES),  # type: ignore[misc]
        )
        for row in rows
    ]


def _from_xywh(x: float, y: float, width: float, height: float) -> Any:
    return float(x), float(y), float(x + width), float(y + height)


Reader = Callable[[Path, Findings], list[Box]]
# format -> reader, options to write with, the table that it takes, and the error of a side: in
# pixels, or as a share of the frame's.
READERS: dict[str, tuple[Reader, dict[str, Any], str, float, float]] = {
    "json": (read_json, {}, "tracks", 0.0, 0.0),
    "csv": (read_csv, {}, "tracks", 0.0, 0.0),
    "parquet": (read_parquet, {}, "tracks", 0.0, 0.0),
    "coco": (read_coco, {}, "tracks", 1e-9, 0.0),
    "mot": (read_mot, {}, "tracks", 1.1e-3, 0.0),
    "yolo": (read_yolo, {"images": True}, "detections", 0.0, 1.1e-6),
    "cvat": (read_cvat, {}, "tracks", 5.1e-3, 0.0),
    "label-studio": (read_label_studio, {}, "tracks", 0.0, 1.1e-8),
    "rekognition": (read_rekognition, {"page_size": 7}, "detections", 0.0, 1e-9),
}
