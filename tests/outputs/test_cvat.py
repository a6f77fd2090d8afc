"""CVAT for video: where tracks end, and texts that XML cannot hold."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

from mediaproc.detect.tables import Texts
from mediaproc.outputs import SeenFrames, cvat, write_export
from tests.outputs.found import findings, table


def tracks(tmp_path: Path, case: str, **options: Any) -> list[list[tuple[int, bool]]]:
    """(frame, whether it is outside) of the boxes of each track."""
    write_export(cvat.EXPORTER, tmp_path / "a.xml", findings(case), **options)
    return [
        [(int(box.attrib["frame"]), box.attrib["outside"] == "1") for box in track]
        for track in ET.parse(tmp_path / "a.xml").iter("track")
    ]


def test_cvat_a_track_is_outside_in_frames_where_it_was_not_seen(tmp_path: Path) -> None:
    found = tracks(tmp_path, "plain")
    assert len(found) == 3
    for boxes in found:
        assert boxes[:3] == [(0, False), (2, True), (4, False)]
        assert boxes[-2:] == [(38, False), (39, True)]
        assert [frame for frame, outside in boxes if outside] == [2, 39]


def test_cvat_nothing_is_outside_behind_the_last_frame(tmp_path: Path) -> None:
    for boxes in tracks(tmp_path, "every-frame"):
        assert boxes[-1] == (9, False)


def test_cvat_a_detection_lasts_one_frame(tmp_path: Path) -> None:
    found = tracks(tmp_path, "plain", table="detections")
    assert all(boxes == [(boxes[0][0], False), (boxes[0][0] + 1, True)] for boxes in found)
    assert len(found) == 3 * 19


def test_cvat_the_task_is_as_long_and_large_as_the_video(tmp_path: Path) -> None:
    write_export(cvat.EXPORTER, tmp_path / "a.xml", findings("vertical-odd"))
    task = ET.parse(tmp_path / "a.xml").find("meta/task")
    assert task is not None
    values = {e.tag: e.text for e in task.iter() if e.text and e.text.strip()}
    assert (values["size"], values["stop_frame"]) == ("9", "8")
    assert (values["width"], values["height"]) == ("243", "431")


def test_cvat_characters_that_xml_cannot_hold_are_left_out(tmp_path: Path) -> None:
    found = findings("one-frame")
    (row,) = list(found.tables["texts"].rows())[:1]
    row["text"] = "a\x00\x0b<b>\ufffe&\U0001f600"
    tables = {"texts": table("texts", Texts.from_records([row]), SeenFrames())}
    write_export(cvat.EXPORTER, tmp_path / "a.xml", replace(found, tables=tables))
    texts = [a.text for a in ET.parse(tmp_path / "a.xml").iter("attribute") if a.attrib]
    assert "a<b>&\U0001f600" in texts
