"""Files that appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

from mediaproc.outputs.files import replacing


def test_files_what_a_killed_writer_left_goes(tmp_path: Path) -> None:
    killed = replacing(tmp_path / "report.json")
    killed.__enter__().write_text("ha")
    writes = replacing(tmp_path / "report.json.txt")
    other = writes.__enter__()
    with replacing(tmp_path / "report.json") as temporary:
        temporary.write_text("half no more")
    assert {p.name for p in tmp_path.iterdir()} == {"report.json", other.name}
    assert (tmp_path / "report.json").read_text() == "half no more"
