"""The plan: a checked profile with every default filled in and every read resolved.

It is what a graph is built from and what is stored with a job, so that a resume does not depend
on the profile's file or on defaults that changed since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mediaproc.detect.stages.base import REGISTRY, Scope


@dataclass(frozen=True, slots=True)
class SegmentSpec:
    """How a video is cut into segments: runs of anchor blocks within both bounds.

    Attributes:
        max_s: longest segment, in seconds of video.
        max_mb: most memory for a segment's decoded sampled frames, in MB (1e6 bytes).
    """

    max_s: float = 20.0
    max_mb: float = 256.0


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how patiently a failed node is tried again.

    Attributes:
        attempts: tries in all, at least 1.
        wait_s: seconds before the second try.
        backoff: factor by which each further wait grows.
    """

    attempts: int = 3
    wait_s: float = 0.5
    backoff: float = 2.0


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One node of the graph.

    Attributes:
        id: the profile's name for it.
        stage: the stage it runs.
        config: the stage's configuration with every default filled in.
        scope: ``"segment"`` or ``"video"``.
        phase: segment nodes of phase k (from 1) run in the k-th fan-out; video nodes of phase k
            run after it, those of phase 0 before the first.
        predecessors: nodes that must have ended before this one, without those implied by others.
        inputs: channel -> the nodes whose writes this node sees there, in topological order.
        required: the channels of ``inputs`` without which the node is skipped.
        when: guard expression, or None.
        when_inputs: channel -> the nodes whose rows the guard sees there.
        retry: retry policy, or None for a single try.
        on_error: ``"fail"`` or ``"skip"``.
        timeout_s: limit for an async stage, or None.
    """

    id: str
    stage: str
    config: dict[str, Any]
    scope: Scope
    phase: int
    predecessors: tuple[str, ...] = ()
    inputs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    when: str | None = None
    when_inputs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    retry: Retry | None = None
    on_error: str = "fail"
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """All nodes in topological order, ties in the order of the profile.

    Attributes:
        name: the profile's name.
        nodes: the nodes.
        segment: how the video is cut.
    """

    name: str
    nodes: tuple[PlanNode, ...]
    segment: SegmentSpec = field(default_factory=SegmentSpec)

    @property
    def last_phase(self) -> int:
        """The number of segment phases."""
        return max((n.phase for n in self.nodes), default=0)

    def in_phase(self, phase: int, scope: Scope) -> list[PlanNode]:
        """The nodes of one phase and scope, in topological order."""
        return [n for n in self.nodes if n.phase == phase and n.scope == scope]

    def node(self, node_id: str) -> PlanNode:
        """The node named ``node_id``; KeyError where there is none."""
        for node in self.nodes:
            if node.id == node_id:
                return node
        raise KeyError(node_id)

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON values."""
        return {
            "name": self.name,
            "segment": asdict(self.segment),
            "nodes": [
                {
                    **asdict(n),
                    "predecessors": list(n.predecessors),
                    "required": list(n.required),
                    "inputs": {channel: list(ids) for channel, ids in n.inputs.items()},
                    "when_inputs": {c: list(ids) for c, ids in n.when_inputs.items()},
                }
                for n in self.nodes
            ],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """The plan that ``to_json`` gave.

        Where an older version did, fields that its stages got since are at their defaults.
        """
        return cls(
            name=data["name"],
            segment=SegmentSpec(**data["segment"]),
            nodes=tuple(
                PlanNode(
                    **{
                        **n,
                        "config": _completed(n["stage"], n["config"]),
                        "predecessors": tuple(n["predecessors"]),
                        "required": tuple(n["required"]),
                        "inputs": {c: tuple(ids) for c, ids in n["inputs"].items()},
                        "when_inputs": {c: tuple(ids) for c, ids in n["when_inputs"].items()},
                        "retry": None if n["retry"] is None else Retry(**n["retry"]),
                    }
                )
                for n in data["nodes"]
            ),
        )


def _completed(stage: str, config: dict[str, Any]) -> dict[str, Any]:
    # Whoever builds a graph of a stage that is not installed says so.
    known = REGISTRY.get(stage).config_fields if stage in REGISTRY.names() else []
    return {**{field.name: field.default for field in known}, **config}
