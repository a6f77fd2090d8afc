"""The channels that the shipped stages share, and how their tables are stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mediaproc.blobs import BlobStore
from mediaproc.detect.rows import Rows
from mediaproc.detect.stages.base import ChannelSpec
from mediaproc.detect.state import Frames
from mediaproc.detect.tables import (
    CameraMotion,
    Codes,
    Detections,
    Events,
    FrameLabels,
    FrameScores,
    Motion,
    Shots,
    Texts,
    Tracks,
)

FRAMES = ChannelSpec("frames", Frames)
FRAME_SCORES = ChannelSpec("frame_scores", FrameScores, reducer=FrameScores.concat)
DETECTIONS = ChannelSpec("detections", Detections, reducer=Detections.concat)
TEXTS = ChannelSpec("texts", Texts, reducer=Texts.concat)
SHOTS = ChannelSpec("shots", Shots, reducer=Shots.concat)
TRACKS = ChannelSpec("tracks", Tracks, reducer=Tracks.concat)
EVENTS = ChannelSpec("events", Events, reducer=Events.concat)
FRAME_LABELS = ChannelSpec("frame_labels", FrameLabels, reducer=FrameLabels.concat)
CODES = ChannelSpec("codes", Codes, reducer=Codes.concat)
MOTION = ChannelSpec("motion", Motion, reducer=Motion.concat)
CAMERA = ChannelSpec("camera", CameraMotion, reducer=CameraMotion.concat)
REPORT = ChannelSpec("report", dict, output=True)

Serialize = Callable[..., dict[str, Any]]


def table_serializers(channel: str, table: type[Rows]) -> tuple[Serialize, Serialize]:
    """``serialize_fn`` and ``deserialize_fn`` of a stage whose one write is a table."""

    def serialize(state: dict[str, Any], job_id: str, *, blobs: BlobStore) -> dict[str, Any]:
        rows: Rows = state[channel]
        return {channel: rows.to_json(blobs)}

    def deserialize(data: dict[str, Any], job_id: str, *, blobs: BlobStore) -> dict[str, Any]:
        return {channel: table.from_json(data[channel], blobs)}

    return serialize, deserialize
