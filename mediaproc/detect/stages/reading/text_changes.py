"""Where frames changed since they were looked at, and what came to stay."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mediaproc.detect.models.text import Box
from mediaproc.detect.stages.reading.text_pictures import Grey

Cells = npt.NDArray[np.bool_]

# Longer side, in cells, at which frames are held against each other, and the change of a cell's
# mean (of 255) that counts.
_CELLS = 160
_CHANGED = 12
# Longer side at which strokes are looked for, and the window that none of them fills, pixels.
_STROKES_PX = 1280
_WIDEST_PX = 9
# Grey levels by which a stroke stands out, and by which it may change and stay.
_STANDS_OUT = 50
_STAYS = 14
# Tiles in which strokes are counted, pixels; the share of one that they cover in text, and how
# many tiles are a word.
_TILE_PX = 16
_DENSE = 0.15
_LEAST_TILES = 3


class Changes:
    """Which cells of a picture are not as they were when they were last looked at.

    A cell is held against the frame in which it last changed, so that what comes slowly is seen.

    Args:
        size_wh: of the frames, pixels.
    """

    def __init__(self, size_wh: tuple[int, int]) -> None:
        scale = min(1.0, _CELLS / max(size_wh))
        self._size = max(1, round(size_wh[0] * scale)), max(1, round(size_wh[1] * scale))
        self._cell_wh = size_wh[0] / self._size[0], size_wh[1] / self._size[1]
        self._before: npt.NDArray[np.int16] | None = None

    def look(self, grey: Grey) -> Cells:
        """The cells of a frame that changed, which are those of this frame from now on."""
        import cv2

        now = cv2.resize(grey, self._size, interpolation=cv2.INTER_AREA).astype(np.int16)
        if self._before is None:
            self._before = now
            return np.ones(now.shape, dtype=np.bool_)
        changed: Cells = np.abs(now - self._before) >= _CHANGED
        self._before[changed] = now[changed]
        return changed

    def any_in(self, cells: Cells, box: Box) -> bool:
        """Whether some cell of a box changed."""
        return bool(cells[self._span(box)].any())

    def area(self, cells: Cells, but: Sequence[Box]) -> Box | None:
        """The box, in pixels, around what changed, leaving out what lies in some boxes."""
        if but:
            cells = cells.copy()
            for box in but:
                cells[self._span(box)] = False
        rows, columns = np.flatnonzero(cells.any(axis=1)), np.flatnonzero(cells.any(axis=0))
        if not len(rows):
            return None
        width, height = self._cell_wh
        return (
            float(columns[0] * width),
            float(rows[0] * height),
            float((columns[-1] + 1) * width),
            float((rows[-1] + 1) * height),
        )

    def _span(self, box: Box) -> tuple[slice, slice]:
        width, height = self._cell_wh
        x1, y1, x2, y2 = box
        return (
            slice(int(y1 / height), int(y2 / height) + 1),
            slice(int(x1 / width), int(x2 / width) + 1),
        )


class Staying:
    """Strokes that came and stay, which a glance may be too coarse to see as text.

    In a moving picture little else stays where it is from one frame to the next.

    Args:
        size_wh: of the frames, pixels.
    """

    def __init__(self, size_wh: tuple[int, int]) -> None:
        scale = min(1.0, _STROKES_PX / max(size_wh))
        self._size = max(1, round(size_wh[0] * scale)), max(1, round(size_wh[1] * scale))
        self._scale = scale
        self._before: Grey | None = None
        self._strokes: Cells | None = None
        self._known: Cells | None = None

    def look(self, grey: Grey, read: Sequence[Box]) -> list[Box]:
        """Boxes, in pixels, around strokes that were in the frame before and not ahead of it.

        Args:
            grey: the next frame.
            read: where the frame before was read, so that what stays there is no news.
        """
        import cv2

        now = grey
        if self._scale < 1:
            now = cv2.resize(grey, self._size, interpolation=cv2.INTER_AREA).astype(np.uint8)
        window = np.ones((_WIDEST_PX, _WIDEST_PX), dtype=np.uint8)
        over = cv2.morphologyEx(now, cv2.MORPH_TOPHAT, window)
        under = cv2.morphologyEx(now, cv2.MORPH_BLACKHAT, window)
        strokes: Cells = np.maximum(over, under) >= _STANDS_OUT
        before, was = self._before, self._strokes
        self._before, self._strokes = now, strokes
        if before is None or was is None:
            return []
        stays = strokes & was & (cv2.absdiff(now, before) < _STAYS)
        density = _tiles(stays)
        known = np.zeros_like(density, dtype=np.bool_) if self._known is None else self._known
        for x1, y1, x2, y2 in (tuple(n * self._scale / _TILE_PX for n in box) for box in read):
            known[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))] = True
        fresh = (density >= _DENSE) & ~known
        self._known = (known | fresh) & (density >= _DENSE / 3)
        return self._boxes(fresh)

    def _boxes(self, fresh: Cells) -> list[Box]:
        import cv2

        joined = cv2.morphologyEx(
            fresh.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((1, 3), dtype=np.uint8)
        )
        count, _, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
        boxes = []
        for x, y, width, height, _ in stats[1:count].tolist():
            if width >= _LEAST_TILES and width >= height:
                edges = (x, y, x + width, y + height)
                x1, y1, x2, y2 = (float(n * _TILE_PX / self._scale) for n in edges)
                boxes.append((x1, y1, x2, y2))
        return boxes


def _tiles(stays: Cells) -> npt.NDArray[np.float32]:
    """The share of each tile that is set, 0..1."""
    rows, columns = (-(-n // _TILE_PX) for n in stays.shape)
    whole = np.zeros((rows * _TILE_PX, columns * _TILE_PX), dtype=np.float32)
    whole[: stays.shape[0], : stays.shape[1]] = stays
    tiles: npt.NDArray[np.float32] = whole.reshape(rows, _TILE_PX, columns, _TILE_PX).mean((1, 3))
    return tiles
