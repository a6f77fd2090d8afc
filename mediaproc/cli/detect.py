"""``mediaproc detect``."""

from __future__ import annotations

from typing import Annotated

import typer

from mediaproc.addresses import shown
from mediaproc.cli.common import (
    DONE,
    FAILED,
    INTERRUPTED,
    USAGE,
    WAITING,
    ProgressMode,
    fail,
)


def detect(
    videos: Annotated[
        list[str], typer.Argument(metavar="VIDEO...", help="Paths, http(s):// or s3:// URLs.")
    ],
    profile: Annotated[str, typer.Option("--profile", "-p", help="The YAML profile.")],
    out: Annotated[
        str | None, typer.Option(help="Folder for the results [default: runs/JOB_ID].")
    ] = None,
    job_id: Annotated[str | None, typer.Option(help="The job's id, with one video.")] = None,
    from_time: Annotated[
        str | None, typer.Option("--from", help="Start: seconds, MM:SS or HH:MM:SS.")
    ] = None,
    to_time: Annotated[str | None, typer.Option("--to", help="End, likewise.")] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Look at N pieces spread over the video only.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NODE.FIELD=VALUE", help="Change a setting of the profile."),
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Compute everything anew; keep the results.")
    ] = False,
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
    """Run a profile on videos, a job for each."""
    from mediaproc.cli.common import open_workspace, run_job
    from mediaproc.detect.analysis import check
    from mediaproc.detect.profile import load_profile
    from mediaproc.errors import MediaprocError

    if len(videos) > 1 and (job_id or out):
        fail("mediaproc: --job-id and --out go with one video; jobs of several get their own")
        raise typer.Exit(USAGE)
    span = {"from_s": _seconds(from_time), "to_s": _seconds(to_time), "sample": sample}
    plan = check(load_profile(profile).with_overrides(settings or []))
    workspace = open_workspace(concurrency)
    failed: list[str] = []
    waiting = False
    for video in videos:
        try:
            job = workspace.create(
                plan, video, span=span, out_dir=out, job_id=job_id, reuse=not no_cache
            )
            code = run_job(workspace, job, progress, as_json=as_json, profile_time=profile_time)
        except MediaprocError as error:
            if len(videos) == 1:
                raise
            fail(f"mediaproc: error: {error}")
            code = FAILED
        if code == INTERRUPTED:
            raise typer.Exit(INTERRUPTED)
        if code == WAITING:
            waiting = True
        elif code != DONE:
            failed.append(shown(video))
    if len(videos) > 1 and failed:
        fail(f"mediaproc: {len(failed)} of {len(videos)} videos failed: {', '.join(failed)}")
    raise typer.Exit(FAILED if failed else WAITING if waiting else DONE)


def _seconds(text: str | None) -> float | None:
    """Seconds of ``SS``, ``MM:SS`` or ``HH:MM:SS``, with a fraction where given."""
    if text is None:
        return None
    try:
        parts = [float(part) for part in text.split(":")]
        if len(parts) > 3 or any(part < 0 for part in parts):
            raise ValueError
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a time: give seconds, MM:SS or HH:MM:SS"
        ) from None
    seconds = 0.0
    for part in parts:
        seconds = seconds * 60 + part
    return seconds
