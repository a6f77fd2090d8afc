"""Which job holds which blob, so that a job's blobs can go and nobody else's do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mediaproc.blobs import BlobRef, BlobStore
from mediaproc.database import Database

# Blobs that one transaction deletes; writers of blobs wait for it.
_BATCH = 100
_LOCK = "mediaproc_blobs"


class BlobLedger:
    """Who holds which blob.

    An owner writes a blob down here before it looks whether the store has it. A blob goes from the
    store in the transaction that finds no owner of it any more, and no owner is written down
    meanwhile. So an owner's blob is there, whatever others delete and wherever a process dies.

    Args:
        database: the job database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, owner: str, ref: BlobRef) -> None:
        """Write down that ``owner`` holds a blob."""
        with self._database.write() as transaction:
            transaction.lock(_LOCK, shared=True)
            transaction.execute(
                "INSERT INTO mediaproc_blobs (owner, sha256, size) VALUES (?, ?, ?)"
                " ON CONFLICT (owner, sha256) DO NOTHING",
                (owner, ref.sha256, ref.size),
            )

    def held(self, owner: str) -> tuple[int, int]:
        """Number and bytes of the blobs that an owner holds, shared ones included."""
        with self._database.read() as transaction:
            found = transaction.row(
                "SELECT count(*), coalesce(sum(size), 0) FROM mediaproc_blobs WHERE owner = ?",
                (owner,),
            )
        assert found is not None
        return int(found[0]), int(found[1])

    def release(self, owner: str, store: BlobStore) -> None:
        """Forget what an owner holds, and delete from the store what nobody else does.

        Args:
            owner: whose blobs they are.
            store: where they are.
        """
        while self._release_some(owner, store):
            pass

    def _release_some(self, owner: str, store: BlobStore) -> bool:
        with self._database.write() as transaction:
            transaction.lock(_LOCK)
            found = transaction.rows(
                "SELECT b.sha256, b.size, EXISTS (SELECT 1 FROM mediaproc_blobs other"
                " WHERE other.sha256 = b.sha256 AND other.owner <> b.owner)"
                " FROM mediaproc_blobs b WHERE b.owner = ? ORDER BY b.sha256 LIMIT ?",
                (owner, _BATCH),
            )
            for sha256, size, shared in found:
                transaction.execute(
                    "DELETE FROM mediaproc_blobs WHERE owner = ? AND sha256 = ?", (owner, sha256)
                )
                if not shared:
                    store.delete(BlobRef(sha256, int(size)))
        return len(found) == _BATCH


class LedgeredBlobStore(BlobStore):
    """A blob store in which every blob has an owner.

    Args:
        store: where the blobs are.
        ledger: where their owners are.
        owner: whose blobs these are: a job's id, or a name with a colon in it, as no job has.
    """

    def __init__(self, store: BlobStore, ledger: BlobLedger, owner: str) -> None:
        self._store = store
        self._ledger = ledger
        self._owner = owner

    def __str__(self) -> str:
        return str(self._store)

    @property
    def shared(self) -> bool:  # type: ignore[override]
        """Whether other machines reach the same blobs."""
        return self._store.shared

    def put(self, data: bytes) -> BlobRef:
        """Write down the owner, then store ``data``; see ``BlobStore.put``."""
        self.hold(BlobRef.of(data))
        return self._store.put(data)

    def hold(self, ref: BlobRef) -> None:
        """Write down the owner of a blob that is stored already."""
        self._ledger.record(self._owner, ref)

    def get(self, ref: BlobRef) -> bytes:
        """The bytes behind ``ref``; see ``BlobStore.get``."""
        return self._store.get(ref)

    def get_range(self, ref: BlobRef, start: int, length: int) -> bytes:
        """Some bytes of ``ref``; see ``BlobStore.get_range``."""
        return self._store.get_range(ref, start, length)

    def check(self) -> None:
        """See ``BlobStore.check``."""
        self._store.check()

    def _name(self, key: str) -> str:
        return self._store._name(key)

    def _has(self, key: str, size: int) -> bool:
        return self._store._has(key, size)

    def _write(self, key: str, data: bytes) -> None:
        self._store._write(key, data)

    def _write_file(self, key: str, path: Path) -> None:
        self._store._write_file(key, path)

    def _make_scratch(self, ending: str) -> Path:
        return self._store._make_scratch(ending)

    def _read(self, key: str, span: tuple[int, int] | None = None) -> bytes:
        return self._store._read(key, span)

    def _delete(self, key: str) -> None:
        self._store._delete(key)

    def _list(self) -> Iterator[tuple[str, int, float]]:
        return self._store._list()
