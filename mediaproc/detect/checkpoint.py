"""The checkpointer that leaves each stage's output to the stage.

``StageCheckpointer`` wraps an official LangGraph saver. On the way in it replaces every ``Part``
by the JSON envelope that the stage's ``serialize_fn`` makes; on the way out it gives the parts
back, and they are restored when a node reads them. Everything else goes to the inner saver as it
is. Async methods run the sync ones on a thread, so one saver serves both worlds.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Send

from mediaproc.detect.parts import MARK, Part


def encode(value: Any) -> Any:
    """``value`` with every part in it replaced by its envelope."""
    if isinstance(value, Part):
        return value.envelope()
    if isinstance(value, Send):
        return Send(value.node, encode(value.arg))
    if type(value) is dict:
        return {key: encode(item) for key, item in value.items()}
    if type(value) is list:
        return [encode(item) for item in value]
    if type(value) is tuple:
        return tuple(encode(item) for item in value)
    return value


def decode(value: Any) -> Any:
    """``value`` with every envelope in it replaced by its part."""
    if isinstance(value, Send):
        return Send(value.node, decode(value.arg))
    if type(value) is dict:
        if MARK in value:
            return Part.from_envelope(value)
        return {key: decode(item) for key, item in value.items()}
    if type(value) is list:
        return [decode(item) for item in value]
    if type(value) is tuple:
        return tuple(decode(item) for item in value)
    return value


class StageCheckpointer(BaseCheckpointSaver[str]):
    """Checkpoints in which every stage keeps its own format.

    Args:
        inner: the official saver that stores them. One with sync methods, such as
            ``SqliteSaver``; its serialiser should be strict, so that nothing is unpickled.
    """

    def __init__(self, inner: BaseCheckpointSaver[str]) -> None:
        super().__init__(serde=inner.serde)
        self.inner = inner

    @property
    def config_specs(self) -> list[Any]:
        """The configurable fields of the inner saver."""
        return self.inner.config_specs

    def get_next_version(self, current: str | None, channel: None) -> str:
        """The inner saver's next channel version."""
        return self.inner.get_next_version(current, channel)

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
        encoded = checkpoint.copy()
        encoded["channel_values"] = encode(dict(checkpoint["channel_values"]))
        return self.inner.put(config, encoded, metadata, new_versions)

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store a task's writes, parts as envelopes."""
        encoded = [(channel, encode(value)) for channel, value in writes]
        self.inner.put_writes(config, encoded, task_id, task_path)

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """A checkpoint with its parts, restored when they are read."""
        found = self.inner.get_tuple(config)
        return None if found is None else _decoded(found)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Checkpoints with their parts, newest first."""
        for found in self.inner.list(config, filter=filter, before=before, limit=limit):
            yield _decoded(found)

    def delete_thread(self, thread_id: str) -> None:
        """Forget everything of a thread."""
        self.inner.delete_thread(thread_id)

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


def _decoded(found: CheckpointTuple) -> CheckpointTuple:
    checkpoint = found.checkpoint.copy()
    checkpoint["channel_values"] = decode(dict(checkpoint["channel_values"]))
    writes = found.pending_writes
    return found._replace(
        checkpoint=checkpoint,
        pending_writes=None
        if writes is None
        else [(task, channel, decode(value)) for task, channel, value in writes],
    )


@contextmanager
def open_sqlite_saver(path: Path | str) -> Iterator[StageCheckpointer]:
    """A ``StageCheckpointer`` over a SQLite file (``":memory:"`` for none).

    The database is in WAL mode and waits for other writers.
    """
    if path != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(str(path), check_same_thread=False, timeout=60.0)
    try:
        saver = SqliteSaver(connection, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
        saver.setup()
        yield StageCheckpointer(saver)
    finally:
        connection.close()
