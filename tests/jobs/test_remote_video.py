"""Jobs over URLs: the results of the file, nothing secret shown, and a resume that looks again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mediaproc.detect.analysis import check
from mediaproc.detect.profile import parse_profile
from mediaproc.errors import JobError
from mediaproc.jobs import Job, Workspace
from tests.servers import Served, http_server

PROFILE = """
version: 1
name: remote
segment: {max_s: 1}
stages:
  - sample_frames: {fps: 5}
  - detect_shots: {threshold: 20}
  - report
"""


# One segment, whose frames are looked at without its video.
KEPT = """
version: 1
name: kept
segment: {max_s: 10}
stages:
  - sample_frames: {fps: 1, keep: all}
  - detect_objects: {model: "pkg:nudenet/320n.onnx", image_size: 320}
  - report
"""


@pytest.fixture
def served(squares_clip: Path) -> Iterator[Served]:
    with http_server() as server:
        server.files[f"/in/{squares_clip.name}"] = squares_clip.read_bytes()
        yield server


@dataclass
class Runs:
    """What a job over the file and one over a URL with secrets wrote and said."""

    local: Path
    remote: Path
    said: str


@pytest.fixture(scope="module")
def runs(squares_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("runs")
    profile = folder / "p.yaml"
    profile.write_text(PROFILE)
    said = []

    def call(*arguments: str) -> None:
        command = [sys.executable, "-m", "mediaproc", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout + done.stderr)

    detect = ["detect", "-p", str(profile)]
    with http_server() as server:
        server.files[f"/in/{squares_clip.name}"] = squares_clip.read_bytes()
        host = server.url.replace("http://", "http://me:hunter2@")
        call(*detect, str(squares_clip), "--out", str(folder / "local"))
        url = f"{host}/in/{squares_clip.name}?sig=hunter2"
        call(*detect, url, "--out", str(folder / "remote"), "--job-id", "r", "--progress", "jsonl")
    call("jobs", "list")
    call("jobs", "show", "r", "--json")
    return Runs(folder / "local", folder / "remote", "".join(said))


def test_detect_on_a_url_gives_the_results_of_the_file(runs: Runs) -> None:
    names = {file.name for file in runs.local.iterdir()}
    assert {"report.json", "shots.parquet", "run.json"} <= names
    for name in names - {"run.json"}:
        assert (runs.remote / name).read_bytes() == (runs.local / name).read_bytes(), name


def test_detect_on_a_url_shows_nothing_secret(runs: Runs) -> None:
    assert "/in/squares.mp4?***" in runs.said
    assert "hunter2" not in runs.said
    for file in runs.remote.iterdir():
        assert b"hunter2" not in file.read_bytes(), file


def stopped_when_opened(workspace: Workspace, url: str) -> Job:
    """A job that was interrupted as soon as its video was indexed."""
    from langgraph.runtime import RunControl

    control = RunControl()

    def stop(event: dict[str, Any]) -> None:
        if event["type"] == "opened":
            control.request_drain("test")

    job = workspace.create(check(parse_profile(PROFILE)), url)
    job = workspace.run(job, control=control, on_event=stop)
    assert job.status == "interrupted"
    return job


def test_resume_of_a_url_does_not_read_the_video_to_know_it_again(
    served: Served, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path)
    job = stopped_when_opened(workspace, f"{served.url}/in/squares.mp4")
    served.forget()
    assert workspace.run(job).status == "done"
    # One request to know it again; then it is opened once for each of 6 segments.
    assert len(served.requests) <= 1 + 6


def test_resume_of_a_url_refuses_another_video(served: Served, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    job = stopped_when_opened(workspace, f"{served.url}/in/squares.mp4?sig=hunter2")
    served.files["/in/squares.mp4"] += b"more"
    with pytest.raises(JobError, match=r"squares.mp4\?\*\*\* is not the video that the job began"):
        workspace.run(job)


def test_resume_of_a_url_that_is_gone_is_an_error(served: Served, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    job = stopped_when_opened(workspace, f"{served.url}/in/squares.mp4")
    served.files.clear()
    with pytest.raises(JobError, match=r"needs its video .*squares.mp4: no such file \(HTTP 404\)"):
        workspace.run(job)


def test_resume_of_a_url_that_is_gone_goes_on_where_frames_are_kept(
    served: Served, tmp_path: Path
) -> None:
    from langgraph.runtime import RunControl

    workspace = Workspace(tmp_path, concurrency=1)
    control = RunControl()

    def stop(event: dict[str, Any]) -> None:
        if event["type"] == "node" and event["node"] == "sample_frames":
            control.request_drain("test")

    job = workspace.create(check(parse_profile(KEPT)), f"{served.url}/in/squares.mp4")
    assert workspace.run(job, control=control, on_event=stop).status == "interrupted"
    served.files.clear()
    events: list[dict[str, Any]] = []
    done = workspace.run(job, on_event=events.append)
    assert done.status == "done", done.error
    assert [e["why"] for e in events if e["type"] == "without_video"] == [
        f"{served.url}/in/squares.mp4: no such file (HTTP 404)"
    ]
    assert any(e["type"] == "node" and e["node"] == "detect_objects" for e in events)


def test_run_with_a_video_that_is_replaced_in_between_fails(served: Served, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)

    def replace(event: dict[str, Any]) -> None:
        if event["type"] == "opened":
            served.files["/in/squares.mp4"] = served.files["/in/squares.mp4"][:-1] + b"x"

    job = workspace.create(check(parse_profile(PROFILE)), f"{served.url}/in/squares.mp4")
    job = workspace.run(job, on_event=replace)
    assert job.status == "failed"
    assert "squares.mp4: is not the video that was indexed" in (job.error or "")
