"""Files and folders that appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from mediaproc.errors import OutputError
from mediaproc.outputs.files import MARKER, replacing, replacing_folder


def test_files_what_a_killed_writer_left_goes(tmp_path: Path) -> None:
    killed = replacing(tmp_path / "report.json")
    killed.__enter__().write_text("ha")
    writes = replacing(tmp_path / "report.json.txt")
    other = writes.__enter__()
    with replacing(tmp_path / "report.json") as temporary:
        temporary.write_text("half no more")
    assert {p.name for p in tmp_path.iterdir()} == {"report.json", other.name}
    assert (tmp_path / "report.json").read_text() == "half no more"


def test_files_a_folder_that_no_export_made_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    with (
        pytest.raises(OutputError, match="photos holds files that no export made"),
        replacing_folder(tmp_path / "photos", force=True),
    ):
        pass
    assert (tmp_path / "photos" / "a.jpg").exists()


def test_files_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with replacing_folder(tmp_path / "out", force=False) as folder:
        (folder / "a").touch()
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"a", MARKER}


def test_files_a_file_is_not_replaced_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with (
        pytest.raises(OutputError, match="out is there already and is not a folder"),
        replacing_folder(tmp_path / "out", force=True),
    ):
        pass


def test_files_a_folder_that_fails_leaves_nothing_of_itself(tmp_path: Path) -> None:
    def fail() -> None:
        with replacing_folder(tmp_path / "out", force=False) as folder:
            (folder / "half").write_text("x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_files_what_a_killed_writer_of_a_folder_left_goes(tmp_path: Path) -> None:
    killed = replacing_folder(tmp_path / "out", force=False)
    (killed.__enter__() / "half").touch()
    other = replacing_folder(tmp_path / "out-more", force=False)
    left = other.__enter__()
    with replacing_folder(tmp_path / "out", force=False) as folder:
        (folder / "whole").touch()
    assert {p.name for p in tmp_path.iterdir()} == {"out", left.name}
