"""What happened in the runs of a job, as far as it is kept.

A few rows for each run, however long the video: that it began and where, what the pipeline told
about the video as a whole, each node once it was done, and how the run ended. A run without an
``ended`` goes on, or its process was killed.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from mediaproc.database import Database
from mediaproc.jobs.progress import NodeProgress, Progress
from mediaproc.jobs.store import Job

# Told once or seldom; what nodes tell of each segment is summed up.
_KEPT = ("opened", "elsewhere", "without_video", "failure")


class EventLog:
    """The events of jobs, in the job database.

    Args:
        database: the job database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def began(self, job: Job) -> None:
        """Keep that a run began, in this process."""
        here = {"host": socket.gethostname(), "process": os.getpid()}
        self._add(job, {"type": "began", **here, "mediaproc": version("mediaproc")})

    def heard(self, job: Job, event: Mapping[str, Any], progress: Progress) -> None:
        """Keep an event of the graph where it is of the whole, or a node where it is done."""
        if event["type"] in _KEPT:
            self._add(job, {key: value for key, value in event.items() if key != "job"})
        elif event["type"] == "node" and event["done"] == event["total"]:
            self._add(job, _summed(progress.nodes[event["node"]]))

    def ended(self, job: Job, progress: Progress) -> None:
        """Keep how a run ended, and how far the nodes came that are not through."""
        for node in progress.nodes.values():
            if 0 < node.done < node.total:
                self._add(job, _summed(node))
        self._add(job, {"type": "ended", "status": job.status, "error": job.error})

    def of(self, job_id: str) -> list[dict[str, Any]]:
        """The events of a job in order, each with ``run`` (from 1) and ``at`` (ISO 8601, UTC)."""
        with self._database.read() as transaction:
            rows = transaction.rows(
                "SELECT run, at, data FROM mediaproc_events WHERE job_id = ? ORDER BY number",
                (job_id,),
            )
        return [{"run": int(run), "at": _iso(at), **_event(data)} for run, at, data in rows]

    def remove(self, job_id: str) -> None:
        """Forget the events of a job."""
        with self._database.write() as transaction:
            transaction.execute("DELETE FROM mediaproc_events WHERE job_id = ?", (job_id,))

    def _add(self, job: Job, event: Mapping[str, Any]) -> None:
        # One process at a time, that which holds the lease, adds to a job.
        with self._database.write() as transaction:
            transaction.execute(
                "INSERT INTO mediaproc_events (job_id, number, run, at, data)"
                " SELECT ?, coalesce(max(number), 0) + 1, ?, ?, ? FROM mediaproc_events"
                " WHERE job_id = ?",
                (job.id, job.runs, transaction.now(), json.dumps(event), job.id),
            )


def _summed(node: NodeProgress) -> dict[str, Any]:
    return {
        "type": "node",
        "node": node.node,
        "calls": node.done,
        "of": node.total,
        "seconds": round(node.seconds, 3),
        "items": dict(node.items),
        "blocks": node.blocks,
        "reused": node.reused,
        "why": node.why,
    }


def _event(data: str) -> dict[str, Any]:
    try:
        event: dict[str, Any] = json.loads(data)
    except ValueError:
        return {"type": "damaged"}
    return event


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
