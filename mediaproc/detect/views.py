"""What a stage sees: the given values, and its channels out of the parts of its ancestors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from langchain_core.runnables import RunnableConfig

from mediaproc.detect.expressions import compile_expression
from mediaproc.detect.parts import distinct
from mediaproc.detect.plan import Plan, PlanNode
from mediaproc.detect.rows import Rows
from mediaproc.detect.segments import segment_of
from mediaproc.detect.services import Services
from mediaproc.detect.stages.base import REGISTRY, ChannelSpec
from mediaproc.detect.state import DetectState, Frames, Span
from mediaproc.errors import DamageError

# The writes of the nodes that one looks at: node -> (segment or -1, what it wrote), in order.
Writes = dict[str, list[tuple[int, dict[str, Any]]]]


class NodeView:
    """Makes the state that the stage of one node sees.

    Args:
        node: the node's part of the plan.
        plan: the whole plan.
        services: what the graph's nodes share.
    """

    def __init__(self, node: PlanNode, plan: Plan, services: Services) -> None:
        self.node = node
        self.services = services
        self.scopes = {n.id: n.scope for n in plan.nodes}
        self.configs = {n.id: n.config for n in plan.nodes}
        self.when = compile_expression(node.when) if node.when else None

    def of(
        self,
        state: Mapping[str, Any],
        config: RunnableConfig,
        blocks: Sequence[Sequence[int]] | None = None,
    ) -> DetectState | None:
        """The state that the stage sees, or None where the node is to be skipped.

        Args:
            state: LangGraph's state.
            config: LangGraph's configuration of the run.
            blocks: the adjacent anchor blocks to look at, instead of the whole segment.
        """
        header = state["header"]
        view: dict[str, Any] = {"video": self.services.video(header)}
        if self.node.scope == "segment":
            whole = state["segment"]["blocks"]
            chosen = whole if blocks is None else [list(block) for block in blocks]
            index = self.services.media(header).index
            view["segment"] = segment_of(state["segment"]["number"], chosen, index)
            if chosen == whole:
                blocks = None
        else:
            view["spans"] = self._spans(state)
            view["failures"] = sorted(
                state.get("failures", []), key=lambda f: (f["start_s"], f["node"])
            )
        writes = self._opened(state, config)
        if blocks is not None:
            writes = self._narrowed(writes, blocks[0][0], blocks[-1][1])
        for channel, producers in self.node.inputs.items():
            spec = REGISTRY.channel(channel)
            values = _values(channel, producers, writes) if not spec.output else []
            if spec.output and channel in state:
                values = [state[channel]]
            if values:
                view[channel] = folded(spec, values)
            elif channel in self.node.required:
                return None
        if self.when is not None and not self._holds(view, writes):
            return None
        return view  # type: ignore[return-value]

    def can_be_narrowed(self) -> bool:
        """Whether what the node sees of a segment can be cut down to some of its blocks."""
        channels = [
            channel
            for inputs in (self.node.inputs, self.node.when_inputs)
            for channel, producers in inputs.items()
            if any(self.scopes[producer] == "segment" for producer in producers)
        ]
        return all(by_frame(channel) for channel in channels)

    def _opened(self, state: Mapping[str, Any], config: RunnableConfig) -> Writes:
        wanted = {
            producer
            for inputs in (self.node.inputs, self.node.when_inputs)
            for producers in inputs.values()
            for producer in producers
        }
        job = job_id(config)
        restore = self.services.restore(state["header"], self.configs, job, self.node)
        here = state["segment"]["number"] if self.node.scope == "segment" else None
        opened: dict[str, dict[int, dict[str, Any]]] = {}
        for part in distinct((*state.get("given", ()), *state.get("parts", ())), job=job):
            if here is not None and part.segment not in (None, here):
                raise DamageError(
                    f"segment {here} holds what node {part.node!r} made of segment {part.segment}",
                    job=job,
                )
            if part.node in wanted:
                position = -1 if part.segment is None else part.segment
                opened.setdefault(part.node, {})[position] = part.open(restore)
        return {node: sorted(parts.items()) for node, parts in opened.items()}

    def _spans(self, state: Mapping[str, Any]) -> tuple[Span, ...]:
        """The runs of adjacent blocks of all segments."""
        index = self.services.media(state["header"]).index
        runs: list[list[int]] = []
        for start, end in (block for blocks in state["segments"] for block in blocks):
            if runs and runs[-1][1] == start:
                runs[-1][1] = end
            else:
                runs.append([start, end])
        return tuple(
            Span(start, end, index.time_s(start), index.end_s(end - 1)) for start, end in runs
        )

    def _narrowed(self, writes: Writes, start: int, end: int) -> Writes:
        return {
            node: pieces
            if self.scopes[node] == "video"
            else [
                (
                    position,
                    {c: v.within(start, end) if by_frame(c) else v for c, v in update.items()},
                )
                for position, update in pieces
            ]
            for node, pieces in writes.items()
        }

    def _holds(self, view: dict[str, Any], writes: Writes) -> bool:
        """Evaluate the guard; in segment scope it narrows ``frames`` to those where it holds."""
        assert self.when is not None
        tables = {
            channel: folded(REGISTRY.channel(channel), values).records()
            for channel, producers in self.node.when_inputs.items()
            if (values := _values(channel, producers, writes))
        }
        video = view["video"]
        environment: dict[str, Any] = {
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
        by_index: dict[str, dict[int, list[dict[str, Any]]]] = {}
        for channel in names:
            if not by_frame(channel):
                # A table of the whole video, such as shots, is the same for every frame.
                environment[channel] = tables.get(channel, [])
                continue
            grouped = by_index.setdefault(channel, {})
            for row in tables.get(channel, []):
                grouped.setdefault(row["frame_index"], []).append(row)
        keep = np.array(
            [
                bool(
                    self.when.evaluate(
                        {**environment, **{c: rows.get(index, []) for c, rows in by_index.items()}}
                    )
                )
                for index in frames.indexes.tolist()
            ],
            dtype=np.bool_,
        )
        view["frames"] = frames.only(keep)
        return bool(keep.any())


def by_frame(channel: str) -> bool:
    """Whether values of a channel can be cut by time."""
    kind = REGISTRY.channel(channel).type
    return issubclass(kind, Rows | Frames) and kind.by_frame()


def folded(spec: ChannelSpec, values: list[Any]) -> Any:
    """Several values of a channel as the one that a reader gets."""
    if spec.reducer is not None:
        return spec.reducer(values)
    return values[0] if len(values) == 1 else values


def job_id(config: RunnableConfig) -> str:
    """The job that a run belongs to."""
    return str(config.get("configurable", {}).get("thread_id", "local"))


def _values(channel: str, producers: Iterable[str], writes: Writes) -> list[Any]:
    return [
        update[channel]
        for producer in producers
        for _, update in writes.get(producer, ())
        if channel in update
    ]
