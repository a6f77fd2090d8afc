"""Jobs from beginning to end on both databases: run, cancelled, taken over, removed, pruned."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langgraph.runtime import RunControl

from mediaproc.detect.analysis import check
from mediaproc.detect.profile import parse_profile
from mediaproc.errors import JobError, LeaseError, StageError
from mediaproc.jobs import Job, Workspace
from mediaproc.jobs.lease import POLL_S, Lease

PROFILE = """
version: 1
name: t
segment: {max_s: 1}
stages: [sample_frames, detect_shots, report]
"""


@pytest.fixture
def workspace(location: str, tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace(tmp_path / "home", database=location)
    yield opened
    opened.database.close()


@pytest.fixture
def new_job(workspace: Workspace, squares_clip: Path, tmp_path: Path) -> Callable[[str], Job]:
    plan = check(parse_profile(PROFILE))

    def new(job_id: str) -> Job:
        out = str(tmp_path / "out" / job_id)
        return workspace.create(plan, str(squares_clip), job_id=job_id, out_dir=out)

    return new


def blob_files(workspace: Workspace) -> list[Path]:
    return [path for path in (workspace.home / "blobs").rglob("*") if path.is_file()]


def at_first_node(act: Callable[[], Any]) -> Callable[[dict[str, Any]], None]:
    """A listener that acts when the first stage of a job has ended."""
    events = iter([act])

    def on_event(event: dict[str, Any]) -> None:
        if event["type"] == "node":
            next(events, lambda: None)()

    return on_event


def interrupted(workspace: Workspace, job: Job) -> Job:
    control = RunControl()
    stop = at_first_node(lambda: control.request_drain("test"))
    return workspace.run(job, control=control, on_event=stop)


def test_workspace_done_job_keeps_its_latest_checkpoint_only(
    workspace: Workspace, new_job: Callable[[str], Job]
) -> None:
    job = workspace.run(new_job("a"))
    assert (job.status, job.error) == ("done", None)
    with workspace.checkpointer() as saver:
        kept = list(saver.list({"configurable": {"thread_id": "a"}}))
    assert [each.config["configurable"]["checkpoint_ns"] for each in kept] == [""]
    assert "report" in kept[0].checkpoint["channel_values"]
    stored = workspace.stored("a")
    assert 0 < stored["database_bytes"] < 10_000
    assert stored["blobs"] == len(blob_files(workspace)) > 0


def test_workspace_interrupted_job_says_where_it_stopped_and_goes_on(
    workspace: Workspace, new_job: Callable[[str], Job]
) -> None:
    job = interrupted(workspace, new_job("a"))
    assert job.status == "interrupted"
    # Which one it is depends on what was at work: a node of a segment, or segments to begin with.
    nodes = {place["node"] for place in workspace.stopped_at(job)}
    assert nodes
    assert nodes <= {"sample_frames", "score_frames", "segments-1"}
    assert workspace.run(job).status == "done"


def test_workspace_job_that_is_being_run_is_refused(
    workspace: Workspace, new_job: Callable[[str], Job]
) -> None:
    job = new_job("a")
    with Lease(workspace.database, "a"):
        for action in (lambda: workspace.run(job), lambda: workspace.remove("a")):
            with pytest.raises(LeaseError, match="being run by process"):
                action()
    assert workspace.store.get("a") == job


def test_workspace_job_that_is_done_is_not_run_again(
    workspace: Workspace, new_job: Callable[[str], Job]
) -> None:
    begun = new_job("a")
    workspace.run(begun)
    with pytest.raises(JobError, match="job a is done: its results are in"):
        workspace.run(begun)


@pytest.mark.slow
def test_workspace_cancel_interrupts_a_running_job(
    workspace: Workspace, new_job: Callable[[str], Job]
) -> None:
    def cancel() -> None:
        workspace.cancel("a")
        time.sleep(POLL_S + 0.5)

    job = workspace.run(new_job("a"), on_event=at_first_node(cancel))
    assert job.status == "interrupted"
    assert workspace.run(job).status == "done"


@pytest.mark.slow
def test_workspace_job_that_was_taken_over_fails_and_writes_nothing_more(
    workspace: Workspace, new_job: Callable[[str], Job]
) -> None:
    sizes = []

    def take_over() -> None:
        with workspace.database.write() as transaction:
            transaction.execute("UPDATE mediaproc_leases SET token = 'x', host = 'elsewhere'")
        time.sleep(POLL_S + 0.5)
        sizes.append(workspace.stored("a"))

    job = new_job("a")
    with pytest.raises(LeaseError, match="job a stopped here: it was taken over by process"):
        workspace.run(job, on_event=at_first_node(take_over))
    assert workspace.store.get("a").status == "running"
    assert [workspace.stored("a")] == sizes
    assert not Path(job.out_dir).exists()


def test_workspace_job_whose_process_died_is_shown_as_interrupted(
    workspace: Workspace, new_job: Callable[[str], Job]
) -> None:
    workspace.store.update(replace(new_job("a"), status="running"))
    assert workspace.job("a").status == "interrupted"
    with Lease(workspace.database, "a"):
        assert [job.status for job in workspace.jobs()] == ["running"]


def test_workspace_removes_a_job_and_nothing_that_another_uses(
    workspace: Workspace, new_job: Callable[[str], Job]
) -> None:
    for job_id in ("a", "b"):
        workspace.run(new_job(job_id))
    before = blob_files(workspace)
    workspace.remove("a")
    assert [job.id for job in workspace.store.list()] == ["b"]
    assert blob_files(workspace) == before  # the same video, so the same index
    assert workspace.stored("a") == {"database_bytes": 0, "blob_bytes": 0, "blobs": 0}
    assert json.loads((workspace_out(workspace, "b") / "report.json").read_text())
    workspace.remove("b")
    assert blob_files(workspace) == []
    with workspace.database.read() as transaction:
        for table in ("jobs", "leases", "blobs"):
            assert transaction.value(f"SELECT count(*) FROM mediaproc_{table}") == 0


def workspace_out(workspace: Workspace, job_id: str) -> Path:
    return Path(workspace.store.get(job_id).out_dir)


def test_workspace_prune_takes_only_from_old_done_jobs(
    workspace: Workspace, new_job: Callable[[str], Job]
) -> None:
    workspace.run(new_job("done"))
    interrupted(workspace, new_job("open"))
    before = workspace.stored("open")
    assert workspace.prune(older_than_s=3600) == []
    assert [job.id for job in workspace.prune(older_than_s=0)] == ["done"]
    assert workspace.stored("done")["database_bytes"] == 0
    assert workspace.stored("open") == before
    assert workspace.store.get("done").status == "done"
    assert (workspace_out(workspace, "done") / "report.json").exists()
    assert workspace.prune(older_than_s=0) == []


def test_workspace_prune_can_remove_the_jobs_too(
    workspace: Workspace, new_job: Callable[[str], Job]
) -> None:
    workspace.run(new_job("done"))
    workspace.prune(older_than_s=0, remove=True)
    assert workspace.store.list() == []


def test_workspace_applies_its_retention_when_a_job_starts(
    workspace: Workspace, new_job: Callable[[str], Job]
) -> None:
    workspace.run(new_job("old"))
    workspace.retention_days = 0
    workspace.run(new_job("new"))
    assert workspace.stored("old")["database_bytes"] == 0
    assert workspace.stored("new")["database_bytes"] > 0


def test_workspace_names_a_stage_that_is_gone_before_any_work(
    workspace: Workspace, new_job: Callable[[str], Job]
) -> None:
    job = new_job("a")
    plan = json.loads(json.dumps(job.plan).replace('"detect_shots"', '"gone_stage"'))
    job = workspace.store.update(replace(job, plan=plan))
    with pytest.raises(StageError, match="needs stage 'gone_stage', which is not installed"):
        workspace.run(job)
    assert workspace.store.get("a") == job
    assert blob_files(workspace) == []


def test_workspace_keeps_the_blobs_of_graphs_that_run_outside_of_jobs(
    workspace: Workspace, new_job: Callable[[str], Job]
) -> None:
    workspace.run(new_job("a"))
    (blob,) = blob_files(workspace)
    workspace.blobs_of("graph:").put(blob.read_bytes())
    workspace.remove("a")
    assert blob_files(workspace) == [blob]
