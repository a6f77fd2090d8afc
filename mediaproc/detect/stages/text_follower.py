"""Which frames have to be read: those whose text is not that of the frame before.

Reading a frame takes some 0.5 s, and captions stay for seconds. So after a reading, a frame is
only held against it: each line is still there where its strokes still are, and a glance at low
resolution tells whether text stands where none was. Only what fails either is read again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.detect.models.text import Line, TextReader

Grey = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]

# Longer side at which frames are held against each other as a whole, and the change (of 255) at
# one place that counts.
_COMPARED_PX = 160
_CHANGED = 12
# A line is the same while its strokes differ by no more than this on the average (of 255), and
# still stand out from what surrounds them by this share of what they did.
_STROKE_CHANGE = 20.0
_CONTRAST_KEPT = 0.6
# Share of a glanced box that known text must cover.
_COVERED = 0.5


@dataclass(frozen=True, slots=True)
class _Stroke:
    """How a line looked when it was read: its grey box, and which pixels are strokes."""

    box: tuple[int, int, int, int]
    grey: npt.NDArray[np.int16]
    mask: npt.NDArray[np.bool_]
    contrast: float


@dataclass
class TextFollower:
    """Follows the text of consecutive frames; make a new one for each anchor block.

    Attributes:
        reader: reads what has to be read.
        min_confidence: of a line.
        reread_s: longest time without a reading, for small text that a glance does not see.
    """

    reader: TextReader
    min_confidence: float
    reread_s: float
    _lines: list[Line] = field(default_factory=list)
    _strokes: list[_Stroke | None] = field(default_factory=list)
    _clutter: list[Box] = field(default_factory=list)
    _small: npt.NDArray[np.int16] | None = None
    _read_at: float | None = None

    def lines(self, image: npt.NDArray[np.uint8], time_s: float) -> list[Line]:
        """The lines of the next frame, shape (H, W, 3), uint8, BGR, at ``time_s``."""
        import cv2

        grey: Grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        small = _small(grey)
        if self._same_picture(small):
            return self._lines
        glanced: list[Box] | None = None
        due = self._read_at is None or time_s - self._read_at >= self.reread_s
        if not due and all(_still_there(stroke, grey) for stroke in self._strokes):
            glanced = self.reader.glance(image)
            known = [*(line.xyxy for line in self._lines), *self._clutter]
            if all(_covered(box, known) for box in glanced):
                return self._lines
        self._read(image, grey, time_s, glanced)
        self._small = small
        return self._lines

    def _same_picture(self, small: npt.NDArray[np.int16]) -> bool:
        return self._small is not None and not (np.abs(small - self._small) >= _CHANGED).any()

    def _read(
        self,
        image: npt.NDArray[np.uint8],
        grey: Grey,
        time_s: float,
        glanced: list[Box] | None,
    ) -> None:
        self._lines = self.reader.read(image, self.min_confidence)
        self._strokes = [_stroke(line, grey) for line in self._lines]
        # What a glance takes for text here, and is none, is no news in the next frames.
        boxes = self.reader.glance(image) if glanced is None else glanced
        known = [line.xyxy for line in self._lines]
        self._clutter = [box for box in boxes if not _covered(box, known)]
        self._read_at = time_s


def _small(grey: Grey) -> npt.NDArray[np.int16]:
    import cv2

    height, width = grey.shape
    scale = min(1.0, _COMPARED_PX / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small: npt.NDArray[np.int16] = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(
        np.int16
    )
    return small


def _stroke(line: Line, grey: Grey) -> _Stroke | None:
    """How a line looks; None where its box holds no strokes that could be told apart."""
    import cv2

    height, width = grey.shape
    x1, y1, x2, y2 = line.xyxy
    box = (max(0, int(x1)), max(0, int(y1)), min(width, int(x2) + 1), min(height, int(y2) + 1))
    piece = grey[box[1] : box[3], box[0] : box[2]]
    if piece.size == 0:
        return None
    _, white = cv2.threshold(piece, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    mask: npt.NDArray[Any] = white > 0
    # Strokes cover less of a line's box than what is between them.
    if mask.mean() > 0.5:
        mask = ~mask
    if not mask.any() or mask.all():
        return None
    return _Stroke(box, piece.astype(np.int16), mask, _contrast(piece.astype(np.int16), mask))


def _contrast(grey: npt.NDArray[np.int16], mask: npt.NDArray[np.bool_]) -> float:
    return float(grey[mask].mean() - grey[~mask].mean())


def _still_there(stroke: _Stroke | None, grey: Grey) -> bool:
    if stroke is None:
        return False
    x1, y1, x2, y2 = stroke.box
    now = grey[y1:y2, x1:x2].astype(np.int16)
    if float(np.abs(now - stroke.grey)[stroke.mask].mean()) > _STROKE_CHANGE:
        return False
    # Where what surrounds the strokes took their colour, nothing can be read any more.
    return _contrast(now, stroke.mask) / stroke.contrast >= _CONTRAST_KEPT


def _covered(box: Box, known: list[Box]) -> bool:
    x1, y1, x2, y2 = box
    area = max(1e-9, (x2 - x1) * (y2 - y1))
    covered = 0.0
    for kx1, ky1, kx2, ky2 in known:
        across, down = min(x2, kx2) - max(x1, kx1), min(y2, ky2) - max(y1, ky1)
        if across > 0 and down > 0:
            covered += across * down
    return covered / area >= _COVERED
