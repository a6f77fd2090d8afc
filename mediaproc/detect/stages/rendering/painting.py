"""Drawing overlays on a frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mediaproc.detect.products import Overlays

Image = npt.NDArray[np.uint8]

# What hides comes first, what names things last, so that it can be read.
_ORDER = ("blur", "pixelate", "fill", "outline", "box", "banner")
_FROM, _TO = ("x1", "y1", "x2", "y2"), ("to_x1", "to_y1", "to_x2", "to_y2")


@dataclass(frozen=True, slots=True)
class _Stroke:
    """One thing to draw in one frame."""

    kind: str
    label: str
    colour: tuple[int, int, int]
    detail: int
    xyxy: tuple[float, float, float, float]
    points: Any


class Painter:
    """Draws what lies over a run of frames.

    Args:
        overlays: of the whole video.
        start_frame: first frame of the run.
        end_frame: frame after the last one.
        size_wh: of the frames, pixels; lines and letters follow it.
    """

    def __init__(
        self, overlays: Overlays, start_frame: int, end_frame: int, size_wh: tuple[int, int]
    ) -> None:
        here = (overlays.column("start_frame") < end_frame) & (
            overlays.column("end_frame") > start_frame
        )
        rows = overlays.take(np.flatnonzero(here))
        self._starts, self._ends = rows.column("start_frame"), rows.column("end_frame")
        self._rows = rows.records()
        self._line_px = max(2, round(min(size_wh) / 270))
        self._letters_px = max(12, round(min(size_wh) / 27))

    def paint(self, image: Image, frame_index: int, time_s: float) -> None:
        """Draw on a frame, shape (H, W, 3), uint8, BGR, in its place."""
        strokes = sorted(self._strokes(frame_index, time_s), key=lambda s: _ORDER.index(s.kind))
        top = 0
        for stroke in strokes:
            if stroke.kind in ("blur", "pixelate", "fill"):
                hide(image, stroke.xyxy, stroke.kind, stroke.detail)
            elif stroke.kind == "outline":
                points = np.round(np.array(stroke.points)).astype(np.int32)
                cv2.polylines(image, [points], True, stroke.colour, self._line_px, cv2.LINE_AA)
                self._name(image, stroke, stroke.xyxy[0], stroke.xyxy[1])
            elif stroke.kind == "box":
                x1, y1, x2, y2 = (round(value) for value in stroke.xyxy)
                cv2.rectangle(image, (x1, y1), (x2, y2), stroke.colour, self._line_px)
                self._name(image, stroke, stroke.xyxy[0], stroke.xyxy[1])
            else:
                patch = _patch(stroke.label, 2 * self._letters_px, stroke.colour)
                _paste(image, patch, self._letters_px, self._letters_px + top)
                top += patch.shape[0] + self._line_px

    def _strokes(self, frame_index: int, time_s: float) -> Iterator[_Stroke]:
        shown = (self._starts <= frame_index) & (frame_index < self._ends)
        for row in (self._rows[i] for i in np.flatnonzero(shown).tolist()):
            length = row["end_s"] - row["start_s"]
            way = min(1.0, max(0.0, (time_s - row["start_s"]) / length)) if length > 0 else 0.0
            box = tuple(
                row[one] + way * (row[other] - row[one])
                for one, other in zip(_FROM, _TO, strict=True)
            )
            red, green, blue = row["colour"] >> 16, row["colour"] >> 8 & 255, row["colour"] & 255
            yield _Stroke(
                row["kind"], row["label"], (blue, green, red), row["detail"], box, row["points"]
            )

    def _name(self, image: Image, stroke: _Stroke, x: float, y: float) -> None:
        if not stroke.label:
            return
        patch = _patch(stroke.label, self._letters_px, stroke.colour)
        above = round(y) - patch.shape[0]
        _paste(image, patch, round(x) - self._line_px // 2, above if above >= 0 else round(y))


def hide(image: Image, xyxy: tuple[float, float, float, float], method: str, detail: int) -> None:
    """Make a part of an image unrecognisable, in its place.

    Args:
        image: shape (H, W, 3), uint8, BGR.
        xyxy: the part, pixels; every pixel that it touches counts.
        method: ``"pixelate"``, ``"blur"`` or ``"fill"``.
        detail: cells that are left across its longer side.
    """
    height, width = image.shape[:2]
    x1, y1 = (max(0, int(np.floor(value))) for value in xyxy[:2])
    x2, y2 = min(width, int(np.ceil(xyxy[2]))), min(height, int(np.ceil(xyxy[3])))
    if x1 >= x2 or y1 >= y2:
        return
    part = image[y1:y2, x1:x2]
    if method == "fill":
        part[:] = 0
        return
    scale = detail / max(x2 - x1, y2 - y1)
    cells = max(1, round((x2 - x1) * scale)), max(1, round((y2 - y1) * scale))
    small = cv2.resize(part, cells, interpolation=cv2.INTER_AREA)
    way = cv2.INTER_NEAREST if method == "pixelate" else cv2.INTER_CUBIC
    part[:] = cv2.resize(small, (x2 - x1, y2 - y1), interpolation=way)


@lru_cache(maxsize=512)
def _patch(text: str, size_px: int, colour: tuple[int, int, int]) -> Image:
    """Text on a ground of ``colour``, shape (H, W, 3), uint8, BGR."""
    from PIL import Image as Pillow
    from PIL import ImageDraw, ImageFont

    font = ImageFont.load_default(size_px)
    left, _, right, _ = font.getbbox(text)
    pad = max(2, size_px // 5)
    size = round(right - left) + 2 * pad, round(size_px * 1.25) + pad
    picture = Pillow.new("RGB", size, colour[::-1])
    blue, green, red = colour
    bright = 0.299 * red + 0.587 * green + 0.114 * blue > 140
    ink = (0, 0, 0) if bright else (255, 255, 255)
    ImageDraw.Draw(picture).text((pad - left, pad // 2), text, font=font, fill=ink)
    return np.ascontiguousarray(np.asarray(picture)[..., ::-1])


def _paste(image: Image, patch: Image, x: int, y: int) -> None:
    """Put a patch at a place of the image, moved so that as much of it as can be is inside."""
    height, width = image.shape[:2]
    x, y = max(0, min(x, width - patch.shape[1])), max(0, min(y, height - patch.shape[0]))
    room = image[y : y + patch.shape[0], x : x + patch.shape[1]]
    room[:] = patch[: room.shape[0], : room.shape[1]]
