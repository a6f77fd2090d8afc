"""RapidOCR (PP-OCR models in its wheel): reading an image, and glancing where text stands."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.timing import timed

Image = npt.NDArray[np.uint8]
Quad = npt.NDArray[np.float64]
Box = tuple[float, float, float, float]

# RapidOCR's own bounds: frames are reduced to the first on their longer side, then enlarged to the
# second on their shorter one.
_LONGEST_PX = 2000
_SHORTEST_PX = 736
# The detector takes multiples of this, and RapidOCR pads what is wider than high by the second.
_STEP_PX = 32
_FLATTEST = 8.0


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
    corners: Quad

    @property
    def xyxy(self) -> Box:
        """The upright box around the line, pixels."""
        return upright_box(self.corners)


def upright_box(quad: Quad) -> Box:
    """The upright box around four corners."""
    (x1, y1), (x2, y2) = quad.min(axis=0).tolist(), quad.max(axis=0).tolist()
    return x1, y1, x2, y2


class TextReader:
    """RapidOCR for one caller at a time: its options are sticky.

    Args:
        threads: threads of one call; a fixed number, so that results are the same everywhere.
    """

    def __init__(self, threads: int) -> None:
        self._reading = _engine(threads, {})
        # Takes images at the size that they have.
        self._looking = _engine(
            threads, {"Det.limit_side_len": _LONGEST_PX, "Det.limit_type": "max"}
        )
        # RapidOCR loads a model at its first use: from here on its recogniser is there.
        blank = np.zeros((48, 320, 3), dtype=np.uint8)
        _called(self._reading, blank, use_det=False, use_rec=True)

    def read(self, image: Image, min_confidence: float) -> list[Line]:
        """The lines in an image, shape (H, W, 3), uint8, BGR."""
        lines = (self.recognise(image, quad) for quad in self.find(image))
        return [line for line in lines if line.text.strip() and line.confidence >= min_confidence]

    def find(self, image: Image, region: Box | None = None) -> list[Quad]:
        """The corners of the lines in an image, or in a region of it.

        A region is looked through as finely as it is with the whole image. It is widened to what
        the detector takes.
        """
        if region is None:
            return _quads(_called(self._reading, image, use_rec=False))
        return self._found(image, region, _reading_scale(image))

    def recognise(self, image: Image, quad: Quad) -> Line:
        """What stands between four corners in an image."""
        from rapidocr.ch_ppocr_rec import TextRecInput

        # One line at a time: a batch is as wide as its widest line, and the reading of a line
        # would hang on those beside it.
        upright = _upright(image, quad.astype(np.float32))
        with timed("inference"):
            found = self._reading.text_rec(TextRecInput(img=[upright], return_word_box=False))
        return Line(str(found.txts[0]), float(found.scores[0]), quad)

    def glance(self, image: Image, region: Box, pixels: int) -> list[Box]:
        """Where text seems to stand in a region of an image: upright boxes, pixels.

        Args:
            image: shape (H, W, 3), uint8, BGR.
            region: the smaller it is, the smaller is the text that is seen.
            pixels: as which the region is looked through; what a glance costs.
        """
        x1, y1, x2, y2 = region
        finest = math.sqrt(pixels / ((x2 - x1) * (y2 - y1)))
        quads = self._found(image, region, min(_reading_scale(image), finest))
        return [upright_box(quad) for quad in quads]

    def _found(self, image: Image, region: Box, scale: float) -> list[Quad]:
        import cv2

        height, width = image.shape[:2]
        steps = max(1, round(width * scale / _STEP_PX)), max(1, round(height * scale / _STEP_PX))
        step = np.array([width / steps[0], height / steps[1]])
        # On the grid on which the detector walks the whole image, it finds the same in a region.
        left, top, right, bottom = _on_grid(region, step, steps)
        x1, y1 = (int(n) for n in step * (left, top))
        x2, y2 = (math.ceil(n) for n in step * (right, bottom))
        size = (right - left) * _STEP_PX, (bottom - top) * _STEP_PX
        scaled = cv2.resize(image[y1:y2, x1:x2], size)
        back, here = np.array([x2 - x1, y2 - y1]) / size, np.array([x1, y1])
        return [
            quad * back + here for quad in _quads(_called(self._looking, scaled, use_rec=False))
        ]


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
            # A fifth faster on whole frames, for some memory that stays.
            "EngineConfig.onnxruntime.enable_cpu_mem_arena": True,
            **more,
        }
    )
    logging.getLogger("RapidOCR").setLevel(logging.ERROR)
    return engine


def _called(engine: Any, image: Image, *, use_rec: bool, use_det: bool = True) -> Any:
    # All options each time: what is left out keeps the value of the call before.
    with timed("inference"):
        return engine(
            image,
            use_det=use_det,
            use_cls=False,
            use_rec=use_rec,
            return_word_box=False,
            return_single_char_box=False,
            text_score=0.0,
            box_thresh=0.5,
            unclip_ratio=1.6,
        )


def _quads(found: Any) -> list[Quad]:
    if found.boxes is None:
        return []
    return [np.asarray(box, dtype=np.float64) for box in found.boxes]


def _upright(image: Image, quad: npt.NDArray[np.float32]) -> Image:
    from rapidocr.utils.process_img import get_rotate_crop_image

    cut: Image = get_rotate_crop_image(image, quad)
    return cut


def _reading_scale(image: Image) -> float:
    """By how much RapidOCR scales an image before it looks for text."""
    height, width = image.shape[:2]
    reduced = min(1.0, _LONGEST_PX / max(width, height))
    return float(max(reduced, _SHORTEST_PX / min(width, height)))


def _on_grid(
    region: Box, step: npt.NDArray[np.float64], steps: tuple[int, int]
) -> tuple[int, int, int, int]:
    """A region as steps of the detector, widened to whole ones, and not too flat."""
    x1, y1, x2, y2 = region
    left, right = int(x1 / step[0]), min(steps[0], math.ceil(x2 / step[0]))
    top, bottom = int(y1 / step[1]), min(steps[1], math.ceil(y2 / step[1]))
    while (right - left) > _FLATTEST * (bottom - top) and bottom - top < steps[1]:
        top, bottom = max(0, top - 1), min(steps[1], bottom + 1)
    return left, top, right, bottom
