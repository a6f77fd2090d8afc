"""The cache as one node uses it: which blocks of a segment are known, and what is left to do."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mediaproc.blobs import BlobRef, BlobStore
from mediaproc.blobs.base import CHECKED_BYTES
from mediaproc.detect.cache import Block, CacheEntry, difference
from mediaproc.detect.plan import Plan, PlanNode
from mediaproc.detect.services import Services
from mediaproc.detect.stages.base import REGISTRY
from mediaproc.detect.views import NodeView, by_frame
from mediaproc.errors import BlobError


@dataclass(frozen=True, slots=True)
class Known:
    """What the cache holds of the blocks that a call is about.

    Attributes:
        entry: covers exactly those blocks; nothing is left to do.
        pieces: the entry of each block that is known, where some are not.
        missing: runs of adjacent blocks to compute; None stands for the whole segment or video.
    """

    entry: CacheEntry | None = None
    pieces: Mapping[Block, CacheEntry] = field(default_factory=dict)
    missing: Sequence[Sequence[Block] | None] = (None,)


class NodeCache:
    """The cache of one node.

    Args:
        node: the node.
        plan: the whole plan.
        services: with the store, or without one.
        view: what the node sees.
    """

    def __init__(self, node: PlanNode, plan: Plan, services: Services, view: NodeView) -> None:
        self._node = node
        self._services = services
        self._keys = services.keys(plan)
        self._store = services.cache if self._keys.cacheable(node) else None
        self._ancestors = _ancestors(node, plan)
        # By block only where what it reads and what it writes can be cut by time.
        self._by_block = (
            node.scope == "segment"
            and all(by_frame(channel) for channel in REGISTRY.get(node.stage).io.writes)
            and view.can_be_narrowed()
        )
        self._said = threading.Lock()

    @property
    def active(self) -> bool:
        """Whether there is a cache and the node's output may be kept in it."""
        return self._store is not None

    def find(self, state: Mapping[str, Any]) -> Known:
        """What is known of the blocks of this call."""
        if self._store is None or not self._services.reuse or self._tainted(state):
            return Known()
        keys = self._keys_of(state)
        found = {
            key: entry
            for key, entry in self._store.find(list(keys)).items()
            if sound(entry, self._services.blobs)
        }
        if not found:
            return Known()
        blocks = self._blocks(state)
        first = next(iter(found.values()))
        whole = len(found) == len(keys) and all(entry == first for entry in found.values())
        if whole and first.blocks == blocks:
            return Known(entry=first, missing=())
        pieces = {keys[key][0]: entry for key, entry in found.items() if keys[key]}
        return Known(pieces=pieces, missing=_runs(blocks, pieces))

    def keep(self, state: Mapping[str, Any], data: dict[str, Any]) -> None:
        """Store what a call made, for later jobs."""
        if self._store is not None and not self._tainted(state):
            self._store.keep(list(self._keys_of(state)), CacheEntry(data, self._blocks(state)))

    def why(self, state: Mapping[str, Any]) -> str | None:
        """Why something is computed anew, at the first call of a run; None at later ones."""
        if self._store is None or not self._said.acquire(blocking=False):
            return None
        fingerprint = state["header"]["info"]["fingerprint"]
        now = self._keys.facts(self._node)
        said = difference(self._store.facts(fingerprint, self._node.id), now)
        self._store.keep_facts(fingerprint, self._node.id, now)
        return said if self._services.reuse else "results of earlier jobs were not to be used"

    def _blocks(self, state: Mapping[str, Any]) -> tuple[Block, ...]:
        if self._node.scope == "video":
            return ()
        return tuple((start, end) for start, end in state["segment"]["blocks"])

    def _keys_of(self, state: Mapping[str, Any]) -> dict[str, tuple[Block, ...]]:
        """The keys of this call, each with the blocks that it stands for."""
        blocks = self._blocks(state)
        groups = [(block,) for block in blocks] if self._by_block else [blocks]
        return {self._keys.key(self._node, state["header"], group): group for group in groups}

    def _tainted(self, state: Mapping[str, Any]) -> bool:
        """Whether a node that this one builds on failed and was skipped."""
        failed = {*state.get("failed", ()), *(f["node"] for f in state.get("failures", ()))}
        return bool(failed & self._ancestors)


def sound(entry: CacheEntry, blobs: BlobStore) -> bool:
    """Whether all stored objects that an entry names are there; a damaged one is deleted."""
    for ref in references(entry.data):
        # Before the look, so that it cannot go between the look and the use.
        blobs.hold(ref)
        try:
            # A larger one, such as a pack of frames, is checked piece by piece where it is read.
            if ref.size > CHECKED_BYTES:
                if not blobs.contains(ref):
                    return False
                continue
            blobs.get(ref)
        except BlobError:
            # Deleted, since storing the same bytes again would leave the damaged ones in place.
            blobs.delete(ref)
            return False
    return True


def references(data: Any) -> list[BlobRef]:
    """The stored objects that serialised data names."""
    if isinstance(data, dict):
        if data.keys() == {"sha256", "size"}:
            return [BlobRef.from_json(data)]
        return [ref for value in data.values() for ref in references(value)]
    if isinstance(data, list):
        return [
            ref for value in data if isinstance(value, dict | list) for ref in references(value)
        ]
    return []


def _runs(blocks: Sequence[Block], known: Mapping[Block, CacheEntry]) -> list[list[Block]]:
    runs: list[list[Block]] = []
    for block in blocks:
        if block in known:
            continue
        if runs and runs[-1][-1][1] == block[0]:
            runs[-1].append(block)
        else:
            runs.append([block])
    return runs


def _ancestors(node: PlanNode, plan: Plan) -> set[str]:
    seen: set[str] = set()
    waiting = [node]
    while waiting:
        current = waiting.pop()
        for inputs in (current.inputs, current.when_inputs):
            for producers in inputs.values():
                for producer in producers:
                    if producer not in seen:
                        seen.add(producer)
                        waiting.append(plan.node(producer))
    return seen
