"""What is kept of what happened in the runs of a job."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.runtime import RunControl

from mediaproc.detect.analysis import check
from mediaproc.detect.profile import parse_profile
from mediaproc.errors import JobError
from mediaproc.jobs import Job, Workspace

PROFILE = """
version: 1
name: t
segment: {max_s: 1}
stages: [sample_frames, detect_shots, report]
"""


@pytest.fixture
def workspace(location: str, tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace(tmp_path / "home", database=location, concurrency=1)
    yield opened
    opened.database.close()


@pytest.fixture
def job(workspace: Workspace, squares_clip: Path, tmp_path: Path) -> Job:
    plan = check(parse_profile(PROFILE))
    return workspace.create(plan, str(squares_clip), job_id="a", out_dir=str(tmp_path / "out"))


def stopping(control: RunControl, node: str) -> Callable[[dict[str, Any]], None]:
    def on_event(event: dict[str, Any]) -> None:
        if event["type"] == "node" and event["node"] == node:
            control.request_drain("test")

    return on_event


def kinds(workspace: Workspace) -> list[tuple[int, str]]:
    events = workspace.events("a")
    return [(event["run"], event.get("node") or event["type"]) for event in events]


def test_events_tell_a_run_in_few_rows(workspace: Workspace, job: Job) -> None:
    workspace.run(job)
    first, opened, *nodes, last = kinds(workspace)
    assert (first, opened, last) == ((1, "began"), (1, "opened"), (1, "ended"))
    assert sorted(nodes) == [
        (1, node) for node in ("detect_shots", "report", "sample_frames", "score_frames")
    ]


def test_events_sum_up_the_calls_of_a_node(workspace: Workspace, job: Job) -> None:
    workspace.run(job)
    (event,) = [e for e in workspace.events("a") if e.get("node") == "sample_frames"]
    assert (event["calls"], event["of"], event["items"]) == (6, 6, {"frames": 12})


def test_events_tell_how_far_a_stopped_run_came(workspace: Workspace, job: Job) -> None:
    control = RunControl()
    workspace.run(job, control=control, on_event=stopping(control, "score_frames"))
    *_, last = workspace.events("a")
    assert (last["type"], last["status"], last["error"]) == ("ended", "interrupted", None)
    (event,) = [e for e in workspace.events("a") if e.get("node") == "score_frames"]
    assert 0 < event["calls"] < event["of"] == 6


def test_events_of_the_next_run_follow(workspace: Workspace, job: Job) -> None:
    control = RunControl()
    workspace.run(job, control=control, on_event=stopping(control, "score_frames"))
    before = workspace.events("a")
    workspace.run(job)
    after = workspace.events("a")
    assert after[: len(before)] == before
    assert after[len(before)]["type"] == "began"
    assert {event["run"] for event in after[len(before) :]} == {2}
    assert (after[-1]["type"], after[-1]["status"]) == ("ended", "done")


def test_events_of_a_failed_run_say_why(
    workspace: Workspace, tmp_path: Path, squares_clip: Path
) -> None:
    clip = tmp_path / "broken.mp4"
    clip.write_text("no video")
    plan = check(parse_profile(PROFILE))
    failed = workspace.run(workspace.create(plan, str(clip), job_id="a", out_dir=str(tmp_path)))
    assert failed.status == "failed"
    *_, last = workspace.events("a")
    assert (last["status"], last["error"]) == ("failed", failed.error)


def test_events_go_with_their_job(workspace: Workspace, job: Job) -> None:
    workspace.run(job)
    workspace.remove("a")
    with workspace.database.read() as transaction:
        assert transaction.value("SELECT count(*) FROM mediaproc_events") == 0


def test_events_stay_where_a_job_is_pruned(workspace: Workspace, job: Job) -> None:
    workspace.run(job)
    before = workspace.events("a")
    workspace.prune(older_than_s=0)
    assert workspace.events("a") == before


def test_events_of_a_job_that_is_not_there_are_an_error(workspace: Workspace) -> None:
    with pytest.raises(JobError, match="there is no job 'nope'"):
        workspace.events("nope")


def test_events_hold_what_a_resume_said_before_it_began(
    workspace: Workspace, squares_clip: Path, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    shutil.copy(squares_clip, clip)
    stages = "[sample_frames: {keep: all}, report]"
    plan = check(parse_profile(f"version: 1\nname: t\nstages: {stages}\n"))
    job = workspace.create(plan, str(clip), job_id="a", out_dir=str(tmp_path / "out"))
    control = RunControl()
    workspace.run(job, control=control, on_event=stopping(control, "sample_frames"))
    clip.unlink()
    workspace.run(job)
    assert [kind for run, kind in kinds(workspace) if run == 2][:2] == ["began", "without_video"]


def test_events_that_are_damaged_hide_no_others(workspace: Workspace, job: Job) -> None:
    workspace.run(job)
    before = kinds(workspace)
    with workspace.database.write() as transaction:
        transaction.execute("UPDATE mediaproc_events SET data = ? WHERE number = 2", ("{",))
    assert kinds(workspace) == [before[0], (1, "damaged"), *before[2:]]
