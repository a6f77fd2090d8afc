"""The lease: one process runs a job at a time, and a dead one does not keep it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from mediaproc.database import Database
from mediaproc.errors import JobError, LeaseError
from mediaproc.jobs.database import open_database
from mediaproc.jobs.lease import Lease, holder, request_cancel, this_machine

HOLD = """
import sys, time
from mediaproc.jobs.database import open_database
from mediaproc.jobs.lease import Lease
with Lease(open_database(sys.argv[1]), "job"):
    print("held", flush=True)
    time.sleep(60)
"""

RACE = """
import sys, time
from mediaproc.errors import LeaseError
from mediaproc.jobs.database import open_database
from mediaproc.jobs.lease import Lease
database = open_database(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
try:
    with Lease(database, "job"):
        print("won", flush=True)
        sys.stdin.readline()
except LeaseError:
    print("lost", flush=True)
"""


@pytest.fixture
def database(location: str) -> Iterator[Database]:
    opened = open_database(location)
    yield opened
    opened.close()


def start(code: str, location: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, location],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def insert(database: Database, *, ends_in_s: float, **changes: Any) -> None:
    """A lease of somebody else."""
    with database.write() as transaction:
        now = transaction.now()
        row: dict[str, Any] = {
            "job_id": "job",
            "token": "t",
            "host": "elsewhere",
            "machine": "another",
            "pid": 7,
            "process": "1",
            "since": now,
            "expires_at": now + ends_in_s,
            **changes,
        }
        transaction.execute(
            f"INSERT INTO mediaproc_leases ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
            list(row.values()),
        )


def test_lease_of_a_running_job_is_refused_and_says_who_has_it(database: Database) -> None:
    expected = re.escape(f"job job is being run by process {os.getpid()} on ") + (
        r"\S+ since \S+\+00:00; stop it with: mediaproc jobs cancel job"
    )
    with (
        Lease(database, "job"),
        pytest.raises(LeaseError, match=expected),
        Lease(database, "job"),
    ):
        pass


def test_lease_is_free_after_its_end(database: Database) -> None:
    with Lease(database, "job"):
        assert holder(database, "job") is not None
    assert holder(database, "job") is None
    with Lease(database, "job"):
        pass


def test_lease_goes_to_one_of_several_processes_that_race_for_it(
    location: str, database: Database
) -> None:
    processes = [start(RACE, location) for _ in range(4)]
    assert [said(process) for process in processes] == ["ready"] * 4
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert sorted(said(process) for process in processes) == ["lost"] * 3 + ["won"]
    for process in processes:
        process.communicate()


@pytest.mark.parametrize("waited_for", [True, False])
def test_lease_of_a_killed_process_is_taken_over_at_once(
    location: str, database: Database, waited_for: bool
) -> None:
    with start(HOLD, location) as process:
        assert said(process) == "held"
        os.kill(process.pid, signal.SIGKILL)
        if waited_for:
            process.wait()
        else:  # a zombie, as under a parent that does not look
            while holder(database, "job") is not None:
                time.sleep(0.01)
        with Lease(database, "job"):
            pass


def test_lease_of_a_process_whose_number_is_another_ones_is_taken_over(database: Database) -> None:
    insert(database, ends_in_s=60, machine=this_machine(), pid=os.getpid(), process="1")
    with Lease(database, "job"):
        pass


def test_lease_of_another_machine_holds_until_it_runs_out(database: Database) -> None:
    insert(database, ends_in_s=0.5)
    with pytest.raises(LeaseError, match="process 7 on elsewhere"), Lease(database, "job"):
        pass
    time.sleep(0.6)
    with Lease(database, "job"):
        pass


def test_lease_is_renewed_while_it_is_held(database: Database) -> None:
    with Lease(database, "job", ttl_s=0.5, renew_s=0.1):
        time.sleep(1.2)
        assert holder(database, "job") is not None


def test_lease_that_was_taken_over_stops_the_job_and_its_writes(database: Database) -> None:
    stopped = threading.Event()
    reasons = []

    def stop(reason: str) -> None:
        reasons.append(reason)
        stopped.set()

    with Lease(database, "job", on_stop=stop, poll_s=0.05) as lease:
        with database.write() as transaction:
            transaction.execute(
                "UPDATE mediaproc_leases SET token = 'x', host = 'elsewhere', machine = 'another'"
            )
        assert stopped.wait(5)
        with pytest.raises(LeaseError, match=r"taken over by process .* on elsewhere"):
            lease.check()
    assert reasons == ["lease lost"]
    found = holder(database, "job")
    assert found is not None
    assert found.host == "elsewhere"


def test_lease_that_cannot_be_renewed_in_time_stops_the_job(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = threading.Event()

    def fail() -> Any:
        raise JobError("no connection")

    with Lease(database, "job", on_stop=lambda _: stopped.set(), ttl_s=0.4, renew_s=0.1) as lease:
        monkeypatch.setattr(database, "write", fail)
        monkeypatch.setattr(database, "read", fail)
        assert not stopped.wait(0.2)
        assert stopped.wait(5)
        with pytest.raises(LeaseError, match=r"could not be renewed .no connection"):
            lease.check()


def test_lease_survives_a_pause_in_which_nobody_took_it(database: Database) -> None:
    with Lease(database, "job", ttl_s=0.1, renew_s=60, poll_s=60) as lease:
        time.sleep(0.2)
        lease.check()
        assert holder(database, "job") is not None


def test_lease_is_lost_in_a_pause_in_which_somebody_took_it(database: Database) -> None:
    with Lease(database, "job", ttl_s=0.1, renew_s=60, poll_s=60) as lease:
        time.sleep(0.2)
        with Lease(database, "job"), pytest.raises(LeaseError, match="taken over"):
            lease.check()


def test_lease_passes_a_request_to_cancel_on(location: str, database: Database) -> None:
    stopped = threading.Event()
    with Lease(database, "job", on_stop=lambda _: stopped.set(), poll_s=0.05) as lease:
        assert request_cancel(database, "job").pid == os.getpid()
        assert stopped.wait(5)
        lease.check()


def test_lease_taken_anew_knows_nothing_of_an_old_request_to_cancel(database: Database) -> None:
    insert(database, ends_in_s=-1, cancelled=1)
    with Lease(database, "job"), database.read() as transaction:
        assert transaction.value("SELECT cancelled FROM mediaproc_leases") == 0


def test_lease_of_a_job_that_nobody_runs_cannot_be_cancelled(database: Database) -> None:
    with pytest.raises(JobError, match="job job is not running"):
        request_cancel(database, "job")
