"""Nodes that work ahead of another one, out of a single node of a profile."""

from __future__ import annotations

from dataclasses import replace

from mediaproc.detect.profile import NodeSpec
from mediaproc.detect.stages.base import StageDefinition, StageRegistry


def accompanied(
    spec: NodeSpec, stage: StageDefinition, registry: StageRegistry, *, sound: bool
) -> tuple[list[NodeSpec], NodeSpec]:
    """The nodes that a node stands for; see ``StageDefinition.companions``.

    Args:
        spec: the node, as the profile gives it.
        stage: its stage, which has companions.
        registry: knows them.
        sound: whether its settings and its guard are right; else they are left out, so that what
            is wrong with them is not told twice.

    Returns:
        Those that work ahead of it, in order, and what is left to it.
    """
    model = spec.model
    made: list[NodeSpec] = []
    # What each of them reads of those before it.
    own: dict[str, list[str]] = {}
    theirs: set[str] = set()
    for name in stage.companions:
        companion = registry.get(name)
        reads = companion.io.all_reads()
        fields = {field.name for field in companion.config_fields}
        node = f"{spec.id}_{companion.io.writes[0]}"
        update = {
            "stage": name,
            "config": {key: v for key, v in model.config.items() if sound and key in fields},
            "sources": {c: v for c, v in {**model.sources, **own}.items() if c in reads},
            "when": model.when if sound and not made else None,
            "timeout": None,
            "position": None,
        }
        made.append(NodeSpec(node, model.model_copy(update=update), spec.at, spec.config_at))
        own |= {channel: [node] for channel in companion.io.writes}
        theirs.update(reads)
    sources = {c: v for c, v in model.sources.items() if c not in theirs}
    sources |= {c: v for c, v in own.items() if c in stage.io.all_reads()}
    rest = model.model_copy(update={"sources": sources, "when": None})
    return made, replace(spec, model=rest)
