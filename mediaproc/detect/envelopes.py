"""Parts in what a checkpointer is given, and envelopes in what it stores: one for the other.

A stored value carries a digest of its place: a write that of its task and channel, a channel's
value that of channel and version, which no other job has. So one that was put in the place of
another is an error. Metadata carry a digest of their checkpoint and of what LangGraph goes on from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointMetadata, CheckpointTuple, DeltaChannelHistory
from langgraph.types import Send

from mediaproc.detect.parts import MARK, Part
from mediaproc.errors import DamageError

_DIGEST_BYTES = 8
# In the metadata of a checkpoint: its digest, and what that is of.
_MARK = "mediaproc_digest"
_FIELDS = ("source", "step", "parents")


def encode(value: Any) -> Any:
    """``value`` with every part in it replaced by its envelope."""
    if isinstance(value, Part):
        return value.envelope()
    if isinstance(value, Send):
        return Send(value.node, encode(value.arg))
    if type(value) is dict:
        return {key: encode(item) for key, item in value.items()}
    if type(value) is list:
        return [encode(item) for item in value]
    if type(value) is tuple:
        return tuple(encode(item) for item in value)
    if _is_named(value):
        return type(value)(*(encode(item) for item in value))
    return value


def decode(value: Any) -> Any:
    """``value`` with every envelope in it replaced by its part."""
    if isinstance(value, Send):
        return Send(value.node, decode(value.arg))
    if type(value) is dict:
        if MARK in value:
            return Part.from_envelope(value)
        return {key: decode(item) for key, item in value.items()}
    if type(value) is list:
        return [decode(item) for item in value]
    if type(value) is tuple:
        return tuple(decode(item) for item in value)
    if _is_named(value):
        return type(value)(*(decode(item) for item in value))
    return value


def encoded_writes(writes: Sequence[tuple[str, Any]], task: str) -> list[tuple[str, Any]]:
    """A task's writes, as they are stored."""
    return [(channel, _placed(encode(value), task, channel)) for channel, value in writes]


def encoded_values(values: Mapping[str, Any], versions: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a checkpoint's channels, as they are stored."""
    return {
        channel: _placed(encode(value), channel, versions.get(channel))
        if _is_placed(value)
        else encode(value)
        for channel, value in values.items()
    }


def encoded_metadata(metadata: CheckpointMetadata, checkpoint_id: str) -> CheckpointMetadata:
    """A checkpoint's metadata, as it is stored."""
    marked: Any = {**metadata, _MARK: _digest(_of_metadata(metadata, checkpoint_id)).hex()}
    return cast(CheckpointMetadata, marked)


def decoded_tuple(found: CheckpointTuple) -> CheckpointTuple:
    """A checkpoint and its writes with their parts.

    Raises:
        DamageError: it, one of its values or one of its writes is not the one of its place.
    """
    with of_job(found.config):
        checkpoint = found.checkpoint.copy()
        place = found.config.get("configurable", {})
        if place.get("checkpoint_id") != checkpoint["id"]:
            raise DamageError(
                f"checkpoint {checkpoint['id']} stands in the place of {place.get('checkpoint_id')}"
            )
        metadata: Any = dict(found.metadata)
        if metadata.pop(_MARK, None) != _digest(_of_metadata(metadata, checkpoint["id"])).hex():
            raise DamageError(
                f"the metadata of checkpoint {checkpoint['id']} do not match their digest (they "
                "are damaged, or an earlier version of mediaproc wrote them)"
            )
        versions = checkpoint["channel_versions"]
        checkpoint["channel_values"] = {
            channel: _taken(value, channel, versions.get(channel)) if _is_placed(value) else value
            for channel, value in checkpoint["channel_values"].items()
        }
        writes = found.pending_writes
        return found._replace(
            checkpoint=checkpoint,
            metadata=metadata,
            pending_writes=None
            if writes is None
            else [(task, channel, _taken(value, task, channel)) for task, channel, value in writes],
        )


def decoded_history(history: DeltaChannelHistory) -> DeltaChannelHistory:
    """What a ``DeltaChannel`` is rebuilt from, with its parts.

    Raises:
        DamageError: a write is not the one of its place.
    """
    found: DeltaChannelHistory = {
        "writes": [
            (task, channel, _taken(value, task, channel))
            for task, channel, value in history["writes"]
        ]
    }
    if "seed" in history:
        seed = history["seed"]
        # The history does not tell of which version it is, so its digest says nothing here.
        found["seed"] = decode(_unpacked(seed, "a seed")[1] if _is_placed(seed) else seed)
    return found


def _is_placed(value: Any) -> bool:
    """Whether a channel's value gets a digest of its place.

    Not what LangGraph's savers look into: plain values, and the snapshot of a ``DeltaChannel``.
    """
    return not (value is None or isinstance(value, str | int | float) or _is_named(value))


def _placed(value: Any, *place: Any) -> list[Any]:
    return [_digest(place), value]


def _taken(stored: Any, *place: Any) -> Any:
    """The value that was stored in a place; DamageError where it belongs to another."""
    name = ", ".join(map(str, place))
    digest, value = _unpacked(stored, f"a value of {name}")
    if digest != _digest(place):
        raise DamageError(f"what stands as a value of {name} belongs elsewhere")
    return decode(value)


def _unpacked(stored: Any, name: str) -> tuple[bytes, Any]:
    """The digest and the value of what ``_placed`` made."""
    if isinstance(stored, list) and len(stored) == 2 and isinstance(stored[0], bytes):
        return stored[0], stored[1]
    raise DamageError(
        f"{name} does not say where it belongs (it is damaged, or an earlier version of mediaproc "
        "wrote it)"
    )


def _of_metadata(metadata: Mapping[str, Any], checkpoint_id: str) -> tuple[Any, ...]:
    fields = [metadata.get(name) for name in _FIELDS]
    return checkpoint_id, json.dumps(fields, sort_keys=True)


def _digest(place: tuple[Any, ...]) -> bytes:
    return hashlib.blake2b(repr(place).encode(), digest_size=_DIGEST_BYTES).digest()


@contextmanager
def of_job(config: RunnableConfig | None) -> Iterator[None]:
    """Names the job in what is said of its checkpoints, unreadable metadata included."""
    job = (config or {}).get("configurable", {}).get("thread_id")
    try:
        yield
    except DamageError as error:
        raise DamageError(error.what, job=job) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        # The savers keep metadata as JSON of their own.
        raise DamageError(f"damaged metadata ({error})", job=job) from error


def _is_named(value: Any) -> bool:
    """Whether it is a named tuple, such as the snapshot of a ``DeltaChannel``."""
    return isinstance(value, tuple) and hasattr(value, "_fields")
