"""Results of earlier jobs in the job database, for all jobs and machines that share it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mediaproc.blobs import BlobStore
from mediaproc.database import Database
from mediaproc.detect.cache import CacheEntry, digest
from mediaproc.detect.reuse import references
from mediaproc.jobs.ledger import BlobLedger

# How exactly it is known when an entry was last used, in seconds: a write for each use would cost
# more than the order of the old ones is worth.
_USED_EXACT_S = 3600.0
_BATCH = 50


class DatabaseCache:
    """The cache that the jobs of a database share; see ``detect.cache.CacheStore``.

    Args:
        database: the job database.
        ledger: where entries hold the blobs that they name, so that the jobs that made them may go.
        blobs: where those blobs are.
    """

    def __init__(self, database: Database, ledger: BlobLedger, blobs: BlobStore) -> None:
        self._database = database
        self._ledger = ledger
        self._blobs = blobs

    def find(self, keys: Sequence[str]) -> dict[str, CacheEntry]:
        """The entries of those keys that are there."""
        marks = ", ".join("?" for _ in keys)
        with self._database.read() as transaction:
            now = transaction.now()
            rows = transaction.rows(
                "SELECT k.key, e.id, e.data, e.blocks, e.used_at, k.digest"
                " FROM mediaproc_cache_keys k"
                f" JOIN mediaproc_cache e ON e.id = k.id WHERE k.key IN ({marks})",
                tuple(keys),
            )
        # A damaged entry is as good as none, and so is a key that leads to another one.
        rows = [
            row
            for row in rows
            if digest([row[2], row[3]]) == row[1] and digest([row[0], row[1]]) == row[5]
        ]
        stale = {row[1] for row in rows if row[4] < now - _USED_EXACT_S}
        if stale:
            with self._database.write() as transaction:
                for entry_id in sorted(stale):
                    transaction.execute(
                        "UPDATE mediaproc_cache SET used_at = ? WHERE id = ?", (now, entry_id)
                    )
        entries = {row[1]: _entry(row[2], row[3]) for row in rows}
        return {row[0]: entries[row[1]] for row in rows}

    def keep(self, keys: Sequence[str], entry: CacheEntry) -> None:
        """Store an entry under each of its keys."""
        data, blocks = _text(entry.data), _text(entry.blocks)
        entry_id = digest([data, blocks])
        refs = references(entry.data)
        for ref in refs:
            self._ledger.record(_owner(entry_id), ref)
        size = len(data) + len(blocks) + sum(ref.size for ref in refs)
        with self._database.write() as transaction:
            transaction.execute(
                "INSERT INTO mediaproc_cache (id, data, blocks, size, used_at)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET used_at = excluded.used_at",
                (entry_id, data, blocks, size, transaction.now()),
            )
            for key in keys:
                transaction.execute(
                    "INSERT INTO mediaproc_cache_keys (key, id, digest) VALUES (?, ?, ?)"
                    " ON CONFLICT (key) DO UPDATE"
                    " SET id = excluded.id, digest = excluded.digest",
                    (key, entry_id, digest([key, entry_id])),
                )

    def facts(self, fingerprint: str, node: str) -> dict[str, Any] | None:
        """What the latest results of a node on a video followed from, or None.

        Damaged facts are as good as none: they only explain why something is computed.
        """
        with self._database.read() as transaction:
            found = transaction.row(
                "SELECT facts, digest FROM mediaproc_cache_facts"
                " WHERE fingerprint = ? AND node = ?",
                (fingerprint, node),
            )
        if found is None or digest([fingerprint, node, found[0]]) != found[1]:
            return None
        facts: dict[str, Any] = json.loads(found[0])
        return facts

    def keep_facts(self, fingerprint: str, node: str, facts: Mapping[str, Any]) -> None:
        """Remember what the results of a node on a video follow from."""
        text = _text(facts)
        with self._database.write() as transaction:
            transaction.execute(
                "INSERT INTO mediaproc_cache_facts (fingerprint, node, facts, digest, used_at)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT (fingerprint, node)"
                " DO UPDATE SET facts = excluded.facts, digest = excluded.digest,"
                " used_at = excluded.used_at",
                (fingerprint, node, text, digest([fingerprint, node, text]), transaction.now()),
            )

    def size(self) -> tuple[int, int]:
        """Number of entries, and bytes that they take, blobs included."""
        with self._database.read() as transaction:
            found = transaction.row("SELECT count(*), coalesce(sum(size), 0) FROM mediaproc_cache")
        assert found is not None
        return int(found[0]), int(found[1])

    def trim(self, most_bytes: int) -> int:
        """Drop the entries that were not used for the longest time, until the rest is small enough.

        Args:
            most_bytes: what may stay, blobs included.

        Returns:
            How many entries went.
        """
        gone = 0
        while (over := self.size()[1] - most_bytes) > 0 or (most_bytes == 0 and self.size()[0]):
            with self._database.read() as transaction:
                oldest = transaction.rows(
                    "SELECT id, size FROM mediaproc_cache ORDER BY used_at, id LIMIT ?", (_BATCH,)
                )
            for entry_id, size in oldest:
                if over <= 0 and most_bytes > 0:
                    break
                self._drop(entry_id)
                over -= int(size)
                gone += 1
        with self._database.write() as transaction:
            # Nothing of them is left to explain.
            transaction.execute(
                "DELETE FROM mediaproc_cache_facts WHERE used_at <"
                " (SELECT coalesce(min(used_at), 1e18) FROM mediaproc_cache) - 2592000"
            )
        return gone

    def _drop(self, entry_id: str) -> None:
        with self._database.write() as transaction:
            transaction.execute("DELETE FROM mediaproc_cache_keys WHERE id = ?", (entry_id,))
            transaction.execute("DELETE FROM mediaproc_cache WHERE id = ?", (entry_id,))
        # After the entry: who dies between the two leaves blobs that a later drop does not find,
        # but never an entry without its blobs.
        self._ledger.release(_owner(entry_id), self._blobs)


def _owner(entry_id: str) -> str:
    return f"cache:{entry_id}"


def _entry(data: str, blocks: str) -> CacheEntry:
    return CacheEntry(json.loads(data), tuple((start, end) for start, end in json.loads(blocks)))


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
