"""``mediaproc resume``."""

from __future__ import annotations

from typing import Annotated

import typer

from mediaproc.cli.common import ProgressMode


def resume(
    job_id: Annotated[str, typer.Argument(help="The job's id.")],
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=256, help="How many stages work at once.")
    ] = None,
    progress: Annotated[ProgressMode, typer.Option(help="How progress is shown.")] = (
        ProgressMode.AUTO
    ),
    profile_time: Annotated[
        bool, typer.Option("--profile-time", help="Show where the time went, by node.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the job as JSON.")] = False,
) -> None:
    """Go on with an unfinished job, with the profile it began with."""
    from mediaproc.cli.common import open_workspace, refuse_finished, run_job
    from mediaproc.errors import JobError

    try:
        workspace = open_workspace(concurrency)
    except JobError as error:
        raise JobError(f"{error}; then: mediaproc resume {job_id}") from error
    job = workspace.store.get(job_id)
    refuse_finished(job)
    raise typer.Exit(run_job(workspace, job, progress, as_json=as_json, profile_time=profile_time))
