"""The checkpointer that leaves each stage's output to the stage.

``StageCheckpointer`` wraps an official LangGraph saver. On the way in it replaces every ``Part``
by the JSON envelope that the stage's ``serialize_fn`` makes; on the way out it gives the parts
back, and they are restored when a node reads them. Everything else goes to the inner saver as it
is. What the official savers cannot do is in ``threads.py``. Async methods run the sync ones on a
thread, so one saver serves both worlds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.sqlite import SqliteSaver

from mediaproc.database import Database, PostgresDatabase, SqliteDatabase, connect
from mediaproc.detect.envelopes import (
    decoded_history,
    decoded_tuple,
    encoded_metadata,
    encoded_values,
    encoded_writes,
    of_job,
)
from mediaproc.detect.serializer import StrictSerializer
from mediaproc.detect.threads import ThreadTables

PRUNE_STRATEGIES = ("keep_latest", "delete")


OpensSaver = Callable[[], AbstractContextManager[BaseCheckpointSaver[str]]]


class StageCheckpointer(BaseCheckpointSaver[str]):
    """Checkpoints in which every stage keeps its own format.

    Args:
        database: where they are.
        saver: opens an official saver with sync methods over that database, for one call of one
            thread; its serialiser should be strict, so that nothing is unpickled.
        guard: called before every write; it raises where this process may write no more.

    Attributes:
        write_seconds: what writing took so far, summed over threads.
    """

    def __init__(
        self,
        database: Database,
        saver: OpensSaver,
        *,
        guard: Callable[[], None] = lambda: None,
    ) -> None:
        with saver() as self._any:  # for what needs no database
            super().__init__(serde=self._any.serde)
        self._database = database
        self._saver = saver
        self._guard = guard
        self.write_seconds = 0.0
        self._threads = ThreadTables(database)

    @property
    def config_specs(self) -> list[Any]:
        """The configurable fields of the inner saver."""
        return self._any.config_specs

    def get_next_version(self, current: str | None, channel: None) -> str:
        """The inner saver's next channel version."""
        return self._any.get_next_version(current, channel)

    def with_allowlist(self, extra_allowlist: Any) -> StageCheckpointer:
        """The same checkpointer: only JSON and LangGraph's own types ever go in."""
        return self

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint, parts as envelopes."""
        with self._writing() as saver:
            encoded = checkpoint.copy()
            encoded["channel_values"] = encoded_values(
                checkpoint["channel_values"], checkpoint["channel_versions"]
            )
            said = encoded_metadata(metadata, checkpoint["id"])
            return saver.put(config, encoded, said, new_versions)

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store a task's writes, parts as envelopes."""
        with self._writing() as saver:
            saver.put_writes(config, encoded_writes(writes, task_id), task_id, task_path)

    @contextmanager
    def _writing(self) -> Iterator[BaseCheckpointSaver[str]]:
        self._guard()
        started = time.perf_counter()
        with self._database.errors(), self._saver() as saver:
            yield saver
        self.write_seconds += time.perf_counter() - started

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """A checkpoint with its parts, restored when they are read.

        Raises:
            CheckpointError: this version cannot read it, or it is damaged.
        """
        with of_job(config):
            found = self._get(config)
        return None if found is None else decoded_tuple(found)

    def _get(self, config: RunnableConfig) -> CheckpointTuple | None:
        with self._database.errors(), self._saver() as saver:
            return saver.get_tuple(config)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Checkpoints with their parts, newest first."""
        # All at once: the official savers hold their lock while they list, so a caller that asked
        # for something else in between would wait for itself.
        with of_job(config), self._database.errors(), self._saver() as saver:
            tuples = [*saver.list(config, filter=filter, before=before, limit=limit)]
        return map(decoded_tuple, tuples)

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """The writes and the last snapshot from which each ``DeltaChannel`` is rebuilt."""
        with of_job(config):
            with self._database.errors(), self._saver() as saver:
                found = saver.get_delta_channel_history(config=config, channels=channels)
            return {channel: decoded_history(history) for channel, history in found.items()}

    def delete_thread(self, thread_id: str) -> None:
        """Forget everything of a thread."""
        self._threads.delete([str(thread_id)])

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Forget the checkpoints that some runs saved, and their writes.

        A ``DeltaChannel`` whose history is among them cannot be rebuilt any more.
        """
        self._threads.delete_for_runs([str(run_id) for run_id in run_ids])

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all checkpoints and writes of a thread; blobs that they name are shared.

        Raises:
            CheckpointError: the target has checkpoints already.
        """
        self._threads.copy(str(source_thread_id), str(target_thread_id))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Forget what is not needed to go on from where some threads are.

        Args:
            thread_ids: the threads.
            strategy: ``"keep_latest"`` keeps the latest checkpoint of each namespace with its
                writes and what its delta channels are rebuilt from; the namespace of a
                subgraph's call goes with the root checkpoint that it began from. ``"delete"``
                keeps nothing.

        Raises:
            ValueError: there is no such strategy.
        """
        if strategy not in PRUNE_STRATEGIES:
            raise ValueError(f"strategy {strategy!r} is not one of {', '.join(PRUNE_STRATEGIES)}")
        if strategy == "delete":
            self._threads.delete([str(thread_id) for thread_id in thread_ids])
            return
        for thread_id in thread_ids:
            with of_job({"configurable": {"thread_id": str(thread_id)}}):
                self._threads.keep_latest(str(thread_id), self._get)

    def size(self, thread_id: str) -> int:
        """Bytes that a thread's checkpoints and writes take, indexes not counted."""
        return self._threads.size(thread_id)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """``put`` on a thread."""
        return await asyncio.to_thread(self.put, config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """``put_writes`` on a thread."""
        await asyncio.to_thread(self.put_writes, config, writes, task_id, task_path)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """``get_tuple`` on a thread."""
        return await asyncio.to_thread(self.get_tuple, config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """``list`` on a thread."""
        found = await asyncio.to_thread(
            lambda: [*self.list(config, filter=filter, before=before, limit=limit)]
        )
        for item in found:
            yield item

    async def adelete_thread(self, thread_id: str) -> None:
        """``delete_thread`` on a thread."""
        await asyncio.to_thread(self.delete_thread, thread_id)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """``delete_for_runs`` on a thread."""
        await asyncio.to_thread(self.delete_for_runs, run_ids)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """``copy_thread`` on a thread."""
        await asyncio.to_thread(self.copy_thread, source_thread_id, target_thread_id)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """``prune`` on a thread."""
        await asyncio.to_thread(self.prune, thread_ids, strategy=strategy)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """``get_delta_channel_history`` on a thread."""
        return await asyncio.to_thread(
            self.get_delta_channel_history, config=config, channels=channels
        )


@contextmanager
def open_saver(
    location: Database | Path | str, *, guard: Callable[[], None] = lambda: None
) -> Iterator[StageCheckpointer]:
    """A ``StageCheckpointer`` over a SQLite file or a Postgres server.

    Args:
        location: a path, a ``postgresql://`` URL, or an open database, which stays open.
        guard: called before every write; it raises where this process may write no more.

    Raises:
        JobError: the database cannot be used; the text says why and what to do.
    """
    database = location if isinstance(location, Database) else connect(location)
    try:
        if isinstance(database, PostgresDatabase):
            yield StageCheckpointer(database, _postgres_savers(database), guard=guard)
        elif isinstance(database, SqliteDatabase):
            with database.errors():
                connection = database.connect()
            connection.isolation_level = "DEFERRED"  # the saver commits by itself
            inner = SqliteSaver(connection, serde=StrictSerializer())
            try:
                with database.errors():
                    inner.setup()
                yield StageCheckpointer(database, lambda: nullcontext(inner), guard=guard)
            finally:
                # Threads of a run that was given up may be at it; closing it under them crashes.
                with inner.lock:
                    connection.close()
    finally:
        if database is not location:
            database.close()


def _postgres_savers(database: PostgresDatabase) -> OpensSaver:
    """Opens a saver for each call: one alone would let only one thread at the server at a time."""
    from langgraph.checkpoint.postgres import PostgresSaver

    with database.connection() as connection:
        # Its setup is not safe against another process that does the same. The lock is polled,
        # since waiting for it in a statement would hold up CREATE INDEX CONCURRENTLY for ever.
        key = ("mediaproc-checkpoints",)
        while not _one(connection, "SELECT pg_try_advisory_lock(hashtext(%s))", key):
            time.sleep(0.1)
        try:
            PostgresSaver(connection).setup()
        finally:
            connection.execute("SELECT pg_advisory_unlock(hashtext(%s))", key)
    serializer = StrictSerializer()

    @contextmanager
    def opened() -> Iterator[BaseCheckpointSaver[str]]:
        with database.connection() as connection:
            yield PostgresSaver(connection, serde=serializer)

    return opened


def _one(connection: Any, sql: str, values: Sequence[Any]) -> Any:
    return connection.execute(sql, values).fetchone()[0]
