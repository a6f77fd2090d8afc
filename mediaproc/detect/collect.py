"""The findings of a finished graph, as exporters take them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mediaproc.blobs import BlobStore
from mediaproc.detect.exports import plain_findings, plain_table
from mediaproc.detect.models import ModelStore
from mediaproc.detect.parts import Part, distinct
from mediaproc.detect.plan import Plan
from mediaproc.detect.rows import Rows
from mediaproc.detect.services import Services
from mediaproc.detect.stages.base import REGISTRY
from mediaproc.detect.state import Frames
from mediaproc.detect.tables import Files
from mediaproc.outputs import Findings, Table


def collect_tables(
    values: Mapping[str, Any], blobs: BlobStore, plan: Plan | None = None
) -> dict[str, Rows]:
    """The tables of findings in a finished job's state, by channel, each with all its rows.

    Args:
        values: ``graph.get_state(config).values``.
        blobs: where large tables were put.
        plan: of the job. With it, a node that reads and writes a channel, such as a review, stands
            for those whose rows it refined, as it does for the nodes behind it.

    Raises:
        DamageError: two results differ that are of the same node and segment.
    """
    found: dict[str, dict[tuple[str, int], Rows]] = {}
    services = Services(blobs, ModelStore(Path()))  # one, which reads the video's index once
    parts = distinct(values.get("parts", ()))
    refined = _refined(plan, {part.node for part in parts}) if plan else set()
    for part in parts:
        stage = REGISTRY.get(part.stage)
        kinds = {c: REGISTRY.channel(c).type for c in stage.io.writes}
        if not any(issubclass(kind, Rows) for kind in kinds.values()):
            continue
        writes = part.open(services.restore(values["header"], {}, "-"))
        for channel, kind in kinds.items():
            if issubclass(kind, Rows) and (part.node, channel) not in refined:
                position = -1 if part.segment is None else part.segment
                found.setdefault(channel, {})[part.node, position] = writes[channel]
    return {
        channel: type(next(iter(tables.values()))).concat([tables[key] for key in sorted(tables)])
        for channel, tables in sorted(found.items())
    }


def _refined(plan: Plan, ran: set[str]) -> set[tuple[str, str]]:
    """(node, channel) of what a node that ran has written anew."""
    return {
        (producer, channel)
        for node in plan.nodes
        if node.id in ran
        for channel, producers in node.inputs.items()
        if channel in REGISTRY.get(node.stage).io.writes
        for producer in producers
    }


def collect_findings(
    values: Mapping[str, Any], plan: Plan, blobs: BlobStore, *, nodes: Sequence[str] = ()
) -> Findings:
    """What a finished graph found. The video is not opened before its pixels are asked for.

    Args:
        values: ``graph.get_state(config).values``.
        plan: what the graph was built from.
        blobs: where large tables and kept frames were put.
        nodes: take the rows of these nodes only; those of all where empty.

    Raises:
        DamageError: two results differ that are of the same node and segment.
    """
    header, parts = values["header"], distinct(values.get("parts", ()))
    services = Services(blobs, ModelStore(Path()))
    chosen = _chosen(header, parts, services)
    wanted = [part for part in parts if not nodes or part.node in nodes]
    refined = set() if nodes else _refined(plan, {part.node for part in parts})
    makers: dict[str, set[str]] = {}
    for part in wanted:
        for channel in REGISTRY.get(part.stage).io.writes:
            if _is_result(channel) and (part.node, channel) not in refined:
                makers.setdefault(channel, set()).add(part.node)

    def table(channel: str) -> Table:
        own = [part for part in wanted if part.node in makers[channel]]
        rows = collect_tables({**values, "parts": own}, blobs)[channel]
        seen: dict[str, Frames] = {}
        for maker in sorted(makers[channel]):
            seen |= _seen(plan, maker, chosen)
        return plain_table(channel, rows, seen.values())

    return plain_findings(
        services.video(header),
        _Tables(sorted(makers), table),
        chosen=[*chosen.values()],
        failures=values.get("failures", []),
        media=lambda: services.media(header),
    )


class _Tables(Mapping[str, Table]):
    """Tables that are read when they are asked for: hours of frame scores are mostly not."""

    def __init__(self, names: Sequence[str], read: Callable[[str], Table]) -> None:
        self._names = names
        self._read = read
        self._tables: dict[str, Table] = {}

    def __getitem__(self, name: str) -> Table:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._tables:
            self._tables[name] = self._read(name)
        return self._tables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names


def _is_result(channel: str) -> bool:
    spec = REGISTRY.channel(channel)
    return issubclass(spec.type, Rows) and not issubclass(spec.type, Files) and spec.result


def _chosen(
    header: Mapping[str, Any], parts: Iterable[Part], services: Services
) -> dict[str, Frames]:
    """The frames that each node chose, by node."""
    restore = services.restore(header, {}, "-")
    found: dict[str, list[Frames]] = {}
    for part in sorted(parts, key=lambda p: (p.node, -1 if p.segment is None else p.segment)):
        for channel in REGISTRY.get(part.stage).io.writes:
            if issubclass(REGISTRY.channel(channel).type, Frames):
                found.setdefault(part.node, []).append(part.open(restore)[channel])
    return {node: Frames.concat(pieces) for node, pieces in found.items()}


def _seen(plan: Plan, maker: str, chosen: Mapping[str, Frames]) -> dict[str, Frames]:
    """The frames that a node looked at, or the makers of what it read, by who chose them."""
    found: dict[str, Frames] = {}
    known: set[str] = set()
    todo = [maker]
    while todo:
        node = plan.node(todo.pop())
        if node.id in known:
            continue
        known.add(node.id)
        producers = [producer for ids in node.inputs.values() for producer in ids]
        here = {producer: chosen[producer] for producer in producers if producer in chosen}
        found |= here
        if not here:
            todo += producers
    return found
