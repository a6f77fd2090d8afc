"""The shape of Rekognition's GetLabelDetection, as boto3 has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mediaproc.outputs import rekognition, write_export
from tests.outputs.found import findings
from tests.outputs.readers import rekognition_of


def test_rekognition_pages_follow_each_other_by_their_tokens(tmp_path: Path) -> None:
    options = {"page_size": "10"}
    write_export(rekognition.EXPORTER, tmp_path / "out", findings("plain"), options=options)
    pages = rekognition_of(tmp_path / "out")
    # 19 frames, of two labels each.
    assert [len(page["Labels"]) for page in pages] == [10, 10, 10, 8]


def test_rekognition_instances_of_a_label_stand_together(tmp_path: Path) -> None:
    write_export(rekognition.EXPORTER, tmp_path / "out", findings("one-frame"))
    (page,) = rekognition_of(tmp_path / "out")
    found = {label["Label"]["Name"]: label["Label"] for label in page["Labels"]}
    assert {name: len(label["Instances"]) for name, label in found.items()} == {
        "car": 2,
        "person": 1,
    }
    assert found["car"]["Confidence"] == pytest.approx(90.0)


def test_rekognition_times_are_whole_milliseconds_of_the_stamps(tmp_path: Path) -> None:
    found = findings("plain")
    write_export(rekognition.EXPORTER, tmp_path / "out", found)
    (page,) = rekognition_of(tmp_path / "out")
    stamps = sorted({round(pts / 90) for pts in found.tables["detections"].values("pts")})
    assert sorted({label["Timestamp"] for label in page["Labels"]}) == stamps


def test_rekognition_a_video_without_frames_has_a_page_without_labels(tmp_path: Path) -> None:
    write_export(rekognition.EXPORTER, tmp_path / "out", findings("no-frame"))
    (page,) = rekognition_of(tmp_path / "out")
    assert page["Labels"] == []
    assert page["VideoMetadata"]["DurationMillis"] == 0
