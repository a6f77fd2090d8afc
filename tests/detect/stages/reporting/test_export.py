"""``export``: the file among the results is the one that ``mediaproc export`` writes."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from mediaproc.blobs import BlobRef, LocalBlobStore
from mediaproc.detect.analysis import check
from mediaproc.detect.profile import parse_profile
from mediaproc.errors import OutputError
from mediaproc.jobs import Workspace
from mediaproc.jobs.exports import export_job
from tests.detect.running import run_profile

STAGES = """
nodes:
  sample_frames: {stage: sample_frames}
  shots: {stage: detect_shots}
  out: {stage: export, config: CONFIG}
"""


def made(folder: Path, clip: Path, config: str) -> tuple[dict[str, Any], bytes]:
    """The row of the file, and its bytes."""
    _, tables = run_profile(folder, clip, STAGES.replace("CONFIG", config))
    (row,) = tables["files"].records()
    return row, LocalBlobStore(folder / "blobs").get(BlobRef.from_json(row["blob"]))


def test_export_file_is_that_of_the_command(tmp_path: Path, squares_clip: Path) -> None:
    profile = f"version: 1\nname: t\n{STAGES.replace('CONFIG', '{format: webvtt}')}"
    workspace = Workspace(tmp_path / "home")
    job = workspace.create(
        check(parse_profile(profile)), str(squares_clip), job_id="a", out_dir=str(tmp_path / "out")
    )
    assert workspace.run(job).status == "done"
    export_job(workspace, "a", "webvtt", tmp_path / "chapters.vtt")
    here = (tmp_path / "out" / "exports" / "out.vtt").read_bytes()
    assert here == (tmp_path / "chapters.vtt").read_bytes()


def test_export_a_folder_becomes_an_archive(tmp_path: Path, squares_clip: Path) -> None:
    row, data = made(tmp_path, squares_clip, "{format: csv}")
    assert (row["name"], row["media_type"]) == ("exports/out.zip", "application/zip")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["shots.csv"]
        assert archive.read("shots.csv").decode().count("\n") == 3


def test_export_equal_findings_give_equal_archives(tmp_path: Path, squares_clip: Path) -> None:
    first, _ = made(tmp_path / "one", squares_clip, "{format: csv}")
    second, _ = made(tmp_path / "two", squares_clip, "{format: csv}")
    assert first == second


def test_export_takes_a_table_and_options(tmp_path: Path, squares_clip: Path) -> None:
    config = '{format: webvtt, table: shots, options: ["kind=metadata"]}'
    row, data = made(tmp_path, squares_clip, config)
    assert (row["name"], row["media_type"]) == ("exports/out.vtt", "text/vtt")
    assert b'{"shots": [{' in data


def test_export_refuses_an_option_before_the_video_is_opened(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"webvtt has no option 'knd'; did you mean 'kind'\?"):
        made(tmp_path, tmp_path / "none.mp4", '{format: webvtt, options: ["knd=x"]}')


def test_export_says_which_tables_there_are(tmp_path: Path, squares_clip: Path) -> None:
    with pytest.raises(OutputError, match=r"takes tracks or detections, .* there is: shots"):
        made(tmp_path, squares_clip, "{format: mot}")
