"""The channels that the shipped stages share, and how their tables are stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mediaproc.blobs import BlobStore
from mediaproc.detect.products import Crops, Overlays, Pieces
from mediaproc.detect.rows import Rows
from mediaproc.detect.stages.base import ChannelSpec
from mediaproc.detect.state import Frames
from mediaproc.detect.tables import (
    Answers,
    CameraMotion,
    Codes,
    Detections,
    Events,
    Exposure,
    Files,
    FrameLabels,
    FrameScores,
    Matches,
    Motion,
    Reviews,
    Shots,
    Speech,
    SpeechScores,
    Texts,
    Totals,
    Tracks,
    Transcript,
)

FRAMES = ChannelSpec("frames", Frames)
FRAME_SCORES = ChannelSpec("frame_scores", FrameScores, reducer=FrameScores.concat)
DETECTIONS = ChannelSpec("detections", Detections, reducer=Detections.concat)
TEXTS = ChannelSpec("texts", Texts, reducer=Texts.concat)
SHOTS = ChannelSpec("shots", Shots, reducer=Shots.concat)
TRACKS = ChannelSpec("tracks", Tracks, reducer=Tracks.concat)
EVENTS = ChannelSpec("events", Events, reducer=Events.concat)
FILES = ChannelSpec("files", Files, reducer=Files.concat)
CROPS = ChannelSpec("crops", Crops, reducer=Crops.concat)
# Of each track, the sights that are worth a look, and the best of each block.
CROP_PLAN = ChannelSpec("crop_plan", Tracks, reducer=Tracks.concat, result=False)
CROP_CUTS = ChannelSpec("crop_cuts", Crops, reducer=Crops.concat, result=False)
# What is drawn is not put in an order of its own: the order of the rows is that of the strokes.
OVERLAYS = ChannelSpec("overlays", Overlays, result=False)
PIECES = ChannelSpec("pieces", Pieces, reducer=Pieces.concat, result=False)
MATCHES = ChannelSpec("matches", Matches, reducer=Matches.concat)
EXPOSURE = ChannelSpec("exposure", Exposure, reducer=Exposure.concat)
TOTALS = ChannelSpec("totals", Totals, reducer=Totals.concat)
SPEECH_SCORES = ChannelSpec("speech_scores", SpeechScores, reducer=SpeechScores.concat)
SPEECH = ChannelSpec("speech", Speech, reducer=Speech.concat)
PHRASES = ChannelSpec("phrases", Transcript, reducer=Transcript.concat, result=False)
TRANSCRIPT = ChannelSpec("transcript", Transcript, reducer=Transcript.concat)
ANSWERS = ChannelSpec("answers", Answers, reducer=Answers.concat)
REVIEWS = ChannelSpec("reviews", Reviews, reducer=Reviews.concat)
FRAME_LABELS = ChannelSpec("frame_labels", FrameLabels, reducer=FrameLabels.concat)
CODES = ChannelSpec("codes", Codes, reducer=Codes.concat)
MOTION = ChannelSpec("motion", Motion, reducer=Motion.concat)
CAMERA = ChannelSpec("camera", CameraMotion, reducer=CameraMotion.concat)
REPORT = ChannelSpec("report", dict, output=True)

SHARED: tuple[ChannelSpec, ...] = tuple(
    value for value in list(vars().values()) if isinstance(value, ChannelSpec)
)

Serialize = Callable[..., dict[str, Any]]


def table_serializers(channel: str, table: type[Rows]) -> tuple[Serialize, Serialize]:
    """``serialize_fn`` and ``deserialize_fn`` of a stage whose one write is a table."""
    return tables_serializers({channel: table})


def tables_serializers(tables: dict[str, type[Rows]]) -> tuple[Serialize, Serialize]:
    """``serialize_fn`` and ``deserialize_fn`` of a stage whose writes are tables, by channel."""

    def serialize(state: dict[str, Any], job_id: str, *, blobs: BlobStore) -> dict[str, Any]:
        return {channel: state[channel].to_json(blobs) for channel in tables}

    def deserialize(data: dict[str, Any], job_id: str, *, blobs: BlobStore) -> dict[str, Any]:
        return {c: table.from_json(data[c], blobs) for c, table in tables.items()}

    return serialize, deserialize


def evidence_serializers(channel: str, table: type[Rows]) -> tuple[Serialize, Serialize]:
    """``table_serializers`` for a table whose ``crop`` column refers to blobs.

    The references stand beside the table too, so that they are seen where the table itself is in a
    blob: whoever takes the table over holds them, and sees that they are there.
    """
    serialize_table, deserialize = table_serializers(channel, table)

    def serialize(state: dict[str, Any], job_id: str, *, blobs: BlobStore) -> dict[str, Any]:
        crops = [crop for crop in state[channel].column("crop") if crop is not None]
        return {**serialize_table(state, job_id, blobs=blobs), "crops": crops}

    return serialize, deserialize
