"""Parts: how a stage's output travels through LangGraph's state.

A part is everything that one call of one node wrote. In memory it holds the values themselves;
in a checkpoint it is a versioned JSON envelope made by the stage's ``serialize_fn``::

    {"$mediaproc": 1, "stage": "detect_objects", "version": 1, "node": "boxes", "segment": 3,
     "data": {...}}

A part sits in one state channel for all stages, since a channel with a reducer mixes stages and
so cannot tell who owns a value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from typing import Any

from mediaproc.errors import CheckpointError, DamageError, StageError

MARK = "$mediaproc"
ENVELOPE_VERSION = 1


class Part:
    """Everything that one call of one node wrote.

    Attributes:
        stage: name of the stage.
        version: version of the stage's serialised format.
        node: id of the node.
        segment: number of the segment, or None in video scope.
    """

    __slots__ = ("_data", "_lock", "_seal", "_writes", "node", "segment", "stage", "version")

    def __init__(
        self,
        stage: str,
        version: int,
        node: str,
        segment: int | None,
        *,
        writes: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        seal: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> None:
        self.stage = stage
        self.version = version
        self.node = node
        self.segment = segment
        self._writes = writes
        self._data = data
        self._seal = seal
        self._lock = Lock()

    def __repr__(self) -> str:
        where = "" if self.segment is None else f", segment {self.segment}"
        return f"Part({self.node}: {self.stage}{where})"

    def envelope(self) -> dict[str, Any]:
        """The part as JSON values; the stage serialises its writes once, however often asked."""
        with self._lock:
            if self._data is None:
                assert self._writes is not None
                self._data = self._seal(self._writes) if self._seal else self._writes
                problem = json_problem(self._data)
                if problem:
                    raise StageError(
                        f"node {self.node!r} ({self.stage}): {problem}; a checkpoint takes only "
                        "JSON values, so give the stage a serialize_fn and a deserialize_fn"
                    )
        return {
            MARK: ENVELOPE_VERSION,
            "stage": self.stage,
            "version": self.version,
            "node": self.node,
            "segment": self.segment,
            "data": self._data,
        }

    def open(self, restore: Callable[[Part, dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        """The writes; ``restore`` makes them from the data where only that is at hand."""
        with self._lock:
            if self._writes is None:
                assert self._data is not None
                self._writes = restore(self, self._data)
            return self._writes

    @classmethod
    def from_envelope(cls, envelope: Mapping[str, Any]) -> Part:
        """The part behind an envelope.

        Raises:
            CheckpointError: the envelope is of another version, or damaged.
        """
        version = envelope.get(MARK)
        if version != ENVELOPE_VERSION:
            newer = isinstance(version, int) and version > ENVELOPE_VERSION
            advice = "update mediaproc" if newer else "resume with the version that wrote it"
            raise CheckpointError(
                f"a checkpoint holds an envelope of version {version!r}; this version of "
                f"mediaproc reads {ENVELOPE_VERSION}: {advice}, or start a new job"
            )
        try:
            return cls(
                envelope["stage"],
                envelope["version"],
                envelope["node"],
                envelope["segment"],
                data=envelope["data"],
            )
        except KeyError as error:
            raise CheckpointError(f"a checkpoint holds an envelope without {error}") from error


def as_part(value: Part | Mapping[str, Any]) -> Part:
    """A part, from itself or from the envelope that a foreign checkpointer kept."""
    return value if isinstance(value, Part) else Part.from_envelope(value)


def distinct(values: Iterable[Part | Mapping[str, Any]], *, job: str | None = None) -> list[Part]:
    """Parts of which each node and segment has one.

    Args:
        values: parts, or envelopes that a foreign checkpointer kept; the same one may come twice.
        job: the job's id, for messages.

    Raises:
        DamageError: two differ that are of the same node and segment.
    """
    found: dict[tuple[str, int | None], Part] = {}
    for value in values:
        part = as_part(value)
        first = found.setdefault((part.node, part.segment), part)
        if first is not part and first.envelope() != part.envelope():
            where = "" if part.segment is None else f" in segment {part.segment}"
            raise DamageError(f"node {part.node!r}{where} has two results that differ", job=job)
    return [*found.values()]


def json_problem(value: Any, at: str = "") -> str | None:
    """Where and why ``value`` is not made of JSON values only, or None where it is."""
    if value is None or isinstance(value, bool | int | str):
        return None
    if isinstance(value, float):
        return (
            None if math.isfinite(value) else f"{at or 'the value'} is {value}, not a JSON number"
        )
    if isinstance(value, list):
        for position, item in enumerate(value):
            if problem := json_problem(item, f"{at}[{position}]"):
                return problem
        return None
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                return f"{at or 'the value'} has the key {key!r}, which is not a string"
            if problem := json_problem(item, f"{at}.{key}" if at else f"channel {key!r}"):
                return problem
        return None
    return f"{at or 'the value'} holds a {type(value).__name__}"
