"""The wrapper that makes a LangGraph node of a stage.

It asks the cache what is known, calls the stage on the rest with the services that its functions
declare, checks what comes back against the declaration, and hands it on as a part.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langgraph.config import get_stream_writer
from langgraph.errors import GraphBubbleUp, NodeError
from langgraph.types import interrupt

from mediaproc.detect.cache import Block, CacheEntry
from mediaproc.detect.checkpoint import StageCheckpointer
from mediaproc.detect.parts import Part, json_problem
from mediaproc.detect.plan import Plan, PlanNode
from mediaproc.detect.reuse import Known, NodeCache
from mediaproc.detect.rows import Rows
from mediaproc.detect.services import Services
from mediaproc.detect.stages.base import REGISTRY, StageDefinition
from mediaproc.detect.state import DetectState, Frames, Segment
from mediaproc.detect.views import NodeView, job_id
from mediaproc.errors import MediaprocError, StageError
from mediaproc.timing import clocked

# Where LangGraph leaves the checkpointer that a run uses.
_CHECKPOINTER = "__pregel_checkpointer"


class StageNode:
    """One node of the graph: a stage with its configuration and its inputs.

    Args:
        node: the node's part of the plan.
        plan: the whole plan.
        services: what the graph's nodes share.
    """

    def __init__(self, node: PlanNode, plan: Plan, services: Services) -> None:
        self.node = node
        self.stage: StageDefinition = REGISTRY.get(node.stage)
        self.services = services
        self.view = NodeView(node, plan, services)
        self.cache = NodeCache(node, plan, services, self.view)

    def runnable(self) -> Runnable[Any, Any]:
        """The node for ``StateGraph.add_node``, for sync and async graphs."""
        return RunnableLambda(self.run, self.arun, name=self.node.id)

    def run(self, state: dict[str, Any], config: RunnableConfig) -> dict[str, Any]:
        """Run the stage, or take over what is known; the state update that LangGraph applies."""
        known = self.cache.find(state)
        updates = []
        spent = _Spent()
        for view in self._views(known, state, config):
            try:
                # Waiting for a turn is nobody's work.
                with self.services.stage_calls, spent.counting():
                    update = self._call(view, state)
                    if inspect.iscoroutine(update):
                        update = _awaited(self._in_time(update))
            except (GraphBubbleUp, MediaprocError):
                raise
            except Exception as error:
                raise self._failure(view, error) from error
            updates.append((view, update))
        return self._handed_on(updates, known, state, config, spent)

    async def arun(self, state: dict[str, Any], config: RunnableConfig) -> dict[str, Any]:
        """``run`` for async graphs: an async stage is awaited, others run on a thread."""
        if not self.stage.is_async:
            return await asyncio.to_thread(self.run, state, config)
        known = await asyncio.to_thread(self.cache.find, state)
        updates = []
        spent = _Spent()
        for view in await asyncio.to_thread(lambda: [*self._views(known, state, config)]):
            try:
                with spent.counting():
                    update = await self._in_time(self._call(view, state))
            except (GraphBubbleUp, MediaprocError):
                raise
            except Exception as error:
                raise self._failure(view, error) from error
            updates.append((view, update))
        return await asyncio.to_thread(self._handed_on, updates, known, state, config, spent)

    def failed(self, state: dict[str, Any], error: NodeError) -> dict[str, Any]:
        """The update where the stage failed and the profile says ``on_error: skip``."""
        index = self.services.media(state["header"]).index
        start, end = 0, len(index)
        if self.node.scope == "segment":
            blocks = state["segment"]["blocks"]
            start, end = blocks[0][0], blocks[-1][1]
        failure = {
            "node": self.node.id,
            "stage": self.node.stage,
            "start_s": index.time_s(start),
            "end_s": index.end_s(end - 1),
            "error": str(error.error),
        }
        get_stream_writer()({"type": "failure", **self._where(state), **failure})
        return {"failures": [failure]}

    # ---- calling it

    def _views(
        self, known: Known, state: dict[str, Any], config: RunnableConfig
    ) -> Iterator[DetectState]:
        """What the stage is called with, once for each run of blocks that is not known."""
        for blocks in known.missing:
            view = self.view.of(state, config, blocks)
            if view is not None:
                yield view

    def _call(self, view: DetectState, state: Mapping[str, Any]) -> Any:
        function = self.stage.fn
        assert function is not None
        keywords = self.services.bind(
            function,
            config=dict(self.node.config),
            media=self.services.media(state["header"], self.node),
            progress=self._progress(state),
            ask=interrupt,
        )
        return function(view, **keywords)

    async def _in_time(self, update: Awaitable[Any]) -> Any:
        """What an async stage returns. Its ``timeout:`` is kept here, for sync graphs too.

        LangGraph keeps timeouts in async graphs alone, and refuses them in sync ones.
        """
        limit = asyncio.timeout(self.node.timeout_s)
        try:
            async with limit:
                return await update
        except TimeoutError as error:
            if not limit.expired():
                raise  # the stage's own
            said = f"{self}: not done within its timeout of {self.node.timeout_s:g} s"
            raise StageError(said) from error

    def _progress(self, state: Mapping[str, Any]) -> Callable[[int, int], None]:
        write = get_stream_writer()
        where = self._where(state)

        def progress(done: int, total: int) -> None:
            """Tell how far within this call the stage is, in items of its own choosing."""
            write({"type": "progress", **where, "done": done, "total": total})

        return progress

    def _where(self, state: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "node": self.node.id,
            "stage": self.node.stage,
            "phase": self.node.phase,
            "segment": state["segment"]["number"] if self.node.scope == "segment" else None,
        }

    # ---- what comes back

    def _handed_on(
        self,
        updates: list[tuple[DetectState, Any]],
        known: Known,
        state: Mapping[str, Any],
        config: RunnableConfig,
        spent: _Spent,
    ) -> dict[str, Any]:
        if known.entry is None and not known.pieces and not updates:
            self._tell(state, skipped=True)
            return {}
        if known.entry is not None:
            part = self._part(state, config, data=known.entry.data)
            self._tell(state, reused=len(known.entry.blocks) or 1)
            return {"parts": [self._travelling(part, config)]}
        pieces = [(_start(view), self._checked(update)) for view, update in updates]
        pieces += [
            (block[0], self._restored(block, entry, state, config))
            for block, entry in known.pieces.items()
        ]
        writes = _joined([update for _, update in sorted(pieces, key=lambda piece: piece[0])])
        outputs = {c: v for c, v in writes.items() if REGISTRY.channel(c).output}
        values = {c: v for c, v in writes.items() if c not in outputs}
        result: dict[str, Any] = dict(outputs)
        if values:
            part = self._part(state, config, writes=values)
            if self.cache.active:
                self.cache.keep(state, part.envelope()["data"])
            result["parts"] = [self._travelling(part, config)]
        seen = [view["frames"] for view, _ in updates if isinstance(view.get("frames"), Frames)]
        self._tell(
            state,
            spent=spent,
            items={c: len(v) for c, v in values.items() if hasattr(v, "__len__")},
            frames=sum(map(len, seen)) if seen else None,
            reused=len(known.pieces),
            why=self.cache.why(state) if updates else None,
        )
        return result

    def _tell(
        self,
        state: Mapping[str, Any],
        *,
        spent: _Spent | None = None,
        items: Mapping[str, int] | None = None,
        frames: int | None = None,
        reused: int = 0,
        why: str | None = None,
        skipped: bool = False,
    ) -> None:
        """The event of a finished call.

        Args:
            state: LangGraph's state.
            spent: time in the stage.
            items: rows written, by channel.
            frames: frames looked at, or None where the stage reads none.
            reused: blocks (1 in video scope) that were taken over from the cache.
            why: why something was computed anew, said once a run.
            skipped: whether the stage was not called: an input is missing or its guard says no.
        """
        index = self.services.media(state["header"]).index
        spans = state["segment"]["blocks"] if self.node.scope == "segment" else [[0, len(index)]]
        get_stream_writer()(
            {
                "type": "node",
                **self._where(state),
                "video_s": sum(index.end_s(end - 1) - index.time_s(start) for start, end in spans),
                "seconds": spent.seconds if spent else 0.0,
                "time": spent.by_kind if spent else {},
                "items": dict(items or {}),
                "frames": frames,
                "blocks": len(state["segment"]["blocks"]) if self.node.scope == "segment" else 1,
                "reused": reused,
                "why": why,
                "skipped": skipped,
            }
        )

    def _restored(
        self, block: Block, entry: CacheEntry, state: Mapping[str, Any], config: RunnableConfig
    ) -> dict[str, Any]:
        """The writes of one block out of a cached call."""
        restore = self.services.restore(
            state["header"], self.view.configs, job_id(config), self.node
        )
        writes = restore(self._part(state, config, data=entry.data), entry.data)
        return {channel: value.within(*block) for channel, value in writes.items()}

    def _travelling(self, part: Part, config: RunnableConfig) -> Part | dict[str, Any]:
        """The part; for a foreign saver its envelope, so that nothing but JSON goes in."""
        saver = config.get("configurable", {}).get(_CHECKPOINTER)
        own = saver is None or isinstance(saver, StageCheckpointer)
        return part if own else part.envelope()

    def _checked(self, update: Any) -> dict[str, Any]:
        """The update, held against the declaration; tables get the node's id."""
        declared = self.stage.io.writes
        if not isinstance(update, dict):
            raise StageError(f"{self}: fn returned a {type(update).__name__}, not a dict")
        stray = sorted(set(update) - set(declared))
        missing = [channel for channel in declared if channel not in update]
        if stray or missing:
            said = f"wrote {stray}" if stray else f"did not write {missing}"
            raise StageError(f"{self}: fn {said}; it declares writes {declared}")
        for channel, value in update.items():
            plain = self.stage.serialize_fn is None or REGISTRY.channel(channel).output
            if plain and (problem := json_problem({channel: value})):
                raise StageError(
                    f"{self}: {problem}, which is not JSON; give the stage a serialize_fn and a "
                    "deserialize_fn, or write JSON values"
                )
        return {c: v.made_by(self.node.id) if isinstance(v, Rows) else v for c, v in update.items()}

    def _part(
        self,
        state: Mapping[str, Any],
        config: RunnableConfig,
        *,
        writes: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
    ) -> Part:
        serialize = self.stage.serialize_fn
        job = job_id(config)

        def seal(values: dict[str, Any]) -> dict[str, Any]:
            if serialize is None:
                return values
            keywords = self.services.bind(
                serialize,
                config=dict(self.node.config),
                media=self.services.media(state["header"]),
            )
            sealed: dict[str, Any] = serialize(values, job, **keywords)
            return sealed

        segment = state["segment"]["number"] if self.node.scope == "segment" else None
        return Part(
            self.stage.name,
            self.stage.version,
            self.node.id,
            segment,
            writes=writes,
            data=data,
            seal=seal,
        )

    def _failure(self, view: DetectState, error: Exception) -> StageError:
        return StageError(f"{self}{_span(view.get('segment'))}: {type(error).__name__}: {error}")

    def __str__(self) -> str:
        return f"node {self.node.id!r} ({self.node.stage})"


