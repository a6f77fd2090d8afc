"""Findings of finished jobs in other formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mediaproc.errors import JobError, OutputError
from mediaproc.jobs.store import Job
from mediaproc.jobs.workspace import Workspace
from mediaproc.outputs import write_export
from mediaproc.outputs.formats import get_exporter


def export_job(
    workspace: Workspace,
    job_id: str,
    format: str,
    path: Path | str,
    *,
    table: str | None = None,
    nodes: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    force: bool = False,
) -> dict[str, int]:
    """Write what a finished job found in a format, from what it stored, on any machine.

    Args:
        workspace: where the job lives.
        job_id: the job's id.
        format: name of the format.
        path: the file or folder to make.
        table: the table to write; what the format takes by itself where None.
        nodes: take the rows of these nodes only; those of all where empty.
        options: values of the format's options, typed or as text.
        force: replace a file, or a folder that an earlier export made.

    Returns:
        The tables that were written, each with its number of rows.

    Raises:
        JobError: there is no such job, it is not done, or what it stored is gone.
        OutputError: there is no such format, table, node or option; or ``path`` is there already
            or cannot be written.
        MediaError: pixels are asked for and cannot be had.
        StageError: a stage of the job is not installed any more.
    """
    from mediaproc.detect.collect import collect_findings
    from mediaproc.detect.plan import Plan

    exporter = get_exporter(format)
    job = workspace.job(job_id)
    _refuse_unfinished(job)
    plan = Plan.from_json(job.plan)
    known = [node.id for node in plan.nodes]
    for node in nodes:
        if node not in known:
            raise OutputError(f"job {job.id} has no node {node!r}; it has: {', '.join(known)}")
    values = workspace.state(job)
    if not values:
        raise JobError(
            f"job {job.id}: what it stored was pruned, so that nothing is left to export; its "
            f"results are in {job.out_dir}; a new job over the same video stores them again"
        )
    findings = collect_findings(values, plan, workspace.blobs, nodes=nodes)
    try:
        written = write_export(
            exporter, Path(path), findings, table=table, options=options, force=force
        )
    except OutputError as error:
        raise OutputError(f"job {job.id}: {error}") from error
    return {one.name: len(one) for one in written}


def _refuse_unfinished(job: Job) -> None:
    if job.status == "done":
        return
    if job.status == "running":
        advice = f"wait until it is; see: mediaproc jobs show {job.id}"
    else:
        advice = f"go on with: mediaproc resume {job.id}"
    raise JobError(f"job {job.id} is {job.status}, and only one that is done is exported; {advice}")
