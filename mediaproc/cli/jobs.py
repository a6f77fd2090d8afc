"""``mediaproc jobs``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mediaproc.addresses import shown
from mediaproc.cli.common import open_workspace, show_json
from mediaproc.cli.timings import timing_table
from mediaproc.errors import StageError

if TYPE_CHECKING:
    from mediaproc.jobs import Asked

app = typer.Typer(help="What ran, how far it came, why it stopped.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JobId = Annotated[str, typer.Argument(help="The job's id.")]


@app.command("list")
def list_jobs(as_json: AsJson = False) -> None:
    """List jobs, newest first."""
    jobs = open_workspace().jobs()
    if as_json:
        show_json([job.to_json() for job in jobs])
        return
    for job in jobs:
        print(f"{job.id}  {job.status:<11}  {job.profile}  {shown(job.video)}")


@app.command()
def show(job_id: JobId, as_json: AsJson = False) -> None:
    """Show a job: how far it came, where it stopped, what it takes, where the time went."""
    workspace = open_workspace()
    job = workspace.job(job_id)
    runner = workspace.running(job_id)
    stopped_at: list[dict[str, Any]] = []
    questions: list[Asked] = []
    problem = None
    if runner is None and job.status != "done":
        try:
            stopped_at = workspace.stopped_at(job)
            questions = workspace.questions(job)
        except StageError as error:  # a plugin is gone; the rest can be shown all the same
            problem = str(error)
    data = {
        **job.to_json(),
        "running": str(runner) if runner else None,
        "stopped_at": stopped_at,
        "asks": [{"id": q.id, "node": q.node, "question": q.payload} for q in questions],
        "problem": problem,
        "stored": workspace.stored(job_id),
        "seconds": job.elapsed,
        "nodes": job.timings,
    }
    if as_json:
        show_json(data)
        return
    for key, value in data.items():
        if key == "nodes":
            if job.timings:
                print(timing_table(job))
        elif key == "seconds":
            continue  # part of the table
        elif key == "stopped_at":
            for place in stopped_at:
                segment = "" if place["segment"] is None else f" of segment {place['segment']}"
                print(f"stopped at: {place['node']}{segment}")
        elif key == "asks":
            for question in questions:
                print(f"waits: {question}; answer with: mediaproc review {job_id}")
        elif key == "stored":
            print("stored: {database_bytes} bytes in the database".format_map(value), end=", ")
            print("{blob_bytes} bytes in {blobs} blobs".format_map(value))
        elif value not in (None, {}):
            print(f"{key}: {value}")


@app.command()
def events(job_id: JobId, as_json: AsJson = False) -> None:
    """Tell what happened in the runs of a job."""
    found = open_workspace().events(job_id)
    if as_json:
        show_json(found)
        return
    for event in found:
        print(f"{event['at']}  run {event['run']}  {_told(event)}")


def _told(event: dict[str, Any]) -> str:
    """An event in words."""
    kind = event["type"]
    if kind == "began":
        return f"began: process {event['process']} on {event['host']}"
    if kind == "opened":
        video = event["video"]
        size = f"{video['width']}x{video['height']}"
        return f"opened: {video['duration_s']:.1f} s, {video['frame_count']} frames of {size}"
    if kind == "node":
        found = "".join(f", {count} {channel}" for channel, count in event["items"].items())
        reused = f", {event['reused']} of {event['blocks']} blocks reused" * bool(event["reused"])
        calls = f"{event['calls']} of {event['of']} calls"
        return f"{event['node']}: {calls}, {event['seconds']:.3f} s{found}{reused}"
    if kind == "failure":
        return f"failure: {event['node']} is skipped: {event['error']}"
    if kind == "ended":
        return f"ended: {event['status']}" + (f": {event['error']}" if event["error"] else "")
    if kind == "elsewhere":
        return f"elsewhere: last digits may differ: {'; '.join(event['changes'])}"
    if kind == "without_video":
        return f"without_video: goes on with kept frames: {event['why']}"
    return str(kind)


@app.command()
def rm(job_id: JobId) -> None:
    """Forget a job, its checkpoints and blobs; its results stay where they are."""
    job = open_workspace().remove(job_id)
    print(f"{job.id} removed; its results stay in {job.out_dir}")


@app.command()
def cancel(job_id: JobId) -> None:
    """Ask a running job, maybe on another machine, to stop at the next safe point."""
    runner = open_workspace().cancel(job_id)
    print(f"{job_id}: asked {runner} to stop; go on later with: mediaproc resume {job_id}")


@app.command()
def prune(
    older_than: Annotated[
        str, typer.Option(metavar="AGE", help="Done for at least this long: 30d, 12h, 10m.")
    ] = "30d",
    remove: Annotated[bool, typer.Option("--remove", help="Forget the jobs too.")] = False,
) -> None:
    """Take checkpoints and blobs from jobs that are done; their results stay where they are."""
    for job in open_workspace().prune(older_than_s=_seconds(older_than), remove=remove):
        print(f"{job.id} {'removed' if remove else 'pruned'}")


def _seconds(age: str) -> float:
    found = re.fullmatch(r"(\d+)([dhms])", age)
    if found is None:
        raise typer.BadParameter(f"{age!r} is not an age: give 30d, 12h, 10m or 5s")
    return int(found[1]) * {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}[found[2]]
