"""Progress on stderr: bars on a terminal, log lines elsewhere, JSON lines for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mediaproc.addresses import shown
from mediaproc.cli.common import ProgressMode, fail

if TYPE_CHECKING:
    from mediaproc.jobs import Job

# Log lines of one node come at most this often, in seconds.
_LOG_EVERY_S = 5.0


@contextmanager
def display(mode: ProgressMode, job: Job) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that shows events in the given way."""
    if mode is ProgressMode.AUTO:
        mode = ProgressMode.BAR if sys.stderr.isatty() else ProgressMode.LOG
    if mode is ProgressMode.NONE:
        yield lambda event: None
    elif mode is ProgressMode.JSONL:
        yield lambda event: fail(json.dumps(event))
    elif mode is ProgressMode.LOG:
        yield _Log(job)
    else:
        with _bars() as show:
            yield show


class _Log:
    def __init__(self, job: Job) -> None:
        self._said: dict[str, float] = {}
        fail(f"{job.id}: {job.profile} on {shown(job.video)}")

    def __call__(self, event: dict[str, Any]) -> None:
        if event["type"] == "opened":
            video = event["video"]
            fail(
                f"{event['job']}: {video['duration_s']:.1f} s, {video['frame_count']} frames of "
                f"{video['width']}x{video['height']}"
            )
        elif message := _message(event):
            fail(message)
        elif event["type"] == "node":
            now, last = time.monotonic(), event["done"] >= event["total"]
            if last or now - self._said.get(event["node"], 0.0) >= _LOG_EVERY_S:
                self._said[event["node"]] = now
                so_far = f"{event['done']}/{event['total']}"
                fail(f"{event['job']}: {event['node']} {so_far}{_found(event)}")


@contextmanager
def _bars() -> Iterator[Callable[[dict[str, Any]], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    tasks: dict[str, Any] = {}

    def show(event: dict[str, Any]) -> None:
        if event["type"] == "planned":
            for node in event["nodes"]:
                tasks[node] = bars.add_task(node, total=event["segments"], rate="")
        elif message := _message(event):
            bars.console.print(message, markup=False, highlight=False)
        elif event["type"] == "node":
            if event["node"] not in tasks:
                tasks[event["node"]] = bars.add_task(event["node"], total=event["total"], rate="")
            bars.update(tasks[event["node"]], completed=event["done"], rate=_rate(event))

    with bars:
        yield show


def _message(event: dict[str, Any]) -> str | None:
    """What a person should know of, or None where the event only tells how far the job is."""
    job = event["job"]
    if event["type"] == "elsewhere":
        changes = "; ".join(event["changes"])
        return f"{job}: goes on elsewhere, so last digits may differ: {changes}"
    if event["type"] == "without_video":
        return f"{job}: goes on without its video, with kept frames: {event['why']}"
    if event["type"] == "failure":
        return f"{job}: {event['node']} failed and is skipped: {event['error']}"
    return None


def _rate(event: dict[str, Any]) -> str:
    """Seconds of video done in a second, and how much of it earlier jobs had done."""
    if event["segment"] is None:
        return "reused" if event["reused_so_far"] else ""
    share = event["reused_so_far"] / event["blocks_so_far"]
    reused = f", {share:.0%} reused" if share else ""
    return f"{event['speed']:.1f}x{reused}"


def _found(event: dict[str, Any]) -> str:
    if event["skipped"]:
        return ", skipped"
    if event["reused"] and event["reused"] == event["blocks"]:
        return ", taken over from an earlier job"
    found = ", ".join(f"{count} {channel}" for channel, count in event["items"].items())
    return f", {event['seconds']:.2f} s" + (f", {found}" if found else "")
