"""Pictures held against each other: where frames changed, and whether a line is the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mediaproc.detect.models.text import Box

Grey = npt.NDArray[np.uint8]
Picture = npt.NDArray[np.float32]

# Correlation of a line's picture with what it was, over windows of about a letter: above the first
# in each of them it is the same, below the second in most of them it is gone.
_SAME = 0.92
_GONE = 0.5
# Grey levels within which a window has no letter to compare.
_FLAT = 8.0
# Strokes are thinner than this share of a line's height.
_STROKE = 0.3
# Grey levels that a stroke may be nearer to its ground than it was.
_FAINTER = 48.0
# The difference over a window of this share of a line's height that makes another letter.
_STROKE_WIDTH = 0.12
_DIFFERENT = 0.45
# Share of a window that strokes cover where there is a letter to compare.
_LETTER = 0.04
# By how much a line's contrast must grow for it to be worth another reading.
_CLEARER = 1.25


@dataclass(frozen=True)
class Strokes:
    """What the strokes of a line look like.

    Attributes:
        bright: whether they are brighter than what is beside them.
        width: of the window that no stroke fills, pixels, odd.
        level: their grey level.
        contrast: how far they stand out, grey levels.
    """

    bright: bool
    width: int
    level: float
    contrast: float

    def picture(self, grey: Grey) -> Picture:
        """How much each pixel looks like one of these strokes, 0..1.

        Strokes are what the top-hat transform (Meyer, 1979) leaves: what stands out and is
        narrow. What lies behind the letters is left out of it, so that a line over a moving
        picture stays the same.
        """
        stands_out = _standing_out(grey, self.width, self.bright).astype(np.float32)
        short = self.level - grey.astype(np.float32)
        near = 1 - (short if self.bright else -short) / _FAINTER
        picture: Picture = np.clip(stands_out / (0.6 * self.contrast), 0, 1) * np.clip(near, 0, 1)
        return picture


class LinePicture:
    """A line as it looked when it was read.

    Args:
        grey: the picture of the line, shape (H, W).
    """

    def __init__(self, grey: Grey) -> None:
        self._grey = grey.copy()
        self._contrast = float(grey.std())
        self._strokes = _strokes(grey)
        self._picture = None if self._strokes is None else self._strokes.picture(grey)

    def same(self, now: Grey) -> bool:
        """Whether a picture of the same size shows the same line, and no clearer than it was."""
        if now.std() > _CLEARER * self._contrast:
            return False
        # As soon as one window differs the rest need not be looked at.
        if all(alike >= _SAME for alike in _alike(self._grey, now)):
            return True
        if self._strokes is None or self._picture is None:
            return False
        strokes = self._strokes.picture(now)
        return _differs(self._picture, strokes) <= _DIFFERENT and all(
            alike >= _SAME for alike in _alike_strokes(self._picture, strokes)
        )

    def gone(self, now: Grey) -> bool:
        """Whether most of the line is not there any more."""
        alike = list(_alike(self._grey, now))
        if self._strokes is not None and self._picture is not None:
            letters = list(_alike_strokes(self._picture, self._strokes.picture(now)))
            alike = max(alike, letters, key=lambda each: float(np.median(each)) if each else -1.0)
        return not alike or float(np.median(alike)) < _GONE


def cut(grey: Grey, box: Box) -> Grey:
    """The piece of a picture in which a box stands."""
    height, width = grey.shape
    x1, y1, x2, y2 = box
    return grey[
        max(0, int(y1)) : min(height, int(y2) + 1), max(0, int(x1)) : min(width, int(x2) + 1)
    ]


def _strokes(grey: Grey) -> Strokes | None:
    width = max(3, int(grey.shape[0] * _STROKE) | 1)
    over, under = (_standing_out(grey, width, bright) for bright in (True, False))
    bright = int(over.sum()) >= int(under.sum())
    stands_out = over if bright else under
    highest = int(stands_out.max())
    if highest < 2 * _FLAT:
        return None
    level = float(np.median(grey[stands_out > 0.5 * highest]))
    return Strokes(bright, width, level, max(_FLAT, float(np.quantile(stands_out, 0.9))))


def _standing_out(grey: Grey, width: int, bright: bool) -> Grey:
    import cv2

    window = np.ones((width, width), dtype=np.uint8)
    kind = cv2.MORPH_TOPHAT if bright else cv2.MORPH_BLACKHAT
    found: Grey = cv2.morphologyEx(grey, kind, window).astype(np.uint8)
    return found


def _windows(height: int, width: int) -> list[slice]:
    step = max(4, round(height * 0.35))
    return [slice(left, left + 2 * step) for left in range(0, width, step)]


def _alike(before: Grey, now: Grey) -> Iterator[float]:
    """Correlation, -1..1, of two pictures in each window that is not flat in both."""
    for window in _windows(*before.shape):
        old, new = before[:, window].astype(np.float32), now[:, window].astype(np.float32)
        if old.std() >= _FLAT or new.std() >= _FLAT:
            yield _correlation(old, new)


def _alike_strokes(before: Picture, now: Picture) -> Iterator[float]:
    """Correlation, -1..1, of two pictures of strokes in each window that holds some."""
    for window in _windows(*before.shape):
        old, new = before[:, window], now[:, window]
        if max(float(old.mean()), float(new.mean())) >= _LETTER:
            yield _correlation(old, new)


def _differs(before: Picture, now: Picture) -> float:
    """The most, 0..1, by which two pictures differ over a window of about a stroke's width.

    What makes a 5 a 6 is so little of a thick digit that correlation passes over it.
    """
    import cv2

    width = max(3, int(before.shape[0] * _STROKE_WIDTH) | 1)
    return float(cv2.blur(np.abs(before - now), (width, width)).max())


def _correlation(old: Picture, new: Picture) -> float:
    old, new = old - old.mean(), new - new.mean()
    spread = float(np.sqrt((old**2).sum() * (new**2).sum()))
    return float((old * new).sum()) / spread if spread else 0.0
