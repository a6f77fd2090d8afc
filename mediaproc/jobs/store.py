"""Which jobs there are and how far they came."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import secrets
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from mediaproc.addresses import shown
from mediaproc.database import Database
from mediaproc.errors import JobError

JobStatus = Literal["queued", "running", "done", "failed", "interrupted", "waiting", "damaged"]

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class Job:
    """A run of a profile over a video.

    Attributes:
        id: ``[A-Za-z0-9_-]{1,64}``; also the graph's thread id.
        video: path or URL of the video, whole: ``to_json`` masks what is secret in it.
        profile: name of the profile.
        plan: the checked profile with defaults filled in, as JSON.
        span: the piece of the video to look at.
        out_dir: where results go.
        status: how far it came.
        created_at: seconds since 1970.
        updated_at: seconds since 1970.
        error: why it failed, in one line, or None.
        runs: how often it was started, resumes included.
        timings: node -> calls and seconds, over all runs.
        elapsed: seconds in all and of writing checkpoints, over all runs.
        reuse: whether results of earlier jobs are taken over.
        answers: what people answered and the graph has not taken in yet, by id of the question.
    """

    id: str
    video: str
    profile: str
    plan: dict[str, Any]
    span: dict[str, Any]
    out_dir: str
    status: JobStatus = "queued"
    created_at: float = 0.0
    updated_at: float = 0.0
    error: str | None = None
    runs: int = 0
    timings: dict[str, Any] = field(default_factory=dict)
    elapsed: dict[str, float] = field(default_factory=dict)
    reuse: bool = True
    answers: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What a person or a program wants to know of it; the plan is left out."""
        return {
            "id": self.id,
            "status": self.status,
            "video": shown(self.video),
            "profile": self.profile,
            "span": self.span,
            "out_dir": self.out_dir,
            "created_at": _iso(self.created_at),
            "updated_at": _iso(self.updated_at),
            "runs": self.runs,
            "error": self.error,
        }


class JobStore:
    """Jobs in the job database.

    Args:
        database: what ``open_database`` gave.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, job: Job) -> Job:
        """Add a job; JobError where the id is not legal or taken."""
        if not _ID.match(job.id):
            raise JobError(f"job id {job.id!r} is not legal: 1 to 64 letters, digits, '-' and '_'")
        job = replace(job, created_at=time.time(), updated_at=time.time())
        with self._database.write() as transaction:
            added = transaction.execute(
                "INSERT INTO mediaproc_jobs (created_at, data, id) VALUES (?, ?, ?)"
                " ON CONFLICT (id) DO NOTHING",
                _row(job),
            )
        if not added:
            raise JobError(
                f"there is a job {job.id!r} already; resume it with: mediaproc resume "
                f"{job.id}, or remove it with: mediaproc jobs rm {job.id}"
            )
        return job

    def update(self, job: Job) -> Job:
        """Keep the job's new state."""
        job = replace(job, updated_at=time.time())
        with self._database.write() as transaction:
            transaction.execute(
                "UPDATE mediaproc_jobs SET created_at = ?, data = ? WHERE id = ?", _row(job)
            )
        return job

    def get(self, job_id: str) -> Job:
        """A job by its id; JobError where there is none, or its row is damaged."""
        with self._database.read() as transaction:
            data = transaction.value("SELECT data FROM mediaproc_jobs WHERE id = ?", (job_id,))
            if data is not None:
                if (job := _job(job_id, data)).status == "damaged":
                    raise JobError(f"job {job_id}: {job.error}")
                return job
            ids = [found for (found,) in transaction.rows("SELECT id FROM mediaproc_jobs")]
        near = difflib.get_close_matches(job_id, ids, 1)
        hint = f"did you mean {near[0]!r}?" if near else "list them with: mediaproc jobs list"
        raise JobError(f"there is no job {job_id!r}; {hint}")

    def list(self) -> list[Job]:
        """All jobs, newest first; of one whose row is damaged no more than that."""
        with self._database.read() as transaction:
            rows = transaction.rows(
                "SELECT id, data FROM mediaproc_jobs ORDER BY created_at DESC, id"
            )
        return [_job(job_id, data) for job_id, data in rows]

    def remove(self, job_id: str) -> None:
        """Forget a job."""
        with self._database.write() as transaction:
            transaction.execute("DELETE FROM mediaproc_jobs WHERE id = ?", (job_id,))


def new_job_id() -> str:
    """An id that sorts by time."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def _row(job: Job) -> tuple[float, str, str]:
    text = json.dumps({name: getattr(job, name) for name in Job.__slots__})
    return job.created_at, f"{_digest(job.id, text)} {text}", job.id


def _job(job_id: str, stored: str) -> Job:
    """The job in a row, or one of status ``damaged`` that says so."""
    digest, _, text = stored.partition(" ")
    if digest == _digest(job_id, text):
        return Job(**json.loads(text))
    said = (
        "its row in the job database is damaged, or an earlier version of mediaproc wrote it; "
        f"remove it with 'mediaproc jobs rm {job_id}' and start it anew"
    )
    return Job(job_id, "?", "?", {}, {}, "?", status="damaged", error=said)


def _digest(job_id: str, text: str) -> str:
    return hashlib.blake2b(f"{job_id} {text}".encode(), digest_size=8).hexdigest()


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
