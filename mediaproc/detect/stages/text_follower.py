"""Which frames have to be read: those whose text is not that of the frame before.

Reading a frame takes some 0.5 s, and captions stay for seconds. So after a reading, a frame is
only held against it. A line whose picture is the same is still there; one whose picture changed
somewhat, as a score or a clock does, and text over moving pictures, is recognised again by itself;
and a glance at low resolution tells whether text stands where none was. The frame is read anew only
where a line is gone or says something else, or where text appeared.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mediaproc.detect.models.text import Line, TextReader

Grey = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]

# Longer side at which frames are held against each other as a whole, and the change (of 255) at
# one place that counts.
_COMPARED_PX = 160
_CHANGED = 12
# Correlation of a line's picture with what it was, over windows of about a letter: above the first
# in each of them it is the same, below the second in most of them it is gone.
_SAME = 0.92
_GONE = 0.5
# Grey levels within which a window has no letter to compare.
_FLAT = 8.0
# Share of a glanced box that known text must cover.
_COVERED = 0.5


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
    _pictures: list[Grey] = field(default_factory=list)
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
        if not due and all(self._still_there(i, image, grey) for i in range(len(self._lines))):
            glanced = self.reader.glance(image)
            known = [*(line.xyxy for line in self._lines), *self._clutter]
            if all(_covered(box, known) for box in glanced):
                return self._lines
        self._read(image, grey, time_s, glanced)
        self._small = small
        return self._lines

    def _same_picture(self, small: npt.NDArray[np.int16]) -> bool:
        return self._small is not None and not (np.abs(small - self._small) >= _CHANGED).any()

    def _still_there(self, number: int, image: npt.NDArray[np.uint8], grey: Grey) -> bool:
        line, now = self._lines[number], _cut(grey, self._lines[number])
        alike = _alike(self._pictures[number], now)
        if not alike or float(np.median(alike)) < _GONE:
            return False
        if min(alike) >= _SAME:
            return True
        again = self.reader.recognise(_cut(image, line))
        if again is None or again[1] < self.min_confidence or _plain(again[0]) != _plain(line.text):
            return False
        self._pictures[number] = now
        return True

    def _read(
        self,
        image: npt.NDArray[np.uint8],
        grey: Grey,
        time_s: float,
        glanced: list[Box] | None,
    ) -> None:
        self._lines = self.reader.read(image, self.min_confidence)
        self._pictures = [_cut(grey, line) for line in self._lines]
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


def _cut(image: npt.NDArray[np.uint8], line: Line) -> npt.NDArray[np.uint8]:
    """The upright piece of an image in which a line stands."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = line.xyxy
    return image[
        max(0, int(y1)) : min(height, int(y2) + 1), max(0, int(x1)) : min(width, int(x2) + 1)
    ]


def _alike(before: Grey, now: Grey) -> list[float]:
    """Correlation, -1..1, of two pictures of a line in each window that holds some of it."""
    height, width = before.shape
    step = max(4, round(height * 0.35))
    found = []
    for left in range(0, width, step):
        old = before[:, left : left + 2 * step].astype(np.float64)
        new = now[:, left : left + 2 * step].astype(np.float64)
        old, new = old - old.mean(), new - new.mean()
        if old.std() < _FLAT and new.std() < _FLAT:
            continue
        spread = float(np.sqrt((old**2).sum() * (new**2).sum()))
        found.append(float((old * new).sum()) / spread if spread else 0.0)
    return found


def _plain(text: str) -> str:
    return "".join(text.split()).casefold()


def _covered(box: Box, known: list[Box]) -> bool:
    x1, y1, x2, y2 = box
    area = max(1e-9, (x2 - x1) * (y2 - y1))
    covered = 0.0
    for kx1, ky1, kx2, ky2 in known:
        across, down = min(x2, kx2) - max(x1, kx1), min(y2, ky2) - max(y1, ky1)
        if across > 0 and down > 0:
            covered += across * down
    return covered / area >= _COVERED
