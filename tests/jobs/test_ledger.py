"""The ledger of blobs: a job's blobs go with it, and nobody else's do."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediaproc.blobs import BlobRef, LocalBlobStore
from mediaproc.database import Database
from mediaproc.errors import BlobError
from mediaproc.jobs.database import open_database
from mediaproc.jobs.ledger import BlobLedger, LedgeredBlobStore

KILLED_BEFORE_PUT = """
import os, signal, sys
from mediaproc.blobs import LocalBlobStore
from mediaproc.jobs.database import open_database
from mediaproc.jobs.ledger import BlobLedger, LedgeredBlobStore
class Killed(LocalBlobStore):
    def put(self, data):
        os.kill(os.getpid(), signal.SIGKILL)
ledger = BlobLedger(open_database(sys.argv[1]))
LedgeredBlobStore(Killed(sys.argv[2]), ledger, "job").put(b"blob")
"""


@pytest.fixture
def database(location: str) -> Iterator[Database]:
    opened = open_database(location)
    yield opened
    opened.close()


@pytest.fixture
def ledger(database: Database) -> BlobLedger:
    return BlobLedger(database)


@pytest.fixture
def store(tmp_path: Path) -> LocalBlobStore:
    return LocalBlobStore(tmp_path / "blobs")


def files(store: LocalBlobStore) -> set[str]:
    return {path.name for path in store.root.rglob("*") if path.is_file()}


def test_ledger_counts_what_an_owner_put_once(ledger: BlobLedger, store: LocalBlobStore) -> None:
    blobs = LedgeredBlobStore(store, ledger, "job")
    for data in (b"a", b"bcd", b"a"):
        assert blobs.get(blobs.put(data)) == data
    assert ledger.held("job") == (2, 4)


def test_ledger_releases_an_owners_blobs_and_keeps_those_of_others(
    ledger: BlobLedger, store: LocalBlobStore
) -> None:
    one, other = (LedgeredBlobStore(store, ledger, owner) for owner in ("one", "other"))
    one.put(b"own")
    shared = one.put(b"shared")
    assert other.put(b"shared") == shared
    ledger.release("one", store)
    assert files(store) == {shared.sha256}
    assert ledger.held("one") == (0, 0)
    ledger.release("other", store)
    assert files(store) == set()


def test_ledger_releases_more_than_a_batch(ledger: BlobLedger, store: LocalBlobStore) -> None:
    blobs = LedgeredBlobStore(store, ledger, "job")
    for number in range(205):
        blobs.put(b"%d" % number)
    ledger.release("job", store)
    assert (files(store), ledger.held("job")) == (set(), (0, 0))


def test_ledger_of_a_process_killed_before_its_put_knows_the_blob(
    location: str, ledger: BlobLedger, store: LocalBlobStore
) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_BEFORE_PUT, location, str(store.root)], check=False
    )
    assert killed.returncode == -9
    assert (ledger.held("job"), files(store)) == ((1, 4), set())
    ref = LedgeredBlobStore(store, ledger, "job").put(b"blob")
    assert store.get(ref) == b"blob"


def test_ledger_releases_a_blob_that_was_never_stored(
    ledger: BlobLedger, store: LocalBlobStore
) -> None:
    ledger.record("job", BlobRef.of(b"blob"))
    ledger.release("job", store)
    assert ledger.held("job") == (0, 0)


def test_ledger_release_that_failed_can_be_done_again(
    ledger: BlobLedger, store: LocalBlobStore
) -> None:
    class Failing(LocalBlobStore):
        def _delete(self, key: str) -> None:
            super()._delete(key)
            raise BlobError("the network is away")

    blobs = LedgeredBlobStore(store, ledger, "job")
    for data in (b"a", b"b"):
        blobs.put(data)
    with pytest.raises(BlobError):
        ledger.release("job", Failing(store.root))
    assert ledger.held("job")[0] == 2
    ledger.release("job", store)
    assert (files(store), ledger.held("job")) == (set(), (0, 0))


def test_ledger_never_loses_a_blob_that_another_owner_puts_meanwhile(
    ledger: BlobLedger, store: LocalBlobStore
) -> None:
    deleting, go_on = threading.Event(), threading.Event()

    class Slow(LocalBlobStore):
        def _delete(self, key: str) -> None:
            deleting.set()
            go_on.wait(10)
            super()._delete(key)

    ref = LedgeredBlobStore(store, ledger, "one").put(b"shared")
    other = LedgeredBlobStore(store, ledger, "other")
    release = threading.Thread(target=ledger.release, args=("one", Slow(store.root)))
    put = threading.Thread(target=other.put, args=(b"shared",))
    release.start()
    assert deleting.wait(10)
    put.start()
    put.join(0.3)
    go_on.set()
    release.join()
    put.join()
    assert other.get(ref) == b"shared"
