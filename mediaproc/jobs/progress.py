"""How far a job is: what progress bars, log lines and programs show, from one stream of events."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langgraph.types import StateSnapshot


@dataclass
class NodeProgress:
    """How far a node is.

    Attributes:
        node: its id.
        total: calls in all: segments, or 1.
        done: calls that have ended.
        seconds: time spent in them.
        time: parts of it by kind of work, and the decoding beside it; see ``mediaproc.timing``.
        video_s: seconds of video that they were about.
        items: rows written, by channel.
        blocks: anchor blocks (1 in video scope) that the calls were about.
        reused: those of them that were taken over from earlier jobs.
        why: why the others were not.
    """

    node: str
    total: int = 1
    done: int = 0
    seconds: float = 0.0
    time: dict[str, float] = field(default_factory=dict)
    video_s: float = 0.0
    items: dict[str, int] = field(default_factory=dict)
    blocks: int = 0
    reused: int = 0
    why: str | None = None


class Progress:
    """Folds the graph's events.

    Attributes:
        nodes: progress by node, in the order in which nodes were first heard of.
    """

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.nodes: dict[str, NodeProgress] = {}
        self._started = time.monotonic()

    def add(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Take in an event of the graph; the event for a program that follows the job."""
        kind = event["type"]
        if kind == "planned":
            for node in event["nodes"]:
                self.nodes[node] = NodeProgress(node, total=event["segments"])
        elif kind == "node":
            progress = self.nodes.setdefault(event["node"], NodeProgress(event["node"]))
            progress.done += 1
            progress.seconds += event["seconds"]
            _add(progress.time, event["time"])
            progress.video_s += event["video_s"]
            progress.blocks += event["blocks"]
            progress.reused += event["reused"]
            progress.why = progress.why or event["why"]
            for channel, count in event["items"].items():
                progress.items[channel] = progress.items.get(channel, 0) + count
            # A resumed job does not repeat finished calls, so a node may end short of its total.
            elapsed = time.monotonic() - self._started
            rate = progress.done / elapsed if elapsed > 0 else 0.0
            left = max(0, progress.total - progress.done)
            return {
                "job": self.job_id,
                **event,
                "done": progress.done,
                "total": progress.total,
                "rate": rate,
                "speed": progress.video_s / elapsed if elapsed > 0 else 0.0,
                "reused_so_far": progress.reused,
                "blocks_so_far": progress.blocks,
                "eta_s": left / rate if rate else None,
            }
        return {"job": self.job_id, **event}

    def elapsed(self, before: Mapping[str, float], checkpoints_s: float) -> dict[str, float]:
        """Seconds of the job so far and of writing checkpoints, added to those of earlier runs."""
        spent = {"total": time.monotonic() - self._started, "checkpoints": checkpoints_s}
        return {name: round(before.get(name, 0.0) + s, 3) for name, s in spent.items()}

    def timings(self, before: Mapping[str, Any]) -> dict[str, Any]:
        """Calls, seconds and what was reused by node, added to those of earlier runs."""
        merged = {node: dict(timing) for node, timing in before.items()}
        for node, progress in self.nodes.items():
            timing = merged.setdefault(
                node,
                {"calls": 0, "seconds": 0.0, "time": {}, "blocks": 0, "reused": 0, "why": None},
            )
            timing["calls"] += progress.done
            timing["seconds"] = round(timing["seconds"] + progress.seconds, 3)
            time_by_kind = _add(timing["time"], progress.time)
            timing["time"] = {kind: round(seconds, 3) for kind, seconds in time_by_kind.items()}
            timing["blocks"] += progress.blocks
            timing["reused"] += progress.reused
            timing["why"] = timing["why"] or progress.why
        return merged


def _add(total: dict[str, float], more: Mapping[str, float]) -> dict[str, float]:
    for kind, seconds in more.items():
        total[kind] = total.get(kind, 0.0) + seconds
    return total


def stopped_at(state: StateSnapshot) -> list[dict[str, Any]]:
    """Where a job that is not done goes on.

    Args:
        state: of its graph, that of its segments included.

    Returns:
        ``{"node": id, "segment": number or None}`` for each node that was at work or next.
    """
    found: set[tuple[str, int | None]] = set()
    for task in state.tasks:
        inner: Any = task.state
        if inner is None:
            found.add((task.name, None))
        elif inner.next and "segment" in inner.values:  # begun, and not ended
            number = inner.values["segment"]["number"]
            found.update((node, number) for node in inner.next)
    found = found or {(node, None) for node in state.next}
    ordered = sorted(found, key=lambda place: (-1 if place[1] is None else place[1], place[0]))
    return [{"node": node, "segment": segment} for node, segment in ordered]
