"""Who reads from whom, in which order, and in which phase: graph arithmetic on small graphs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mediaproc.detect.stages.base import GIVEN_CHANNELS, Scope, StageDefinition

Graph = Mapping[str, set[str]]


def cycles(predecessors: Graph) -> list[list[str]]:
    """One loop for each group of nodes that wait for each other, first node again at the end."""
    loops: list[list[str]] = []
    done: set[str] = set()
    for start in predecessors:
        path: list[str] = []
        node: str | None = start
        while node is not None and node not in done:
            if node in path:
                loop = path[path.index(node) :]
                loops.append([*reversed(loop), loop[-1]])
                break
            path.append(node)
            waiting = sorted(p for p in predecessors[node] if p not in done)
            # Any predecessor that can reach a loop will do; the others end at nodes without one.
            node = next((p for p in waiting if p in path or _loops(p, predecessors)), None)
        done.update(path)
    return loops


def _loops(start: str, predecessors: Graph) -> bool:
    seen: set[str] = set()
    stack = [start]
    while stack:
        for before in predecessors[stack.pop()]:
            if before == start:
                return True
            if before not in seen:
                seen.add(before)
                stack.append(before)
    return False


def topological(predecessors: Graph) -> list[str]:
    """Nodes after all their predecessors, ties in the order given."""
    order: list[str] = []
    placed: set[str] = set()
    waiting = list(predecessors)
    while waiting:
        ready = next((n for n in waiting if predecessors[n] <= placed), None)
        if ready is None:
            raise ValueError(f"these nodes wait for each other: {waiting}")
        waiting.remove(ready)
        placed.add(ready)
        order.append(ready)
    return order


def ancestors(predecessors: Graph) -> dict[str, set[str]]:
    """All nodes ahead of each node; loops are gone round once."""
    found: dict[str, set[str]] = {}
    for node in predecessors:
        seen: set[str] = set()
        stack = [node]
        while stack:
            for before in predecessors[stack.pop()]:
                if before not in seen:
                    seen.add(before)
                    stack.append(before)
        found[node] = seen
    return found


def reduced(predecessors: Graph, ahead: Graph) -> dict[str, set[str]]:
    """Predecessors without those that another predecessor waits for anyway."""
    return {
        node: {p for p in before if not any(p in ahead[other] for other in before if other != p)}
        for node, before in predecessors.items()
    }


def producers(
    channel: str,
    candidates: Iterable[str],
    stages: Mapping[str, StageDefinition],
    ahead: Graph,
) -> list[str]:
    """Which of the candidates a reader of ``channel`` sees.

    A node that reads and writes the channel, such as a filter, stands for those it refines.
    """
    writers = [n for n in candidates if n in stages and channel in stages[n].io.writes]
    return [
        writer
        for writer in writers
        if not any(
            writer in ahead[other] and channel in stages[other].io.all_reads()
            for other in writers
            if other != writer
        )
    ]


def phases(
    order: Sequence[str], predecessors: Graph, scopes: Mapping[str, Scope]
) -> dict[str, int]:
    """The phase of each node; see ``PlanNode.phase``."""
    found: dict[str, int] = {}
    for node in order:
        before = predecessors[node]
        if scopes[node] == "video":
            found[node] = max((found[p] for p in before), default=0)
        else:
            found[node] = max((found[p] + (scopes[p] == "video") for p in before), default=1)
            found[node] = max(1, found[node])
    return found


def needed_channels(stage: StageDefinition) -> list[str]:
    """The channels that a stage requires and that some node must write."""
    return [channel for channel in stage.io.reads if channel not in GIVEN_CHANNELS]
