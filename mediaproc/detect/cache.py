"""The cache: what a node made of an anchor block, found again by what it follows from.

A key is a hash of everything that a result follows from: the video's fingerprint, the block, the
stage and its version, its filled configuration, its model's content and engine, the threads, the
kind of CPU, and the keys of exactly the inputs that it sees. So a key is known before any work is
done, and after one setting changed, that node and those behind it have new keys and no others.
"""

from __future__ import annotations

import hashlib
import json
import platform
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from mediaproc.blobs import BlobStore
from mediaproc.detect.models import ModelStore
from mediaproc.detect.plan import Plan, PlanNode
from mediaproc.detect.stages.base import REGISTRY, wanted_services

# Raised where keys are made otherwise, so that none of before is found.
KEY_VERSION = 1

# Packages whose arithmetic reaches results, whatever the stage.
_PACKAGES = ("av", "numpy", "opencv-python", "onnxruntime")
# CPU features for which kernels differ in their last digits.
_CPU_FLAGS = ("avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimd")

Block = tuple[int, int]


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """What a call of a node made.

    Attributes:
        data: as the stage's ``serialize_fn`` gave it.
        blocks: the anchor blocks it covers; none in video scope.
    """

    data: dict[str, Any]
    blocks: tuple[Block, ...]


class CacheStore(Protocol):
    """Where entries are kept; shared by jobs, and by machines where the store is."""

    def find(self, keys: Sequence[str]) -> dict[str, CacheEntry]:
        """The entries of those keys that are there."""
        ...

    def keep(self, keys: Sequence[str], entry: CacheEntry) -> None:
        """Store an entry under each of its keys."""
        ...

    def facts(self, fingerprint: str, node: str) -> dict[str, Any] | None:
        """What the latest results of a node on a video followed from, or None."""
        ...

    def keep_facts(self, fingerprint: str, node: str, facts: Mapping[str, Any]) -> None:
        """Remember what the results of a node on a video follow from."""
        ...


class Keys:
    """The keys of a plan's nodes.

    Args:
        plan: the plan.
        models: tells the content of model weights.
        blobs: tells whether frames are kept.
    """

    def __init__(self, plan: Plan, models: ModelStore, blobs: BlobStore) -> None:
        self._plan = plan
        self._models = models
        self._blobs = blobs
        self._facts: dict[str, dict[str, Any]] = {}
        self._digests: dict[str, str] = {}
        self._cacheable = {node.id: self._can_be_kept(node) for node in plan.nodes}
        self._whole = {node.id: self._sees_whole(node) for node in plan.nodes}
        self._lock = threading.RLock()

    def cacheable(self, node: PlanNode) -> bool:
        """Whether a node's output follows from its key alone."""
        return self._cacheable[node.id]

    def key(self, node: PlanNode, header: Mapping[str, Any], blocks: Sequence[Block]) -> str:
        """The key of what a node makes of these blocks, or, in video scope, of the whole job.

        Args:
            node: the node.
            header: what ``open-video`` found: the fingerprint, and the digest of all blocks that
                the job looks at.
            blocks: one block, or all of a segment where its output cannot be told apart by frame.
        """
        whole = header["span"] if self._whole[node.id] else None
        fingerprint = header["info"]["fingerprint"]
        return digest([KEY_VERSION, fingerprint, node.id, self.digest(node), list(blocks), whole])

    def digest(self, node: PlanNode) -> str:
        """The digest of a node's facts, and so of those of all nodes that it sees."""
        with self._lock:
            if node.id not in self._digests:
                self._digests[node.id] = digest(self.facts(node))
            return self._digests[node.id]

    def facts(self, node: PlanNode) -> dict[str, Any]:
        """What a node's results follow from, apart from the video, for a person to compare."""
        with self._lock:
            if node.id not in self._facts:
                stage = REGISTRY.get(node.stage)
                own: dict[str, Any] = {}
                if stage.identity_fn is not None:
                    offered = {
                        "config": dict(node.config),
                        "models": self._models,
                        "blobs": self._blobs,
                    }
                    wanted = wanted_services(stage.identity_fn)
                    own = stage.identity_fn(**{k: v for k, v in offered.items() if k in wanted})
                self._facts[node.id] = {
                    "stage": node.stage,
                    "version": stage.version,
                    "config": node.config,
                    "when": node.when,
                    "model": own,
                    "environment": environment(self._models.threads),
                    "inputs": {c: list(ids) for c, ids in node.inputs.items()},
                    "when_inputs": {c: list(ids) for c, ids in node.when_inputs.items()},
                    "upstream": {p: self.digest(self._plan.node(p)) for p in _seen(node)},
                }
            return self._facts[node.id]

    def _can_be_kept(self, node: PlanNode) -> bool:
        stage = REGISTRY.get(node.stage)
        assert stage.fn is not None
        return (
            stage.cached
            # An answer of a person does not follow from anything.
            and "ask" not in wanted_services(stage.fn)
            and not any(REGISTRY.channel(channel).output for channel in stage.io.writes)
            and all(self._can_be_kept(self._plan.node(producer)) for producer in _seen(node))
        )

    def _sees_whole(self, node: PlanNode) -> bool:
        return node.scope == "video" or any(
            self._sees_whole(self._plan.node(producer)) for producer in _seen(node)
        )


def difference(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> str:
    """Why results of before do not serve, in words: the first thing that changed."""
    if before is None:
        return "not computed before on this video"
    for name, said in (("stage", "the stage"), ("version", "the stage's version")):
        if before.get(name) != now[name]:
            return f"{said} changed: {before.get(name)} -> {now[name]}"
    for group in ("config", "model", "environment"):
        old, new = before.get(group, {}), now[group]
        for name in sorted({*old, *new}):
            if old.get(name) != new.get(name):
                what = name if group == "config" else f"{group} {name}"
                return f"{what} changed: {_short(old.get(name))} -> {_short(new.get(name))}"
    if before.get("when") != now["when"]:
        return f"when changed: {_short(before.get('when'))} -> {_short(now['when'])}"
    if before.get("inputs") != now["inputs"] or before.get("when_inputs") != now["when_inputs"]:
        return "it reads from other nodes"
    changed = sorted(
        producer
        for producer, made_of in now["upstream"].items()
        if before.get("upstream", {}).get(producer) != made_of
    )
    if changed:
        return f"it reads from {', '.join(changed)}, which changed"
    return "this part of the video was not computed before, or its results were not kept"


@lru_cache(maxsize=4)
def environment(threads: int) -> dict[str, str]:
    """What results depend on beyond the profile: versions, threads, and the kind of CPU."""
    found = {"machine": _cpu_kind(), "threads": str(threads)}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = ""
    return found


def _cpu_kind() -> str:
    flags: set[str] = set()
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.partition(":")[0].strip() in ("flags", "Features"):
                flags = set(line.partition(":")[2].split())
                break
    return "+".join([platform.machine(), *(flag for flag in _CPU_FLAGS if flag in flags)])


def _seen(node: PlanNode) -> list[str]:
    """The nodes that a node reads from, its guard included."""
    inputs = [*node.inputs.values(), *node.when_inputs.values()]
    return sorted({producer for producers in inputs for producer in producers})


def digest(value: Any) -> str:
    """SHA-256 of a JSON value, hex."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
