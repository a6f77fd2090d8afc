"""The lease: one process runs a job at a time, and the job database says which one."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mediaproc.database import Database, Transaction
from mediaproc.errors import JobError, LeaseError

# How long a lease is good for without a renewal, in seconds.
TTL_S = 30.0
# How often it is renewed, in seconds.
RENEW_S = 10.0
# How often the request to stop is looked for, in seconds.
POLL_S = 2.0

_COLUMNS = "token, host, machine, pid, process, since, expires_at"


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that runs a job.

    Attributes:
        token: of the lease.
        host: name of its machine.
        machine: boot and process namespace in which ``pid`` means that process, or None.
        pid: process number.
        process: what tells it from a later process of the same number, or None.
        since: seconds since 1970.
        expires_at: when the lease ends unless it is renewed, seconds since 1970.
    """

    token: str
    host: str
    machine: str | None
    pid: int
    process: str | None
    since: float
    expires_at: float

    def is_gone(self) -> bool:
        """Whether the process is known to have ended; False where that can't be told."""
        if self.machine is None or self.machine != this_machine():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass  # another user's, but there
        found = _process(self.pid)
        if self.pid == os.getpid() and found is not None and found[1] == self.process:
            # Ours, but of a run that ended when the database could not be told of it.
            return self.token not in _AT_WORK
        # The number may be another process's by now; a dead one that nobody waited for is a zombie.
        return found is not None and (found[0] in "ZX" or found[1] != self.process)

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since, UTC).isoformat(timespec="seconds")
        return f"process {self.pid} on {self.host} since {since}"


# Tokens of the leases that threads of this process hold.
_AT_WORK: set[str] = set()


def holder(database: Database, job_id: str) -> Holder | None:
    """The process that runs a job now, or None."""
    with database.read() as transaction:
        found = _find(transaction, job_id)
        now = transaction.now()
    return None if found is None or found.expires_at <= now or found.is_gone() else found


def request_cancel(database: Database, job_id: str) -> Holder:
    """Ask the process that runs a job to stop at the next safe point.

    Returns:
        The process that was asked.

    Raises:
        JobError: no process runs the job.
    """
    found = holder(database, job_id)
    asked = 0
    if found is not None:
        with database.write() as transaction:
            asked = transaction.execute(
                "UPDATE mediaproc_leases SET cancelled = 1 WHERE job_id = ? AND token = ?",
                (job_id, found.token),
            )
    if found is None or asked == 0:
        raise JobError(
            f"job {job_id} is not running; see how it ended: mediaproc jobs show {job_id}"
        )
    return found


