"""``detect_text``: lines of text on screen, by RapidOCR (PP-OCR models in its wheel)."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.detect.models import ModelStore
from mediaproc.detect.models.text import Line, TextReaders
from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO, StageNeeds
from mediaproc.detect.stages.channels import TEXTS, table_serializers
from mediaproc.detect.stages.text_follower import TextFollower
from mediaproc.detect.state import DetectState, Segment
from mediaproc.detect.tables import Texts


def detect_text(
    state: DetectState, *, config: dict[str, Any], models: ModelStore
) -> dict[str, Any]:
    """Read every frame of the segment, or only those whose text changed."""
    frames, segment = state["frames"], state["segment"]
    readers = models.shared("text", lambda: TextReaders(models.threads))
    scale = np.array(frames.source_wh, dtype=np.float64) / np.array(frames.size_wh)
    confidence = config["min_confidence"]
    rows: list[dict[str, Any]] = []
    with readers.one() as reader:
        follower, block = TextFollower(reader, confidence, config["reread_s"]), -1
        for frame in frames.images():
            if not config["skip_unchanged"]:
                lines = reader.read(frame.image, confidence)
            else:
                # What carries over from frame to frame restarts at each block, so that results do
                # not depend on how the video is cut into segments.
                here = _block(segment, frame.index)
                if here != block:
                    follower = TextFollower(reader, confidence, config["reread_s"])
                    block = here
                lines = follower.lines(frame.image, frame.time_s)
            place = {
                "node": "",
                "frame_index": frame.index,
                "pts": frame.pts,
                "time_s": frame.time_s,
            }
            rows += [{**place, **row} for row in _rows(lines, scale, config)]
    return {"texts": Texts.from_records(rows)}


def identity() -> dict[str, Any]:
    """The release whose wheel carries the models."""
    return {"rapidocr": version("rapidocr")}


def _rows(
    lines: list[Line], scale: npt.NDArray[np.float64], config: dict[str, Any]
) -> list[dict[str, Any]]:
    rows = []
    for line in lines:
        quad = line.corners * scale
        (x1, y1), (x2, y2) = quad.min(axis=0).tolist(), quad.max(axis=0).tolist()
        if line.confidence < config["min_confidence"] or y2 - y1 < config["min_height_px"]:
            continue
        if sum(character.isalnum() for character in line.text) < config["min_characters"]:
            continue
        rows.append(
            {
                "text": line.text,
                "confidence": line.confidence,
                "x1": x1,
                "y1": y1,
                "x2": x2,
                "y2": y2,
                "quad": quad.tolist(),
            }
        )
    return sorted(rows, key=lambda row: (row["y1"], row["x1"], row["text"]))


def _block(segment: Segment, frame_index: int) -> int:
    return next(start for start, end in segment.blocks if start <= frame_index < end)


_SERIALIZE, _DESERIALIZE = table_serializers("texts", Texts)

STAGE = StageDefinition(
    name="detect_text",
    label="Detect text",
    description="Reads lines of text on screen (Chinese and Latin scripts) with RapidOCR.",
    io=StageIO(reads=["frames"], writes=["texts"]),
    config_fields=[
        StageConfigField(
            "min_confidence",
            "float",
            0.7,
            "Lowest confidence of a line. Raising it drops doubtful readings.",
            min=0.0,
            max=1.0,
        ),
        StageConfigField(
            "min_characters",
            "int",
            2,
            "Fewest letters and digits of a line. Single ones are mostly round things misread.",
            min=1,
            max=100,
        ),
        StageConfigField(
            "min_height_px", "int", 8, "Lowest line in pixels of the source frame.", min=0
        ),
        StageConfigField(
            "skip_unchanged",
            "bool",
            True,
            "Take over the lines of the frame before where its text has not changed.",
        ),
        StageConfigField(
            "reread_s",
            "float",
            5.0,
            "With skip_unchanged, longest time without a full reading, in seconds. Less finds "
            "small text sooner that comes while other text stays, and takes longer.",
            min=0.0,
            max=3600.0,
        ),
    ],
    category="detection",
    fn=detect_text,
    identity_fn=identity,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    channels=[TEXTS],
    needs=StageNeeds(licence="Apache-2.0 (RapidOCR, PP-OCR models)"),
)
