"""YOLO: labels, the classes and the images beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ruamel.yaml import YAML

from mediaproc.detect.tables import Detections
from mediaproc.outputs import SeenFrames, write_export, yolo
from tests.outputs.found import findings, table
from tests.outputs.readers import yolo_of


def test_yolo_a_frame_without_findings_has_an_empty_file(tmp_path: Path) -> None:
    write_export(yolo.EXPORTER, tmp_path / "out", findings("plain"))
    empty = [p.name for p in (tmp_path / "out" / "labels").iterdir() if not p.read_text()]
    assert empty == ["a_clip_000002.txt"]


def test_yolo_images_are_those_of_the_frames(tmp_path: Path) -> None:
    found = findings("vertical-odd")
    write_export(yolo.EXPORTER, tmp_path / "out", found, options={"images": "true"})
    for path, image, _ in yolo_of(tmp_path / "out"):
        assert image.shape == (431, 243, 3)
        assert abs(int(image.mean()) - int(Path(path).stem[-6:])) <= 1


def test_yolo_boxes_end_at_the_border_of_the_frame(tmp_path: Path) -> None:
    found = findings("one-frame")
    (row,) = list(found.tables["detections"].rows())[:1]
    row |= {"x1": -10.0, "x2": 330.0, "y1": 120.0, "y2": 250.0}
    tables = {"detections": table("detections", Detections.from_records([row]), SeenFrames())}
    write_export(yolo.EXPORTER, tmp_path / "out", replace(found, tables=tables))
    (line,) = (tmp_path / "out" / "labels" / "a_clip_000000.txt").read_text().splitlines()
    assert line == "0 0.500000 0.750000 1.000000 0.500000"


def test_yolo_labels_give_the_numbers_of_the_classes(tmp_path: Path) -> None:
    labels = 'person,"no",car: a'
    write_export(yolo.EXPORTER, tmp_path / "out", findings("plain"), options={"labels": labels})
    data = YAML(typ="safe").load((tmp_path / "out" / "data.yaml").read_text())
    assert data["names"] == {0: "person", 1: '"no"', 2: "car: a"}
    lines = "".join(p.read_text() for p in (tmp_path / "out" / "labels").iterdir())
    assert {line[0] for line in lines.splitlines()} == {"0"}


def test_yolo_no_classes_are_valid(tmp_path: Path) -> None:
    write_export(yolo.EXPORTER, tmp_path / "out", findings("no-frame"))
    assert YAML(typ="safe").load((tmp_path / "out" / "data.yaml").read_text())["names"] == {}
