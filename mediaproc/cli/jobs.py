"""``mediaproc jobs``."""

from __future__ import annotations

from typing import Annotated

import typer

from mediaproc.addresses import shown
from mediaproc.cli.common import open_workspace, show_json

app = typer.Typer(help="What ran, how far it came, why it stopped.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JobId = Annotated[str, typer.Argument(help="The job's id.")]


@app.command("list")
def list_jobs(as_json: AsJson = False) -> None:
    """List jobs, newest first."""
    jobs = open_workspace().store.list()
    if as_json:
        show_json([job.to_json() for job in jobs])
        return
    for job in jobs:
        print(f"{job.id}  {job.status:<11}  {job.profile}  {shown(job.video)}")


@app.command()
def show(job_id: JobId, as_json: AsJson = False) -> None:
    """Show a job: how far it came and where the time went."""
    job = open_workspace().store.get(job_id)
    data = {**job.to_json(), "nodes": job.timings}
    if as_json:
        show_json(data)
        return
    for key, value in data.items():
        if key == "nodes":
            for node, timing in job.timings.items():
                print(f"  {node}: {timing['calls']} calls, {timing['seconds']:.3f} s")
        elif value not in (None, {}):
            print(f"{key}: {value}")


@app.command()
def rm(job_id: JobId) -> None:
    """Forget a job and its checkpoints; its results stay where they are."""
    job = open_workspace().remove(job_id)
    print(f"{job.id} removed; its results stay in {job.out_dir}")
