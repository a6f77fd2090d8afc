"""A checked profile as a LangGraph ``StateGraph``.

::

    open-video -> [video nodes of phase 0] -> plan-1 -> Send x N: segments-1 -> join-1
               -> [video nodes of phase 1] -> plan-2 -> ...

``segments-k`` is a compiled subgraph of the segment-scope nodes of phase k. Node ids are the
profile's; the pipeline's own have a hyphen, which a profile's may not. Every node with several
inputs gets one edge from the list of them: plain edges at unequal depth would run it twice.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import RetryPolicy, Send

from mediaproc.blobs import BlobStore
from mediaproc.detect.analysis import check
from mediaproc.detect.cache import CacheStore, Keys, digest, environment
from mediaproc.detect.models import ModelStore
from mediaproc.detect.nodes import StageNode
from mediaproc.detect.parts import as_part
from mediaproc.detect.plan import Plan, PlanNode
from mediaproc.detect.profile import Profile
from mediaproc.detect.segments import cut
from mediaproc.detect.services import Services
from mediaproc.detect.stages.base import REGISTRY, wanted_services
from mediaproc.detect.stages.sampling.sample_frames import STAGE as SAMPLE_FRAMES
from mediaproc.detect.stages.sampling.sample_frames import are_kept
from mediaproc.errors import StageError
from mediaproc.media import FingerprintMemory

OPEN = "open-video"


class Span(TypedDict, total=False):
    """The piece of a video that a job looks at, to whole anchor blocks.

    Attributes:
        from_s: start, in seconds.
        to_s: end, in seconds.
        sample: look at this many anchor blocks, spread over the piece.
    """

    from_s: float | None
    to_s: float | None
    sample: int | None


class GraphInput(TypedDict, total=False):
    """What a caller gives: a video, and optionally the piece of it to look at.

    Attributes:
        video: a path, ``s3://`` or ``http(s)://``.
        span: the whole video where left out.
    """

    video: str
    span: Span


def _appended(left: list[Any], right: list[Any]) -> list[Any]:
    return [*left, *right]


class _SegmentOutput(TypedDict, total=False):
    parts: Annotated[list[Any], _appended]
    failures: Annotated[list[Any], _appended]


class _SegmentState(_SegmentOutput, total=False):
    header: dict[str, Any]
    segment: dict[str, Any]
    given: list[Any]
    failed: list[str]


def build_graph(
    profile: Profile | Plan,
    *,
    blobs: BlobStore,
    models: ModelStore,
    checkpointer: BaseCheckpointSaver[Any] | None = None,
    concurrency: int = 2,
    cache: CacheStore | None = None,
    reuse: bool = True,
    fingerprints: FingerprintMemory | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """The graph of a profile, or of the plan that a job keeps.

    Args:
        profile: a profile, which is checked here, or a checked plan.
        blobs: where stages keep binary data.
        models: loads model weights.
        checkpointer: a ``StageCheckpointer``, any other saver, or None to run without.
        concurrency: how many stages work at once, and how many segments are open.
        cache: results of earlier jobs, or None to do without.
        reuse: whether to take results over from the cache; new ones are kept either way.
        fingerprints: remembers those of videos, so that an unchanged one is not hashed again.

    Returns:
        A graph that takes ``{"video": address}`` and returns ``{"report": {...}}``.

    Raises:
        ProfileError: the profile has problems; all are in it.
        StageError: a plan was given, and a stage of it is not installed any more.
    """
    plan = profile if isinstance(profile, Plan) else check(profile)
    for node in plan.nodes:
        if node.stage not in REGISTRY.names():
            raise StageError(
                f"node {node.id!r} needs stage {node.stage!r}, which is not installed: install "
                "the package that brings it, then go on"
            )
    services = Services(
        blobs,
        models,
        threading.BoundedSemaphore(concurrency),
        cache=cache,
        reuse=reuse,
        fingerprints=fingerprints,
        plan=plan,
        segments_open=concurrency,
    )
    graph = _Builder(plan, services).build()
    compiled = graph.compile(checkpointer=checkpointer, name=plan.name)
    steps = 10 + 4 * len(plan.nodes) + 4 * plan.last_phase
    # One more, since LangGraph keeps a worker of each pool waiting for events while it streams.
    return compiled.with_config(recursion_limit=steps, max_concurrency=concurrency + 1)


def prepare(plan: Plan, models: ModelStore) -> None:
    """See that what the stages need is there, before any work; see ``StageDefinition.prepare_fn``.

    Raises:
        MediaprocError: weights that cannot be had, a setting that cannot work, a stage that is
            not installed.
    """
    for node in plan.nodes:
        prepared = REGISTRY.get(node.stage).prepare_fn
        if prepared is not None:
            offered: dict[str, Any] = {"config": dict(node.config), "models": models}
            prepared(**{n: offered[n] for n in wanted_services(prepared) if n in offered})


def changes_since(
    header: Mapping[str, Any], plan: Plan, models: ModelStore, blobs: BlobStore
) -> tuple[list[str], list[str]]:
    """What is no more as it was when a job began, before it goes on.

    Returns:
        What its results build on and must be put back: models, and libraries that stages name;
        and what may move their last digits: the kind of CPU, and other libraries.

    Raises:
        MediaprocError: see ``prepare``.
    """
    prepare(plan, models)
    keys = Keys(plan, models, blobs)
    changed = [
        f"node {node.id!r} ({node.stage}) has another {name}: {before.get(name)} -> {now.get(name)}"
        for node in plan.nodes
        for before, now in [(header["identity"][node.id], keys.facts(node)["model"])]
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    here = environment(models.threads)
    elsewhere = [
        f"{name}: {header['environment'].get(name)} -> {here.get(name)}"
        for name in sorted({*header["environment"], *here})
        if header["environment"].get(name) != here.get(name)
    ]
    return changed, elsewhere


def keeps_frames(plan: Plan, blobs: BlobStore) -> bool:
    """Whether a plan's frames are kept in the blob store, so that it may go on without a video."""
    return any(
        node.stage == SAMPLE_FRAMES.name and are_kept(node.config, blobs) for node in plan.nodes
    )


