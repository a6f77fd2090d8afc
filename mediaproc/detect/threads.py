"""What the official savers lack: copying, pruning and measuring threads, in SQL for both.

Their tables differ in two ways. Postgres keeps the values of channels in a table of their own,
by version, where SQLite keeps them in the checkpoint; and the table of writes has another name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from langgraph.checkpoint.base import CheckpointTuple

from mediaproc.database import Database, Transaction
from mediaproc.errors import CheckpointError

# Values of one statement; SQLite has a limit.
_BATCH = 500

_CHECKPOINT = "checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata"
_WRITE = "checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type"
_COLUMNS = {
    "sqlite": {"checkpoints": _CHECKPOINT, "writes": f"{_WRITE}, value"},
    "postgres": {
        "checkpoints": _CHECKPOINT,
        "checkpoint_writes": f"{_WRITE}, blob",
        "checkpoint_blobs": "checkpoint_ns, channel, version, type, blob",
    },
}
_SIZES = {
    "sqlite": {
        "checkpoints": "length(checkpoint) + length(metadata)",
        "writes": "coalesce(length(value), 0)",
    },
    "postgres": {
        "checkpoints": "pg_column_size(checkpoint) + pg_column_size(metadata)",
        "checkpoint_writes": "pg_column_size(blob)",
        "checkpoint_blobs": "coalesce(pg_column_size(blob), 0)",
    },
}
_RUN_ID = {
    "sqlite": "json_extract(CAST(metadata AS TEXT), '$.run_id')",
    "postgres": "metadata ->> 'run_id'",
}
# Values that some checkpoint in a list uses, and no checkpoint outside of it.
_FREED_BLOBS = """
DELETE FROM checkpoint_blobs b WHERE b.thread_id = ? AND b.checkpoint_ns = ?
AND EXISTS (
    SELECT 1 FROM checkpoints c WHERE c.thread_id = b.thread_id
    AND c.checkpoint_ns = b.checkpoint_ns AND c.checkpoint_id = ANY(?)
    AND c.checkpoint -> 'channel_versions' ->> b.channel = b.version)
AND NOT EXISTS (
    SELECT 1 FROM checkpoints c WHERE c.thread_id = b.thread_id
    AND c.checkpoint_ns = b.checkpoint_ns AND c.checkpoint_id <> ALL(?)
    AND c.checkpoint -> 'channel_versions' ->> b.channel = b.version)
