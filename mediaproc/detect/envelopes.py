"""Parts in what a checkpointer is given, and envelopes in what it stores: one for the other."""

from __future__ import annotations

from typing import Any

from langgraph.checkpoint.base import CheckpointTuple, DeltaChannelHistory
from langgraph.types import Send

from mediaproc.detect.parts import MARK, Part
from mediaproc.errors import CheckpointError


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


def decoded_tuple(found: CheckpointTuple) -> CheckpointTuple:
    """A checkpoint and its writes with their parts.

    Raises:
        CheckpointError: another checkpoint stands where this one should.
    """
    checkpoint = found.checkpoint.copy()
    place = found.config.get("configurable", {})
    if place.get("checkpoint_id") != checkpoint["id"]:
        raise CheckpointError(
            f"job {place.get('thread_id')!r}: the job database is damaged: checkpoint "
            f"{checkpoint['id']} stands in the place of {place.get('checkpoint_id')}; remove the "
            "job with 'mediaproc jobs rm ID' and start it anew"
        )
    checkpoint["channel_values"] = decode(dict(checkpoint["channel_values"]))
    writes = found.pending_writes
    return found._replace(
        checkpoint=checkpoint,
        pending_writes=None
        if writes is None
        else [(task, channel, decode(value)) for task, channel, value in writes],
    )


def decoded_history(history: DeltaChannelHistory) -> DeltaChannelHistory:
    """What a ``DeltaChannel`` is rebuilt from, with its parts."""
    found: DeltaChannelHistory = {
        "writes": [(task, channel, decode(value)) for task, channel, value in history["writes"]]
    }
    if "seed" in history:
        found["seed"] = decode(history["seed"])
    return found


def _is_named(value: Any) -> bool:
    """Whether it is a named tuple, such as the snapshot of a ``DeltaChannel``."""
    return isinstance(value, tuple) and hasattr(value, "_fields")
