"""What every export format keeps to."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from mediaproc.errors import OutputError
from mediaproc.outputs import Exporter, write_export
from mediaproc.outputs.formats import EXPORTERS, get_exporter
from tests.outputs.found import CASES, findings
from tests.outputs.readers import READERS, Box, expected

BY_NAME = {exporter.name: exporter for exporter in EXPORTERS}
# What holds no boxes is read back in tests of its own.
CAPTIONS = {"webvtt", "srt"}


def test_formats_every_one_is_read_back() -> None:
    assert set(READERS) | CAPTIONS == set(BY_NAME)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", READERS)
def test_formats_boxes_come_back(name: str, case: str, tmp_path: Path) -> None:
    found = findings(case)
    read, options, table, pixels, share = READERS[name]
    write_export(BY_NAME[name], tmp_path / "out", found, options=options)
    error = max(pixels, share * max(found.video.width, found.video.height))
    back, truth = _sorted(read(tmp_path / "out", found)), _sorted(expected(found, table))
    assert [box[:2] for box in back] == [box[:2] for box in truth]
    for (_, _, xyxy), (_, _, true_xyxy) in zip(back, truth, strict=True):
        assert xyxy == pytest.approx(true_xyxy, abs=error, rel=0)


@pytest.mark.parametrize("exporter", EXPORTERS, ids=lambda exporter: exporter.name)
def test_formats_equal_findings_give_equal_bytes(exporter: Exporter, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_export(exporter, tmp_path / folder / "out", findings("plain"))
    assert _digests(tmp_path / "one") == _digests(tmp_path / "two")


@pytest.mark.parametrize("exporter", EXPORTERS, ids=lambda exporter: exporter.name)
def test_formats_say_what_there_is_where_no_table_fits(exporter: Exporter, tmp_path: Path) -> None:
    nothing = replace(findings("plain"), tables={})
    with pytest.raises(OutputError, match=r"of which there is none; there is: no table$"):
        write_export(exporter, tmp_path / "out", nothing)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("exporter", EXPORTERS, ids=lambda exporter: exporter.name)
def test_formats_replace_nothing_without_force(exporter: Exporter, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_export(exporter, out, findings("plain"))
    before = _digests(tmp_path)
    with pytest.raises(OutputError, match="exists already; replace it with --force"):
        write_export(exporter, out, findings("one-frame"))
    assert _digests(tmp_path) == before


@pytest.mark.parametrize("exporter", EXPORTERS, ids=lambda exporter: exporter.name)
def test_formats_force_leaves_nothing_of_what_was_there(exporter: Exporter, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_export(exporter, tmp_path / folder / "out", findings("one-frame"))
    write_export(exporter, tmp_path / "two" / "out", findings("plain"), force=True)
    write_export(exporter, tmp_path / "two" / "out", findings("one-frame"), force=True)
    assert _digests(tmp_path / "one") == _digests(tmp_path / "two")


@pytest.mark.parametrize("exporter", EXPORTERS, ids=lambda exporter: exporter.name)
def test_formats_declare_legal_defaults(exporter: Exporter) -> None:
    for option in exporter.options:
        assert list_or(option.parse(option.default)) == list_or(option.default)


def test_formats_unknown_one_names_the_nearest() -> None:
    with pytest.raises(OutputError, match=r"no export format 'cocco'; did you mean 'coco'\?"):
        get_exporter("cocco")


def list_or(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _sorted(boxes: list[Box]) -> list[Box]:
    return sorted(boxes, key=lambda box: (box[0], box[1], [round(side, 1) for side in box[2]]))


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
