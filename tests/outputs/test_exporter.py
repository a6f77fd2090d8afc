"""Which tables a format takes, its options, and where it writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mediaproc.errors import OutputError
from mediaproc.outputs import Exporter, ExportOption, Findings, write_export
from mediaproc.outputs.formats import get_exporter
from tests.outputs.found import findings


def names(path: Path, found: Findings, options: Mapping[str, Any]) -> None:
    path.write_text(",".join(found.tables))


PLAIN = Exporter("plain", "Names of tables.", "file", names, tables=("tracks", "detections"))


def without(*gone: str) -> Findings:
    found = findings("one-frame")
    return replace(found, tables={n: t for n, t in found.tables.items() if n not in gone})


@pytest.mark.parametrize(
    ("exporter", "found", "asked", "taken"),
    [
        (PLAIN, without(), None, "tracks"),
        (PLAIN, without("tracks"), None, "detections"),
        (PLAIN, without(), "shots", "shots"),
        (replace(PLAIN, several=True), without(), None, "tracks,detections"),
        (replace(PLAIN, tables=()), without("texts", "shots"), None, "detections,events,tracks"),
    ],
)
def test_exporter_takes_tables(
    exporter: Exporter, found: Findings, asked: str | None, taken: str, tmp_path: Path
) -> None:
    write_export(exporter, tmp_path / "out", found, table=asked)
    assert (tmp_path / "out").read_text() == taken


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("faces", "there is no table 'faces'; there is: events, shots, texts"),
        ("shots", "coco cannot be made of shots, which has no frame_index and time_s and x1"),
        (None, "takes tracks or detections, of which there is none; there is: events, shots"),
    ],
)
def test_exporter_says_which_tables_there_are(
    asked: str | None, message: str, tmp_path: Path
) -> None:
    boxes = get_exporter("coco")
    exporter = replace(boxes, tables=("tracks", "detections"))
    with pytest.raises(OutputError, match=message):
        write_export(exporter, tmp_path / "out", without("tracks", "detections"), table=asked)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"imges": "true"}, r"format yolo has no option 'imges'; did you mean 'images'\?"),
        ({"images": "yes"}, "format yolo, option images: 'yes' is not true or false"),
        ({"labels": 3}, "format yolo, option labels: 3 is not a list of texts"),
    ],
)
def test_exporter_refuses_options_that_are_not_legal(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match=message):
        write_export(get_exporter("yolo"), tmp_path / "out", without(), options=options)


@pytest.mark.parametrize(
    ("option", "given", "value"),
    [
        (ExportOption("n", "int", 5, "", min=1), "7", 7),
        (ExportOption("n", "list", (), ""), "a, b,,c", ["a", "b", "c"]),
        (ExportOption("n", "list", (), ""), ("a,b", "c"), ["a,b", "c"]),
        (ExportOption("n", "bool", True, ""), "false", False),
        (ExportOption("n", "str", "a", "", choices=("a", "b")), "b", "b"),
    ],
)
def test_exporter_reads_options_from_text(option: ExportOption, given: Any, value: Any) -> None:
    assert option.parse(given) == value


@pytest.mark.parametrize(
    ("option", "given", "message"),
    [
        (ExportOption("n", "int", 5, "", min=1), "0", "0 is below the minimum 1"),
        (ExportOption("n", "int", 5, ""), "1.5", "'1.5' is not a whole number"),
        (ExportOption("n", "str", "a", "", choices=("a", "b")), "c", "'c' is not one of: a, b"),
    ],
)
def test_exporter_says_why_a_value_is_not_legal(
    option: ExportOption, given: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        option.parse(given)


def test_exporter_one_table_of_a_file_per_table_is_a_file(tmp_path: Path) -> None:
    write_export(get_exporter("csv"), tmp_path / "a.csv", without(), table="shots")
    assert (tmp_path / "a.csv").read_text().startswith("node,shot,pts,")


def test_exporter_all_tables_are_a_folder_of_files(tmp_path: Path) -> None:
    write_export(get_exporter("csv"), tmp_path / "a", without("texts"))
    files = {path.name for path in (tmp_path / "a").glob("*.csv")}
    assert files == {"detections.csv", "events.csv", "shots.csv", "tracks.csv"}


def test_exporter_makes_no_file_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a folder; format coco makes a file"):
        write_export(get_exporter("coco"), tmp_path, without(), force=True)


def test_exporter_failing_leaves_what_was_there(tmp_path: Path) -> None:
    def fails(path: Path, found: Findings, options: Mapping[str, Any]) -> None:
        path.write_text("half")
        raise OutputError("no")

    (tmp_path / "out").write_text("earlier")
    with pytest.raises(OutputError, match=r"^no$"):
        write_export(replace(PLAIN, write=fails), tmp_path / "out", without(), force=True)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["earlier"]
