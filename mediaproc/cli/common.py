"""What the commands share: exit codes, output, the workspace, and running a job."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from mediaproc.errors import JobError, LeaseError, MediaprocError

if TYPE_CHECKING:
    from langgraph.runtime import RunControl

    from mediaproc.jobs import Job, Workspace

# Of glibc's malloc.h.
_M_ARENA_MAX = -8

DONE, FAILED, USAGE, INVALID, WAITING, INTERRUPTED = 0, 1, 2, 3, 4, 130


class ProgressMode(StrEnum):
    """How progress is shown."""

    AUTO = "auto"
    BAR = "bar"
    LOG = "log"
    JSONL = "jsonl"
    NONE = "none"


def fail(message: str) -> None:
    """Say something on stderr."""
    print(message, file=sys.stderr)


def show_json(data: Any) -> None:
    """Print data on stdout."""
    print(json.dumps(data, indent=2, ensure_ascii=False))


def open_workspace(concurrency: int | None = None) -> Workspace:
    """The workspace that the settings name, with logging set up."""
    from mediaproc import api
    from mediaproc.settings import load_settings

    _log_to_stderr(load_settings().log_level)
    return api.open_workspace(concurrency=concurrency)


def run_job(
    workspace: Workspace,
    job: Job,
    mode: ProgressMode,
    *,
    as_json: bool,
    profile_time: bool = False,
) -> int:
    """Run a job with progress, stop it cleanly on Ctrl-C, say how it ended; the exit code."""
    from mediaproc.cli.progress import display

    _share_heaps()
    try:
        with _stoppable() as control, display(mode, job) as on_event:
            job = workspace.run(job, control=control, on_event=on_event)
    except LeaseError:
        raise
    except MediaprocError as error:
        # Not even how it ended could be kept, or it could not begin.
        fail(f"mediaproc: error: {error}")
        fail(f"mediaproc: {job.id} stopped; once that is mended: mediaproc resume {job.id}")
        return FAILED
    if profile_time:
        from mediaproc.cli.timings import timing_table

        fail(timing_table(job))
    if as_json:
        show_json(job.to_json())
    elif job.status == "done":
        print(f"{job.id} done: results in {job.out_dir}")
    if job.status == "interrupted":
        fail(f"mediaproc: {job.id} interrupted; go on with: mediaproc resume {job.id}")
        return INTERRUPTED
    if job.status == "waiting":
        for question in workspace.questions(job):
            fail(f"mediaproc: {job.id} waits: {question}")
        fail(f"mediaproc: {job.id} goes on once it is answered: mediaproc review {job.id}")
        return WAITING
    if job.status == "failed":
        fail(f"mediaproc: error: {job.error}")
        fail(f"mediaproc: {job.id} failed; go on with: mediaproc resume {job.id}")
        return FAILED
    if job.error:
        fail(f"mediaproc: {job.id} {job.error}")
        return FAILED
    return DONE


def refuse_finished(job: Job) -> None:
    """JobError where there is nothing left to do."""
    if job.status == "done":
        raise JobError(f"job {job.id} is done: its results are in {job.out_dir}")


@contextmanager
def _stoppable() -> Iterator[RunControl]:
    """Ctrl-C (and SIGTERM) stop at the next safe point; a second one kills."""
    from langgraph.runtime import RunControl

    control = RunControl()

    def stop(number: int, frame: Any) -> None:
        if control.drain_requested:
            os._exit(INTERRUPTED)
        fail("mediaproc: stopping when the stages at work have ended; Ctrl-C again kills")
        control.request_drain("interrupted")

    if threading.current_thread() is not threading.main_thread():
        yield control
        return
    before = {n: signal.signal(n, stop) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield control
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _share_heaps() -> None:
    """Let all threads share two heaps, where the C library is glibc.

    By default each thread may get one of its own, which keeps what a model freed there while the
    next call, on another thread, takes new memory: half as much again, and more with every hour.
    """
    import ctypes

    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "gnu_get_libc_version"):
        libc.mallopt(_M_ARENA_MAX, 2)


def _log_to_stderr(level: str) -> None:
    import logging

    logging.basicConfig(
        level=level.upper(), stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
