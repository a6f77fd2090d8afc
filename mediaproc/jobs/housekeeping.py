"""What jobs take in the database and the blob store, and giving it back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mediaproc.blobs import BlobStore
from mediaproc.database import Database
from mediaproc.errors import LeaseError
from mediaproc.jobs.events import EventLog
from mediaproc.jobs.lease import Lease
from mediaproc.jobs.ledger import BlobLedger
from mediaproc.jobs.store import Job, JobStore

if TYPE_CHECKING:
    from mediaproc.detect.checkpoint import StageCheckpointer


class Housekeeping:
    """Measures and removes what jobs store. Their results stay where they are.

    Args:
        database: the job database.
        blobs: the store itself, without an owner.
        saver: the checkpointer in which the jobs are kept.
    """

    def __init__(self, database: Database, blobs: BlobStore, saver: StageCheckpointer) -> None:
        self._database = database
        self._jobs = JobStore(database)
        self._events = EventLog(database)
        self._ledger = BlobLedger(database)
        self._blobs = blobs
        self._saver = saver

    def stored(self, job_id: str) -> dict[str, int]:
        """What a job takes: bytes in the database and in the blob store, and number of blobs."""
        blobs, blob_bytes = self._ledger.held(job_id)
        return {
            "database_bytes": self._saver.size(job_id),
            "blob_bytes": blob_bytes,
            "blobs": blobs,
        }

    def remove(self, job_id: str) -> Job:
        """Forget a job, its checkpoints, and the blobs that nobody else holds.

        Raises:
            JobError: there is no such job.
            LeaseError: a process runs it.
        """
        damaged = [job for job in self._jobs.list() if job.id == job_id and job.status == "damaged"]
        job = damaged[0] if damaged else self._jobs.get(job_id)
        self._forget(job, remove=True)
        self._database.reclaim()
        return job

    def prune(self, *, older_than_s: float, remove: bool) -> list[Job]:
        """Take checkpoints and blobs from jobs that have been done for a while.

        Args:
            older_than_s: for how long, in seconds.
            remove: forget the jobs too.

        Returns:
            The jobs that lost something.
        """
        before = time.time() - older_than_s
        pruned = []
        for job in self._jobs.list():
            if job.status != "done" or job.updated_at > before:
                continue
            if remove or any(self.stored(job.id).values()):
                try:
                    self._forget(job, remove=remove)
                except LeaseError:
                    continue  # another process is at this very job
                pruned.append(job)
        if pruned:
            self._database.reclaim()
        return pruned

    def _forget(self, job: Job, *, remove: bool) -> None:
        with Lease(self._database, job.id) as lease:
            # In this order: a checkpoint never names a blob that is gone, and a job that is gone
            # has left nothing behind.
            self._saver.delete_thread(job.id)
            self._ledger.release(job.id, self._blobs)
            lease.check()
            if remove:
                self._events.remove(job.id)
                self._jobs.remove(job.id)
