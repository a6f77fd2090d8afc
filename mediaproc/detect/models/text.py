"""RapidOCR (PP-OCR models in its wheel): reading an image, and glancing where text stands."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# Longer side of the image in which a glance looks for text: enough for captions, at a
# fifth of the cost of a reading.
GLANCE_PX = 640


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text in an image.

    Attributes:
        text: what was read.
        confidence: 0..1.
        corners: shape (4, 2), float64, pixels, clockwise from the upper left.
    """

    text: str
    confidence: float
    corners: npt.NDArray[np.float64]

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """The upright box around the line, pixels."""
        (x1, y1), (x2, y2) = self.corners.min(axis=0).tolist(), self.corners.max(axis=0).tolist()
        return x1, y1, x2, y2


class TextReader:
    """RapidOCR for one caller at a time: its options are sticky.

    Args:
        threads: threads of one call; a fixed number, so that results are the same everywhere.
    """

    def __init__(self, threads: int) -> None:
        self._reading = _engine(threads, {})
        self._glancing = _engine(
            threads, {"Det.limit_side_len": GLANCE_PX, "Det.limit_type": "max"}
        )

    def read(self, image: npt.NDArray[np.uint8], min_confidence: float) -> list[Line]:
        """The lines in an image, shape (H, W, 3), uint8, BGR."""
        found = _called(self._reading, image, use_rec=True, text_score=min_confidence)
        if found.txts is None or found.boxes is None or found.scores is None:
            return []
        return [
            Line(text, float(score), np.asarray(box, dtype=np.float64))
            for text, score, box in zip(found.txts, found.scores, found.boxes, strict=True)
        ]

    def recognise(self, image: npt.NDArray[np.uint8]) -> tuple[str, float] | None:
        """The text of an image that holds one line, shape (H, W, 3), uint8, BGR; and how sure."""
        found = _called(self._reading, image, use_det=False, use_rec=True, text_score=0.0)
        if not found.txts or not found.scores:
            return None
        return str(found.txts[0]), float(found.scores[0])

    def glance(self, image: npt.NDArray[np.uint8]) -> list[tuple[float, float, float, float]]:
        """Where larger text seems to stand in an image: upright boxes, pixels."""
        found = _called(self._glancing, image, use_rec=False, text_score=0.5)
        if found.boxes is None:
            return []
        boxes = [np.asarray(box, dtype=np.float64) for box in found.boxes]
        return [(*box.min(axis=0).tolist(), *box.max(axis=0).tolist()) for box in boxes]


class TextReaders:
    """As many readers as there are callers at once.

    Args:
        threads: threads of one call.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._idle: list[TextReader] = []
        self._lock = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[TextReader]:
        """A reader for the caller alone."""
        with self._lock:
            reader = self._idle.pop() if self._idle else None
        reader = reader or TextReader(self._threads)
        try:
            yield reader
        finally:
            with self._lock:
                self._idle.append(reader)


def _engine(threads: int, more: dict[str, Any]) -> Any:
    from rapidocr import RapidOCR

    engine = RapidOCR(
        params={
            "Global.log_level": "error",
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            **more,
        }
    )
    logging.getLogger("RapidOCR").setLevel(logging.ERROR)
    return engine


def _called(
    engine: Any,
    image: npt.NDArray[np.uint8],
    *,
    use_rec: bool,
    text_score: float,
    use_det: bool = True,
) -> Any:
    # All options each time: what is left out keeps the value of the call before.
    return engine(
        image,
        use_det=use_det,
        use_cls=False,
        use_rec=use_rec,
        return_word_box=False,
        return_single_char_box=False,
        text_score=text_score,
        box_thresh=0.5,
        unclip_ratio=1.6,
    )