class Lease:
    """The right of this process to run a job, renewed by a thread; a context manager.

    Args:
        database: the job database.
        job_id: the job.
        on_stop: called with a reason, on that thread, when the job should stop: somebody asked for
            it, or the lease is lost.
        ttl_s: how long the lease is good for without a renewal, in seconds.
        renew_s: how often it is renewed, in seconds.
        poll_s: how often the request to stop is looked for, in seconds.
    """

    def __init__(
        self,
        database: Database,
        job_id: str,
        *,
        on_stop: Callable[[str], None] = lambda reason: None,
        ttl_s: float = TTL_S,
        renew_s: float = RENEW_S,
        poll_s: float = POLL_S,
    ) -> None:
        self._database = database
        self._job_id = job_id
        self._on_stop = on_stop
        self._ttl_s = ttl_s
        self._renew_s = renew_s
        self._poll_s = min(poll_s, renew_s)
        self._token = secrets.token_hex(16)
        self._good_until = 0.0
        self._lost: str | None = None
        self._cancelled = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease of {job_id}", daemon=True)

    def __enter__(self) -> Self:
        """Take the lease.

        Raises:
            LeaseError: another process has it; the text says which one and how to stop it.
        """
        self._acquire()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        _AT_WORK.discard(self._token)
        if self._lost is not None:
            return  # the row is another's, or runs out by itself
        try:
            with self._database.write() as transaction:
                transaction.execute(
                    "DELETE FROM mediaproc_leases WHERE job_id = ? AND token = ?",
                    (self._job_id, self._token),
                )
        except JobError:
            # What ended the block says more; the row runs out by itself.
            if error is None:
                raise

    def check(self) -> None:
        """Make sure that this process may still write.

        Raises:
            LeaseError: another process took the job over, or the lease could not be renewed in
                time.
            JobError: the lease is due, and the database cannot be used.
        """
        if self._lost is None and _clock() >= self._good_until:
            self._renew()  # the thread is late, after a suspension for instance
        if self._lost is not None:
            raise LeaseError(self._lost)

    def _acquire(self) -> None:
        with self._database.write() as transaction:
            started, now = _clock(), transaction.now()
            found = _find(transaction, self._job_id)
            past = "mediaproc_leases.expires_at <= ?"
            taken = self._take(transaction, now, past, now)
            if not taken and found is not None and found.is_gone():
                dead = "mediaproc_leases.token = ?"
                taken = self._take(transaction, now, dead, found.token)
        if not taken:
            raise LeaseError(
                f"job {self._job_id} is being run by {found or 'another process'}; stop it with: "
                f"mediaproc jobs cancel {self._job_id}"
            )
        self._good_until = started + self._ttl_s
        _AT_WORK.add(self._token)

    def _take(self, transaction: Transaction, now: float, condition: str, value: Any) -> bool:
        """Put our lease in, in place of one that meets the condition; one statement, so atomic."""
        me = _process(os.getpid())
        machine = None if me is None else this_machine()
        process = None if me is None else me[1]
        taken = transaction.execute(
            "INSERT INTO mediaproc_leases"
            f" (job_id, {_COLUMNS}, cancelled) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)"
            " ON CONFLICT (job_id) DO UPDATE SET token = excluded.token, host = excluded.host,"
            " machine = excluded.machine, pid = excluded.pid, process = excluded.process,"
            " since = excluded.since, expires_at = excluded.expires_at, cancelled = 0"
            f" WHERE {condition}",
            (
                *(self._job_id, self._token, socket.gethostname(), machine, os.getpid(), process),
                *(now, now + self._ttl_s, value),
            ),
        )
        return taken == 1

    def _renew(self) -> None:
        started = _clock()
        with self._database.write() as transaction:
            renewed = transaction.execute(
                "UPDATE mediaproc_leases SET expires_at = ? WHERE job_id = ? AND token = ?",
                (transaction.now() + self._ttl_s, self._job_id, self._token),
            )
            found = None if renewed else _find(transaction, self._job_id)
        if renewed:
            self._good_until = started + self._ttl_s
        else:
            self._lose(f"it was taken over by {found}" if found else "it was removed")

    def _look(self) -> None:
        with self._database.read() as transaction:
            cancelled = transaction.value(
                "SELECT cancelled FROM mediaproc_leases WHERE job_id = ? AND token = ?",
                (self._job_id, self._token),
            )
        if cancelled is None:
            self._renew()  # the row is not ours any more, which this finds out
        elif cancelled and not self._cancelled:
            self._cancelled = True
            self._on_stop("cancelled")

    def _lose(self, why: str) -> None:
        if self._lost is None:
            self._lost = (
                f"job {self._job_id} stopped here: {why}; what it had saved is kept: "
                f"mediaproc jobs show {self._job_id}"
            )
            self._on_stop("lease lost")

    def _beat(self) -> None:
        due = _clock() + self._renew_s
        while self._lost is None and not self._ended.wait(self._poll_s):
            try:
                if _clock() >= due:
                    self._renew()
                    due = _clock() + self._renew_s
                self._look()
            except JobError as error:
                # Tried again at the next beat; only time decides that the lease is lost.
                if _clock() >= self._good_until:
                    self._lose(f"its lease ran out and could not be renewed ({error})")


def this_machine() -> str | None:
    """Boot and process namespace: what a process number means something in; None if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # Containers of one machine share the boot, but count processes each for itself.
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def _process(pid: int) -> tuple[str, str] | None:
    """State and start, in clock ticks since boot, of a process; None where they can't be read."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name, in parentheses, may hold anything; what follows the last one is fixed.
    fields = text.rpartition(")")[2].split()
    return fields[0], fields[19]


def _find(transaction: Transaction, job_id: str) -> Holder | None:
    row = transaction.row(f"SELECT {_COLUMNS} FROM mediaproc_leases WHERE job_id = ?", (job_id,))
    return None if row is None else Holder(*row)


def _clock() -> float:
    """Seconds that go on while the machine sleeps, as another one's clock does."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
