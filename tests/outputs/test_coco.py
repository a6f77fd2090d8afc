"""COCO: what pycocotools and datumaro find in it besides boxes."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from mediaproc.outputs import coco, write_export
from tests.outputs.found import findings
from tests.outputs.readers import coco_of


def written(tmp_path: Path, case: str = "plain", **options: Any) -> Any:
    write_export(coco.EXPORTER, tmp_path / "a.json", findings(case), **options)
    return coco_of(tmp_path / "a.json")


def test_coco_every_frame_that_was_looked_at_is_an_image(tmp_path: Path) -> None:
    found = findings("plain")
    images = written(tmp_path).dataset["images"]
    assert [image["frame_id"] for image in images] == list(found.tables["tracks"].seen.indexes)
    assert [image["time_s"] for image in images] == list(found.tables["tracks"].seen.time_s)
    assert {image["video_id"] for image in images} == {1}


def test_coco_tracks_of_two_trackers_keep_apart(tmp_path: Path) -> None:
    anns = written(tmp_path).anns.values()
    names = {1: "car", 2: "person"}
    pairs = {(ann["track_id"], names[ann["category_id"]]) for ann in anns}
    assert pairs == {(1, "car"), (2, "person"), (3, "car")}


def test_coco_outlines_become_masks_of_their_area(tmp_path: Path) -> None:
    data = written(tmp_path, "every-frame", table="detections")
    people = [ann for ann in data.anns.values() if ann["segmentation"]]
    assert len(people) == 9
    for ann in people:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of numpy 2, which it runs on
            mask = data.annToMask(ann)
        assert mask.sum() == pytest.approx(ann["area"], rel=0.05)


def test_coco_keypoints_carry_the_flags_of_the_format(tmp_path: Path) -> None:
    data = written(tmp_path, "one-frame", table="detections")
    (ann,) = [ann for ann in data.anns.values() if "keypoints" in ann]
    assert ann["keypoints"][2::3] == [2, 1, 0]
    assert ann["num_keypoints"] == 2
    (person,) = data.loadCats(ann["category_id"])
    assert len(person["keypoints"]) == 3


def test_coco_labels_give_the_order_and_leave_others_out(tmp_path: Path) -> None:
    data = written(tmp_path, options={"labels": "person,bus"})
    assert [c["name"] for c in data.dataset["categories"]] == ["person", "bus"]
    assert {ann["category_id"] for ann in data.anns.values()} == {1}
    assert {track["category_id"] for track in data.dataset["tracks"]} == {1}


def test_coco_texts_keep_their_wording(tmp_path: Path) -> None:
    data = written(tmp_path, "one-frame", table="texts")
    assert [ann["attributes"]["text"] for ann in data.anns.values()] == [
        "A <b> & c --> d",
        "score\n\n3:2 über",
    ]


def test_coco_is_read_by_datumaro(tmp_path: Path) -> None:
    write_export(coco.EXPORTER, tmp_path / "annotations" / "instances_clip.json", findings("plain"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of attrs, which it uses
        from datumaro.plugins.data_formats.coco.base import CocoInstancesBase

        items = list(CocoInstancesBase(str(tmp_path / "annotations" / "instances_clip.json")))
    document = json.loads((tmp_path / "annotations" / "instances_clip.json").read_text())
    assert len(items) == len(document["images"])
    assert sum(len(item.annotations) for item in items) == len(document["annotations"])
