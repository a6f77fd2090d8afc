"""What a job is held to before it goes on: its video, its models, its stages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.runtime import RunControl

from mediaproc.detect import cache
from mediaproc.detect.analysis import check
from mediaproc.detect.models import ModelStore
from mediaproc.detect.profile import parse_profile
from mediaproc.detect.stages.base import REGISTRY, StageDefinition
from mediaproc.errors import JobError, MediaprocError
from mediaproc.jobs import Job, Workspace

PROFILE = """
version: 1
name: checks
segment: {{max_s: 1}}
stages:
  - sample_frames: {{fps: 2, keep: {keep}}}
  - detect_objects: {{model: "{model}", image_size: 64}}
  - report
"""


@pytest.fixture
def folder(tmp_path: Path, squares_clip: Path) -> Path:
    """A folder with a video and a model of its own."""
    shutil.copyfile(squares_clip, tmp_path / "clip.mp4")
    weights = ModelStore(tmp_path).weights("pkg:nudenet/320n.onnx")
    shutil.copyfile(weights, tmp_path / "model.onnx")
    return tmp_path


def begun(folder: Path, keep: str = "none") -> tuple[Workspace, Job]:
    """A job that stopped after its first stage call."""
    workspace = Workspace(folder / "home")
    text = PROFILE.format(model=folder / "model.onnx", keep=keep)
    job = workspace.create(
        check(parse_profile(text)), str(folder / "clip.mp4"), out_dir=str(folder / "out")
    )
    control = RunControl()

    def stop(event: dict[str, Any]) -> None:
        if event["type"] == "node" and event["node"] == "detect_objects":
            control.request_drain("test")

    ended = workspace.run(job, control=control, on_event=stop)
    assert ended.status == "interrupted"
    return workspace, ended


def calls_of(workspace: Workspace, job: Job) -> tuple[Job | None, list[dict[str, Any]], str]:
    """How a resume ended, the stage calls that it made, and what it said."""
    events: list[dict[str, Any]] = []
    try:
        job = workspace.run(job, on_event=events.append)
    except MediaprocError as error:
        return None, [e for e in events if e["type"] == "node"], str(error)
    return job, events, job.error or ""


def test_resume_refuses_another_video_before_any_work(folder: Path) -> None:
    workspace, job = begun(folder)
    data = (folder / "clip.mp4").read_bytes()
    (folder / "clip.mp4").write_bytes(data + b"\0")
    ended, calls, said = calls_of(workspace, job)
    assert (ended, calls) == (None, [])
    assert "clip.mp4 is not the video that the job began with; put that one back" in said
    (folder / "clip.mp4").write_bytes(data)
    assert workspace.run(job).status == "done"


def test_resume_refuses_another_model_before_any_work(folder: Path) -> None:
    import onnx

    workspace, job = begun(folder)
    before = (folder / "model.onnx").read_bytes()
    model = onnx.load(str(folder / "model.onnx"))
    model.producer_name = "another"
    onnx.save(model, str(folder / "model.onnx"))
    ended, calls, said = calls_of(workspace, job)
    assert (ended, calls) == (None, [])
    assert "node 'detect_objects' (detect_objects) has another weights" in said
    assert "put back what it began with, or start a new job" in said
    (folder / "model.onnx").write_bytes(before)
    assert workspace.run(job).status == "done"


def test_resume_refuses_a_missing_model_before_any_work(folder: Path) -> None:
    workspace, job = begun(folder)
    (folder / "model.onnx").unlink()
    ended, calls, said = calls_of(workspace, job)
    assert (ended, calls) == (None, [])
    assert "model.onnx" in said
    assert "no such file" in said


def test_resume_names_a_missing_blob(folder: Path) -> None:
    workspace, job = begun(folder)
    for blob in list(workspace.blobs.list()):
        workspace.blobs.delete(blob.ref)
    _, _, said = calls_of(Workspace(folder / "home"), job)
    assert "is missing; it was deleted, or was never written there" in said


@pytest.mark.parametrize(("keep", "goes_on"), [("none", False), ("all", True)])
def test_resume_without_the_video_needs_kept_frames(folder: Path, keep: str, goes_on: bool) -> None:
    workspace, job = begun(folder, keep)
    (folder / "clip.mp4").unlink()
    ended, _, said = calls_of(workspace, job)
    if goes_on:
        # Segments whose frames were not chosen yet still need it, and say so.
        assert ended is not None
        assert ended.status == "failed"
        assert "clip.mp4: no such file" in said
    else:
        assert ended is None
        assert "needs its video to go on" in said


def test_resume_elsewhere_says_so_and_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, job = begun(folder)
    cache.environment.cache_clear()
    monkeypatch.setattr(cache, "_cpu_kind", lambda: "another+kind")
    try:
        ended, events, _ = calls_of(workspace, job)
    finally:
        cache.environment.cache_clear()
    assert ended is not None
    assert ended.status == "done"
    (said,) = [event for event in events if event["type"] == "elsewhere"]
    assert len(said["changes"]) == 1
    assert said["changes"][0].startswith("machine: ")
    assert said["changes"][0].endswith("-> another+kind")


@pytest.fixture
def next_version() -> Iterator[StageDefinition]:
    """The frame sampler as its next version, which reads no older data yet."""
    stage = REGISTRY.get("sample_frames")
    before = stage.version, stage.migrate
    yield stage
    object.__setattr__(stage, "version", before[0])
    object.__setattr__(stage, "migrate", before[1])


def test_resume_refuses_results_of_an_older_stage_that_nothing_migrates(
    folder: Path, next_version: StageDefinition
) -> None:
    workspace, job = begun(folder)
    object.__setattr__(next_version, "version", next_version.version + 1)
    ended, _, said = calls_of(workspace, job)
    assert ended is not None
    assert ended.status == "failed"
    assert "written by version 1 of stage 'sample_frames', which is now at 2" in said


def test_resume_migrates_results_of_an_older_stage(
    folder: Path, next_version: StageDefinition
) -> None:
    workspace, job = begun(folder)
    migrated: list[dict[str, Any]] = []

    def migrate(data: dict[str, Any]) -> dict[str, Any]:
        migrated.append(data)
        return data

    object.__setattr__(next_version, "migrate", {next_version.version: migrate})
    object.__setattr__(next_version, "version", next_version.version + 1)
    assert workspace.run(job).status == "done"
    assert migrated


def test_resume_of_a_done_job_is_refused(folder: Path) -> None:
    workspace, job = begun(folder)
    assert workspace.run(job).status == "done"
    with pytest.raises(JobError, match="is done: its results are in"):
        workspace.run(job)
