"""Label Studio: the published structure of a video rectangle, and where it is shown."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mediaproc.outputs import label_studio, write_export
from tests.outputs.found import CASES, findings

PERCENT = {"type": "number", "minimum": 0, "maximum": 100}
# https://labelstud.io/tags/videorectangle: the value of a result.
VALUE = {
    "type": "object",
    "required": ["framesCount", "duration", "sequence", "labels"],
    "properties": {
        "framesCount": {"type": "integer", "minimum": 1},
        "duration": {"type": "number", "minimum": 0},
        "labels": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "sequence": {
            "type": "array",
            "minItems": 1,
            "items": {
                "required": ["frame", "time", "enabled", "rotation", "x", "y", "width", "height"],
                "properties": {
                    "frame": {"type": "integer", "minimum": 1},
                    "time": {"type": "number", "minimum": 0},
                    "enabled": {"type": "boolean"},
                    "rotation": {"type": "number"},
                    **dict.fromkeys(("x", "y", "width", "height"), PERCENT),
                },
            },
        },
    },
}


def regions(tmp_path: Path, case: str, **options: Any) -> list[dict[str, Any]]:
    write_export(label_studio.EXPORTER, tmp_path / "out", findings(case), **options)
    (task,) = json.loads((tmp_path / "out" / "tasks.json").read_text())
    ((made,),) = [task[kind] for kind in ("predictions", "annotations") if kind in task]
    return list(made["result"])


@pytest.mark.parametrize("case", CASES)
def test_label_studio_regions_have_the_published_structure(case: str, tmp_path: Path) -> None:
    for region in regions(tmp_path, case):
        jsonschema.validate(region["value"], VALUE)


def test_label_studio_results_name_the_tags_of_the_interface(tmp_path: Path) -> None:
    found = regions(tmp_path, "plain")
    view = ET.parse(tmp_path / "out" / "label_config.xml").getroot()
    box, labels, video = view.find("VideoRectangle"), view.find("Labels"), view.find("Video")
    assert box is not None
    assert labels is not None
    assert video is not None
    assert {region["from_name"] for region in found} == {box.attrib["name"]}
    assert {region["to_name"] for region in found} == {video.attrib["name"], box.attrib["toName"]}
    shown = {label.attrib["value"] for label in labels}
    assert {region["value"]["labels"][0] for region in found} == shown


def test_label_studio_nothing_is_drawn_in_a_gap(tmp_path: Path) -> None:
    for region in regions(tmp_path, "plain"):
        keys = region["value"]["sequence"]
        off = [key["frame"] for key in keys if not key["enabled"]]
        assert off == [1, 39]


def test_label_studio_annotations_are_made_on_demand(tmp_path: Path) -> None:
    options = {"kind": "annotations", "video_url": "s3://b/clip.mp4"}
    assert len(regions(tmp_path, "plain", options=options)) == 3
    (task,) = json.loads((tmp_path / "out" / "tasks.json").read_text())
    assert task["data"] == {"video": "s3://b/clip.mp4"}
    assert "predictions" not in task