@dataclass
class _Spent:
    """Seconds in a stage, and by kind of work; see ``mediaproc.timing``."""

    seconds: float = 0.0
    by_kind: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def counting(self) -> Iterator[None]:
        started = time.perf_counter()
        with clocked() as clock:
            yield
        self.seconds += time.perf_counter() - started
        for kind, seconds in clock.seconds().items():
            self.by_kind[kind] = self.by_kind.get(kind, 0.0) + seconds


def _awaited(work: Coroutine[Any, Any, Any]) -> Any:
    """What comes of async work, also where an event loop runs already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as other:
        return other.submit(contextvars.copy_context().run, asyncio.run, work).result()


def _span(segment: Segment | None) -> str:
    if segment is None:
        return ""
    start, end = float(segment.time_s[0]), float(segment.time_s[-1])
    return f" in segment {segment.number} ({start:.3f}-{end:.3f} s)"


def _start(view: DetectState) -> int:
    segment = view.get("segment")
    return segment.start_frame if segment is not None else 0


def _joined(pieces: list[dict[str, Any]]) -> dict[str, Any]:
    """What several calls on runs of blocks wrote, as if it had been one."""
    if len(pieces) == 1:
        return pieces[0]
    return {
        channel: type(value).concat([piece[channel] for piece in pieces])
        for channel, value in pieces[0].items()
    }
