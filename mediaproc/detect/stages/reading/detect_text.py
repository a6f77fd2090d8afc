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
from mediaproc.detect.stages.reading.text_follower import TextFollower
from mediaproc.detect.state import DetectState
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
        # What carries over from frame to frame restarts at each block, so that results do not
        # depend on how the video is cut into segments.
        for start, end in segment.blocks:
            block = frames.within(start, end)
            if config["skip_unchanged"]:
                follower = TextFollower(reader, confidence, frames.size_wh)
                for frame in block.images():
                    follower.follow(frame.image)
                found = follower.lines
            else:
                found = [reader.read(frame.image, confidence) for frame in block.images()]
            for number, lines in enumerate(found):
                place = {
                    "node": "",
                    "frame_index": int(block.indexes[number]),
                    "pts": int(block.pts[number]),
                    "time_s": float(block.time_s[number]),
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
            "Read only what changed since the frame before, many times faster; false reads every "
            "frame as a whole.",
        ),
    ],
    category="detection",
    version=2,
    migrate={1: lambda data: data},
    fn=detect_text,
    identity_fn=identity,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    channels=[TEXTS],
    needs=StageNeeds(licence="Apache-2.0 (RapidOCR, PP-OCR models)"),
)
