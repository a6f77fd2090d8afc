"""The wrapper that makes a LangGraph node of a stage.

It builds the state that the stage sees from the parts of the node's ancestors, binds the services
that the stage's functions declare, checks what comes back against the declaration, and hands it on
as a part.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langgraph.config import get_stream_writer
from langgraph.errors import GraphBubbleUp, NodeError
from langgraph.types import interrupt

from mediaproc.detect.checkpoint import StageCheckpointer
from mediaproc.detect.expressions import compile_expression
from mediaproc.detect.parts import Part, as_part, json_problem
from mediaproc.detect.plan import Plan, PlanNode
from mediaproc.detect.segments import segment_of
from mediaproc.detect.services import Services
from mediaproc.detect.stages.base import REGISTRY, ChannelSpec, StageDefinition
from mediaproc.detect.state import DetectState, Frames, Rows, Segment
from mediaproc.errors import MediaprocError, StageError

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
        self.configs = {n.id: n.config for n in plan.nodes}
        self.when = compile_expression(node.when) if node.when else None

    def runnable(self) -> Runnable[Any, Any]:
        """The node for ``StateGraph.add_node``, for sync and async graphs."""
        return RunnableLambda(self.run, self.arun, name=self.node.id)

    def run(self, state: dict[str, Any], config: RunnableConfig) -> dict[str, Any]:
        """Run the stage; the state update that LangGraph applies."""
        view = self._view(state, config)
        if view is None:
            return self._skipped(state)
        started = time.perf_counter()
        try:
            with self.services.stage_calls:
                update = self._call(view, state)
                if inspect.iscoroutine(update):
                    update = asyncio.run(update)
        except (GraphBubbleUp, MediaprocError):
            raise
        except Exception as error:
            raise self._failure(view, error) from error
        return self._handed_on(update, view, state, config, started)

    async def arun(self, state: dict[str, Any], config: RunnableConfig) -> dict[str, Any]:
        """``run`` for async graphs: an async stage is awaited, others run on a thread."""
        if not self.stage.is_async:
            return await asyncio.to_thread(self.run, state, config)
        view = await asyncio.to_thread(self._view, state, config)
        if view is None:
            return self._skipped(state)
        started = time.perf_counter()
        try:
            update = await self._call(view, state)
        except (GraphBubbleUp, MediaprocError):
            raise
        except Exception as error:
            raise self._failure(view, error) from error
        return await asyncio.to_thread(self._handed_on, update, view, state, config, started)

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

    # ---- what the stage sees

    def _view(self, state: Mapping[str, Any], config: RunnableConfig) -> DetectState | None:
        """The state that the stage sees, or None where the node is to be skipped."""
        header = state["header"]
        view: dict[str, Any] = {"video": self.services.video(header)}
        if self.node.scope == "segment":
            view["segment"] = segment_of(
                state["segment"]["number"],
                state["segment"]["blocks"],
                self.services.media(header).index,
            )
        else:
            view["failures"] = sorted(
                state.get("failures", []), key=lambda f: (f["start_s"], f["node"])
            )
        writes = self._opened(state, config)
        for channel, producers in self.node.inputs.items():
            spec = REGISTRY.channel(channel)
            values = _values(channel, producers, writes) if not spec.output else []
            if spec.output and channel in state:
                values = [state[channel]]
            if values:
                view[channel] = _folded(spec, values)
            elif channel in self.node.required:
                return None
        if self.when is not None and not self._holds(view, writes):
            return None
        return view  # type: ignore[return-value]

    def _opened(
        self, state: Mapping[str, Any], config: RunnableConfig
    ) -> dict[str, list[tuple[int, dict[str, Any]]]]:
        """The writes of the nodes that this one looks at, by node, in the order of segments."""
        wanted = {
            producer
            for inputs in (self.node.inputs, self.node.when_inputs)
            for producers in inputs.values()
            for producer in producers
        }
        restore = self.services.restore(state["header"], self.configs, _job_id(config))
        opened: dict[str, dict[int, dict[str, Any]]] = {}
        for value in (*state.get("given", ()), *state.get("parts", ())):
            part = as_part(value)
            if part.node in wanted:
                position = -1 if part.segment is None else part.segment
                opened.setdefault(part.node, {})[position] = part.open(restore)
        return {node: sorted(parts.items()) for node, parts in opened.items()}

    def _holds(
        self, view: dict[str, Any], writes: dict[str, list[tuple[int, dict[str, Any]]]]
    ) -> bool:
        """Evaluate the guard; in segment scope it narrows ``frames`` to those where it holds."""
        assert self.when is not None
        tables = {
            channel: _folded(REGISTRY.channel(channel), values).records()
            for channel, producers in self.node.when_inputs.items()
            if (values := _values(channel, producers, writes))
        }
        video = view["video"]
        environment = {
            "video": {
                "duration_s": video.duration_s,
                "width": video.width,
                "height": video.height,
                "fps": video.fps,
                "frame_count": video.frame_count,
            }
        }
        names = self.node.when_inputs
        frames: Frames | None = view.get("frames")
        if self.node.scope == "video" or not names or not isinstance(frames, Frames):
            rows = {channel: tables.get(channel, []) for channel in names}
            return bool(self.when.evaluate({**environment, **rows}))
        by_frame: dict[str, dict[int, list[dict[str, Any]]]] = {}
        for channel in names:
            grouped = by_frame.setdefault(channel, {})
            for row in tables.get(channel, []):
                grouped.setdefault(row["frame_index"], []).append(row)
        keep = np.array(
            [
                bool(
                    self.when.evaluate(
                        {**environment, **{c: by_frame[c].get(index, []) for c in names}}
                    )
                )
                for index in frames.indexes.tolist()
            ],
            dtype=np.bool_,
        )
        view["frames"] = frames.only(keep)
        return bool(keep.any())

    # ---- calling it

    def _call(self, view: DetectState, state: Mapping[str, Any]) -> Any:
        function = self.stage.fn
        assert function is not None
        keywords = self.services.bind(
            function,
            config=dict(self.node.config),
            media=self.services.media(state["header"]),
            progress=self._progress(state),
            ask=interrupt,
        )
        return function(view, **keywords)

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
        update: Any,
        view: DetectState,
        state: Mapping[str, Any],
        config: RunnableConfig,
        started: float,
    ) -> dict[str, Any]:
        writes = self._checked(update)
        outputs = {c: v for c, v in writes.items() if REGISTRY.channel(c).output}
        values = {c: v for c, v in writes.items() if c not in outputs}
        result: dict[str, Any] = dict(outputs)
        if values:
            part = self._part(values, state, config)
            saver = config.get("configurable", {}).get(_CHECKPOINTER)
            # A foreign saver gets the envelope itself, so that nothing heavier than JSON goes in.
            own = saver is None or isinstance(saver, StageCheckpointer)
            result["parts"] = [part if own else part.envelope()]
        frames = view.get("frames")
        get_stream_writer()(
            {
                "type": "node",
                **self._where(state),
                "seconds": time.perf_counter() - started,
                "items": {c: len(v) for c, v in values.items() if hasattr(v, "__len__")},
                "frames": len(frames) if isinstance(frames, Frames) else None,
                "skipped": False,
            }
        )
        return result

    def _skipped(self, state: Mapping[str, Any]) -> dict[str, Any]:
        get_stream_writer()(
            {
                "type": "node",
                **self._where(state),
                "seconds": 0.0,
                "items": {},
                "frames": None,
                "skipped": True,
            }
        )
        return {}

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
        self, writes: dict[str, Any], state: Mapping[str, Any], config: RunnableConfig
    ) -> Part:
        serialize = self.stage.serialize_fn
        job_id = _job_id(config)

        def seal(values: dict[str, Any]) -> dict[str, Any]:
            if serialize is None:
                return values
            keywords = self.services.bind(
                serialize,
                config=dict(self.node.config),
                media=self.services.media(state["header"]),
            )
            data: dict[str, Any] = serialize(values, job_id, **keywords)
            return data

        segment = state["segment"]["number"] if self.node.scope == "segment" else None
        return Part(
            self.stage.name, self.stage.version, self.node.id, segment, writes=writes, seal=seal
        )

    def _failure(self, view: DetectState, error: Exception) -> StageError:
        return StageError(f"{self}{_span(view.get('segment'))}: {type(error).__name__}: {error}")

    def __str__(self) -> str:
        return f"node {self.node.id!r} ({self.node.stage})"


def _job_id(config: RunnableConfig) -> str:
    return str(config.get("configurable", {}).get("thread_id", "local"))


def _span(segment: Segment | None) -> str:
    if segment is None:
        return ""
    start, end = float(segment.time_s[0]), float(segment.time_s[-1])
    return f" in segment {segment.number} ({start:.3f}-{end:.3f} s)"


def _values(
    channel: str,
    producers: Iterable[str],
    writes: Mapping[str, list[tuple[int, dict[str, Any]]]],
) -> list[Any]:
    return [
        update[channel]
        for producer in producers
        for _, update in writes.get(producer, ())
        if channel in update
    ]


def _folded(spec: ChannelSpec, values: list[Any]) -> Any:
    if spec.reducer is not None:
        return spec.reducer(values)
    return values[0] if len(values) == 1 else values
