"""``detect_text``: lines of text on screen, by RapidOCR (PP-OCR models in its wheel)."""

from __future__ import annotations

import logging
import threading
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.detect.models import ModelStore
from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO, StageNeeds
from mediaproc.detect.stages.channels import TEXTS, table_serializers
from mediaproc.detect.state import DetectState, Frame, Segment, Texts

# Longer side at which frames are held against each other, and the change (of 255) that counts.
_COMPARED_PX = 160
_CHANGED = 12.0


class TextReader:
    """RapidOCR behind a lock: its options are sticky and its sessions are shared.

    Args:
        threads: threads of one call; a fixed number, so that results are the same everywhere.
    """

    def __init__(self, threads: int) -> None:
        from rapidocr import RapidOCR

        self._engine = RapidOCR(
            params={
                "Global.log_level": "error",
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )
        logging.getLogger("RapidOCR").setLevel(logging.ERROR)
        self._lock = threading.Lock()

    def read(
        self, image: npt.NDArray[np.uint8], min_confidence: float
    ) -> list[tuple[str, float, npt.NDArray[np.float64]]]:
        """Lines in an image, shape (H, W, 3), uint8, BGR: text, confidence, corners (4, 2)."""
        with self._lock:
            # All of them each time: what is left out keeps the value of the call before.
            found = self._engine(
                image,
                use_det=True,
                use_cls=False,
                use_rec=True,
                return_word_box=False,
                return_single_char_box=False,
                text_score=min_confidence,
                box_thresh=0.5,
                unclip_ratio=1.6,
            )
        if found.txts is None or found.boxes is None or found.scores is None:
            return []
        return [
            (text, float(score), np.asarray(box, dtype=np.float64))
            for text, score, box in zip(found.txts, found.scores, found.boxes, strict=True)
        ]


def detect_text(
    state: DetectState, *, config: dict[str, Any], models: ModelStore
) -> dict[str, Any]:
    """Read every frame of the segment, or only those that changed."""
    frames, segment = state["frames"], state["segment"]
    reader = models.shared("text", lambda: TextReader(models.threads))
    scale = np.array(frames.source_wh, dtype=np.float64) / np.array(frames.size_wh)
    rows: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    last: npt.NDArray[np.int16] | None = None
    block = -1
    for frame in frames.images():
        small = _small(frame.image)
        # What carries over from frame to frame restarts at each block, so that results do not
        # depend on how the video is cut into segments.
        here = _block(segment, frame.index)
        if here != block or last is None or not config["skip_unchanged"] or _differ(small, last):
            lines = _lines(frame, reader, scale, config)
            last, block = small, here
        for line in lines:
            rows.append(
                {
                    "node": "",
                    "frame_index": frame.index,
                    "pts": frame.pts,
                    "time_s": frame.time_s,
                    **line,
                }
            )
    return {"texts": Texts.from_records(rows)}


def identity() -> dict[str, Any]:
    """The release whose wheel carries the models."""
    return {"rapidocr": version("rapidocr")}


def _lines(
    frame: Frame, reader: TextReader, scale: npt.NDArray[np.float64], config: dict[str, Any]
) -> list[dict[str, Any]]:
    lines = []
    for text, confidence, corners in reader.read(frame.image, config["min_confidence"]):
        quad = corners * scale
        (x1, y1), (x2, y2) = quad.min(axis=0).tolist(), quad.max(axis=0).tolist()
        if confidence < config["min_confidence"] or y2 - y1 < config["min_height_px"]:
            continue
        if sum(character.isalnum() for character in text) < config["min_characters"]:
            continue
        lines.append(
            {
                "text": text,
                "confidence": confidence,
                "x1": x1,
                "y1": y1,
                "x2": x2,
                "y2": y2,
                "quad": quad.tolist(),
            }
        )
    return sorted(lines, key=lambda line: (line["y1"], line["x1"], line["text"]))


def _block(segment: Segment, frame_index: int) -> int:
    return next(start for start, end in segment.blocks if start <= frame_index < end)


def _small(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.int16]:
    import cv2

    height, width = image.shape[:2]
    scale = min(1.0, _COMPARED_PX / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    small: npt.NDArray[np.int16] = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(
        np.int16
    )
    return small


def _differ(one: npt.NDArray[np.int16], other: npt.NDArray[np.int16]) -> bool:
    """Whether any spot changed: a caption covers few pixels, so a mean would miss it."""
    return bool((np.abs(one - other) >= _CHANGED).any())


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
            "Take over the lines of the frame before where the picture has not changed.",
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