class _Builder:
    def __init__(self, plan: Plan, services: Services) -> None:
        self.plan = plan
        self.services = services
        outputs: dict[str, Any] = {
            channel: dict[str, Any]
            for node in plan.nodes
            for channel in REGISTRY.get(node.stage).io.writes
            if REGISTRY.channel(channel).output
        }
        # Made at run time, since a profile's stages decide which channels there are.
        make: Any = TypedDict
        self.output_schema: Any = make("GraphOutput", outputs, total=False)
        fields = {
            "video": str,
            "span": Span,
            "header": dict[str, Any],
            "segments": list[Any],
            "parts": Annotated[list[Any], _appended],
            "failures": Annotated[list[Any], _appended],
            **outputs,
        }
        self.state_schema: Any = make("GraphState", fields, total=False)

    def build(self) -> StateGraph[Any, Any, Any, Any]:
        graph: StateGraph[Any, Any, Any, Any] = StateGraph(
            self.state_schema, input_schema=GraphInput, output_schema=self.output_schema
        )
        opened: Any = self._open
        graph.add_node(OPEN, opened)
        graph.add_edge(START, OPEN)
        ends = self._add(graph, self.plan.in_phase(0, "video"), [OPEN])
        for phase in range(1, self.plan.last_phase + 1):
            ends = self._add_phase(graph, phase, ends)
        _connect(graph, ends, END)
        return graph

    def _add_phase(
        self, graph: StateGraph[Any, Any, Any, Any], phase: int, before: list[str]
    ) -> list[str]:
        plan, segments, join = f"plan-{phase}", f"segments-{phase}", f"join-{phase}"
        nodes = self.plan.in_phase(phase, "segment")
        subgraph: StateGraph[Any, Any, Any, Any] = StateGraph(
            _SegmentState, output_schema=_SegmentOutput
        )
        _connect(subgraph, self._add(subgraph, nodes, [START]), END)
        graph.add_node(plan, self._planned(phase))
        graph.add_node(segments, subgraph.compile(name=segments))
        graph.add_node(join, lambda state: {})
        _connect(graph, before, plan)
        graph.add_conditional_edges(plan, self._fan_out(segments, nodes), [segments])
        graph.add_edge(segments, join)
        return self._add(graph, self.plan.in_phase(phase, "video"), [join])

    def _add(
        self, graph: StateGraph[Any, Any, Any, Any], nodes: Sequence[PlanNode], before: list[str]
    ) -> list[str]:
        """Add nodes and the edges among them; the ones that nothing among them follows."""
        ids = {node.id for node in nodes}
        followed: set[str] = set()
        for node in nodes:
            stage_node = StageNode(node, self.plan, self.services)
            graph.add_node(
                node.id,
                stage_node.runnable(),
                retry_policy=_retry_policy(node),
                error_handler=stage_node.failed if node.on_error == "skip" else None,
            )
            inside = [p for p in node.predecessors if p in ids]
            followed.update(inside)
            _connect(graph, inside or before, node.id)
        return [node.id for node in nodes if node.id not in followed] or before

    def _open(self, state: dict[str, Any], config: RunnableConfig) -> dict[str, Any]:
        prepare(self.plan, self.services.models)
        header = self.services.open_video(state["video"])
        index = self.services.media(header).index
        segments = cut(index, self.services.video(header), self.plan, state.get("span"))
        get_stream_writer()({"type": "opened", "video": header["info"]})
        keys = self.services.keys(self.plan)
        header["identity"] = {node.id: keys.facts(node)["model"] for node in self.plan.nodes}
        header["environment"] = environment(self.services.models.threads)
        # What is done to the whole depends on which blocks there are; see ``Keys.key``.
        header["span"] = digest([block for blocks in segments for block in blocks])
        return {"header": header, "segments": segments}

    def _planned(self, phase: int) -> Any:
        nodes = [node.id for node in self.plan.in_phase(phase, "segment")]

        def planned(state: dict[str, Any]) -> dict[str, Any]:
            segments = state["segments"]
            get_stream_writer()(
                {
                    "type": "planned",
                    "phase": phase,
                    "nodes": nodes,
                    "segments": len(segments),
                    "frames": sum(end - start for blocks in segments for start, end in blocks),
                }
            )
            return {}

        return planned

    def _fan_out(self, target: str, nodes: Sequence[PlanNode]) -> Any:
        ids = {node.id for node in nodes}
        wanted = {
            producer
            for node in nodes
            for inputs in (node.inputs, node.when_inputs)
            for producers in inputs.values()
            for producer in producers
        } - ids

        def fan_out(state: dict[str, Any]) -> list[Send]:
            given: dict[int | None, list[Any]] = {}
            for value in state.get("parts", ()):
                part = as_part(value)
                if part.node in wanted:
                    given.setdefault(part.segment, []).append(value)
            return [
                Send(
                    target,
                    {
                        "header": state["header"],
                        "segment": {"number": number, "blocks": blocks},
                        "given": [*given.get(None, ()), *given.get(number, ())],
                        "failed": sorted({f["node"] for f in state.get("failures", ())}),
                    },
                )
                for number, blocks in enumerate(state["segments"])
            ]

        return fan_out


def _retry_policy(node: PlanNode) -> RetryPolicy | None:
    if node.retry is None:
        return None
    return RetryPolicy(
        max_attempts=node.retry.attempts,
        initial_interval=node.retry.wait_s,
        backoff_factor=node.retry.backoff,
        retry_on=Exception,
    )


def _connect(graph: StateGraph[Any, Any, Any, Any], sources: list[str], target: str) -> None:
    if len(sources) == 1:
        graph.add_edge(sources[0], target)
    elif target == END:
        for source in sources:
            graph.add_edge(source, END)
    else:
        graph.add_edge(sources, target)