"""


class _Saved(NamedTuple):
    parent: str | None
    metadata: Mapping[str, Any]


class ThreadTables:
    """The threads of a saver's tables.

    Args:
        database: where the saver keeps them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._columns = _COLUMNS[database.dialect]
        self._writes = next(table for table in self._columns if table.endswith("writes"))

    def size(self, thread_id: str) -> int:
        """Bytes that a thread's checkpoints and writes take, indexes not counted."""
        sizes = _SIZES[self._database.dialect]
        with self._database.read() as transaction:
            return sum(
                int(
                    transaction.value(
                        f"SELECT coalesce(sum({size}), 0) FROM {table} WHERE thread_id = ?",
                        (thread_id,),
                    )
                )
                for table, size in sizes.items()
            )

    def copy(self, source: str, target: str) -> None:
        """Copy all checkpoints and writes of a thread; CheckpointError where the target has any."""
        with self._database.write() as transaction:
            if transaction.row("SELECT 1 FROM checkpoints WHERE thread_id = ? LIMIT 1", (target,)):
                raise CheckpointError(
                    f"thread {source!r} cannot be copied to {target!r}, which has checkpoints "
                    "already: delete that thread first, or choose another name"
                )
            for table, columns in self._columns.items():
                transaction.execute(
                    f"INSERT INTO {table} (thread_id, {columns})"
                    f" SELECT CAST(? AS TEXT), {columns} FROM {table} WHERE thread_id = ?",
                    (target, source),
                )

    def delete(self, thread_ids: Sequence[str]) -> None:
        """Forget everything of some threads."""
        with self._database.write() as transaction:
            for thread_id in thread_ids:
                for table in self._columns:
                    transaction.execute(f"DELETE FROM {table} WHERE thread_id = ?", (thread_id,))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Forget the checkpoints that some runs saved, and their writes, in every thread."""
        run_id = _RUN_ID[self._database.dialect]
        with self._database.write() as transaction:
            found: dict[tuple[str, str], list[str]] = {}
            for batch in _batches(run_ids):
                marks = _marks(batch)
                for thread_id, namespace, checkpoint_id in transaction.rows(
                    "SELECT thread_id, checkpoint_ns, checkpoint_id FROM checkpoints"
                    f" WHERE {run_id} IN ({marks})",
                    batch,
                ):
                    found.setdefault((thread_id, namespace), []).append(checkpoint_id)
            for (thread_id, namespace), checkpoint_ids in found.items():
                self._delete(transaction, thread_id, namespace, checkpoint_ids)

    def keep_latest(self, thread_id: str, get: Callable[[Any], CheckpointTuple | None]) -> None:
        """Forget all but the latest checkpoint of each namespace of a thread.

        The namespace of a subgraph's call goes with the root checkpoint that it began from. The
        ancestors that hold the history of a ``DeltaChannel`` stay. What a run saves meanwhile is
        not touched.

        Args:
            thread_id: the thread.
            get: the saver's ``get_tuple``.
        """
        with self._database.read() as transaction:
            saved = self._saved(transaction, thread_id)
        heads = {namespace: max(checkpoints) for namespace, checkpoints in saved.items()}
        gone: dict[str, list[str]] = {}
        for namespace, checkpoints in saved.items():
            root = checkpoints[heads[namespace]].metadata.get("parents", {}).get("")
            past = root in saved.get("", {}) and root != heads[""]
            if ":" in namespace and past:
                gone[namespace] = list(checkpoints)
                continue
            kept = {heads[namespace]}
            kept.update(_history(thread_id, namespace, checkpoints, heads[namespace], get))
            gone[namespace] = [each for each in checkpoints if each not in kept]
        with self._database.write() as transaction:
            for namespace, checkpoint_ids in gone.items():
                self._delete(transaction, thread_id, namespace, checkpoint_ids)

    def _saved(self, transaction: Transaction, thread_id: str) -> dict[str, dict[str, _Saved]]:
        """The thread's checkpoints by namespace and id."""
        found: dict[str, dict[str, _Saved]] = {}
        for namespace, checkpoint_id, parent, metadata in transaction.rows(
            "SELECT checkpoint_ns, checkpoint_id, parent_checkpoint_id, metadata"
            " FROM checkpoints WHERE thread_id = ?",
            (thread_id,),
        ):
            loaded = metadata if isinstance(metadata, dict) else json.loads(metadata)
            found.setdefault(namespace, {})[checkpoint_id] = _Saved(parent, loaded)
        return found

    def _delete(
        self,
        transaction: Transaction,
        thread_id: str,
        namespace: str,
        checkpoint_ids: Sequence[str],
    ) -> None:
        """Forget some checkpoints of a namespace, and what only they use."""
        if not checkpoint_ids:
            return
        if "checkpoint_blobs" in self._columns:
            ids = list(checkpoint_ids)
            transaction.execute(_FREED_BLOBS, (thread_id, namespace, ids, ids))
        for batch in _batches(checkpoint_ids):
            where = f"thread_id = ? AND checkpoint_ns = ? AND %s IN ({_marks(batch)})"
            values = (thread_id, namespace, *batch)
            for table in ("checkpoints", self._writes):
                transaction.execute(f"DELETE FROM {table} WHERE {where % 'checkpoint_id'}", values)
            transaction.execute(
                "UPDATE checkpoints SET parent_checkpoint_id = NULL"
                f" WHERE {where % 'parent_checkpoint_id'}",
                values,
            )


def _history(
    thread_id: str,
    namespace: str,
    checkpoints: Mapping[str, _Saved],
    head: str,
    get: Callable[[Any], CheckpointTuple | None],
) -> Iterator[str]:
    """The ancestors of ``head`` that its delta channels are rebuilt from, nearest first."""
    # LangGraph counts here the updates of each delta channel since its last snapshot, so it names
    # just those that need a history.
    wanted = set(checkpoints[head].metadata.get("counters_since_delta_snapshot") or {})
    parent = checkpoints[head].parent
    while wanted and parent is not None and parent in checkpoints:
        yield parent
        place = {"thread_id": thread_id, "checkpoint_ns": namespace, "checkpoint_id": parent}
        found = get({"configurable": place})
        if found is not None:
            wanted -= set(found.checkpoint["channel_values"])
        parent = checkpoints[parent].parent


def _batches(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[start : start + _BATCH] for start in range(0, len(values), _BATCH))


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))
