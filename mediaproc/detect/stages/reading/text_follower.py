"""Which parts of which frames have to be read: those whose text is not that of the frame before.

Reading a frame takes some 0.5 s, and captions stay for seconds. So after a reading, frames are held
against it. A line whose strokes look the same is still there; one that looks somewhat different, as
a score or a clock does, is recognised again by itself. A glance at low resolution, at what changed,
tells whether text stands where none was. Only where a line is gone or says something else, or where
text appeared, the frame is read anew, and only there.
"""

from __future__ import annotations

from dataclasses import dataclass

from mediaproc.detect.models.text import Box, Image, Line, Quad, TextReader, upright_box
from mediaproc.detect.stages.reading.text_boxes import (
    alike,
    around,
    holds,
    known,
    meet,
    merged,
    padded,
    share,
)
from mediaproc.detect.stages.reading.text_changes import Cells, Changes, Staying
from mediaproc.detect.stages.reading.text_pictures import Grey, LinePicture, cut

# Room around text that is read anew, in its heights and at least in pixels, and around what is
# glanced at.
_ROOM = 0.8
_ROOM_PX = 24.0
# How many places strokes may stay in, and the share of a frame in which a glance may see text, for
# each to be read.
_MANY_STAY = 4
_MUCH_GLANCED = 0.2
# By how much a region grows, in heights of a line that it cuts off.
_WIDER = 4.0
# As how many pixels a frame is glanced at: captions are seen in a 384x216 frame, at a twelfth of
# what a reading of 1280x720 looks through. At more, the first frame, and where much stays.
_GLANCE_PIXELS = 384 * 216
_CLOSER_PIXELS = 640 * 360
# How sure another text in the place of a line must be for the line's box to be taken over.
_SURE = 0.9


@dataclass(eq=False)
class _Seen:
    """A line, or what a glance took for one, with its picture."""

    xyxy: Box
    picture: LinePicture
    line: Line | None


class TextFollower:
    """Follows the text of consecutive frames; make a new one for each anchor block.

    Args:
        reader: reads what has to be read.
        min_confidence: of a line.
        size_wh: of the frames, pixels.

    Attributes:
        lines: those of each frame so far; those of the last one are not final until the next.
    """

    def __init__(self, reader: TextReader, min_confidence: float, size_wh: tuple[int, int]) -> None:
        self.lines: list[list[Line]] = []
        self._reader = reader
        self._min_confidence = min_confidence
        self._size = size_wh
        self._changes = Changes(size_wh)
        self._staying = Staying(size_wh)
        self._seen: list[_Seen] = []
        self._before: Grey | None = None
        self._regions: list[Box] = []

    def follow(self, image: Image) -> None:
        """Find the lines of the next frame, shape (H, W, 3), uint8, BGR."""
        import cv2

        grey: Grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        cells = self._changes.look(grey)
        if not cells.any():
            self.lines.append(self.lines[-1])
            return
        there = [
            seen.xyxy
            for seen in self._seen
            if not self._changes.any_in(cells, seen.xyxy) or self._still_there(seen, image, grey)
        ]
        gone = [seen.xyxy for seen in self._seen if seen.line and seen.xyxy not in there]
        self._seen = [seen for seen in self._seen if seen.line or seen.xyxy in there]
        stayed = [
            box
            for box in self._staying.look(grey, self._regions)
            if not any(meet(box, other) for other in there)
        ]
        glanced = self._glanced(image, cells, stayed, there)
        boxes = [padded(box, _ROOM, _ROOM_PX, self._size) for box in gone + glanced]
        boxes += [padded(box, 0.0, _ROOM_PX, self._size) for box in stayed]
        self._regions = self._whole_lines(merged(boxes))
        for region in self._regions:
            self._read(image, grey, region, there)
        # What a glance takes for text, and is none, is no news while it looks the same.
        lines = [seen.xyxy for seen in self._seen]
        nothing = [box for box in glanced if not known(box, lines)]
        self._seen += [_Seen(box, LinePicture(cut(grey, box)), None) for box in nothing]
        self.lines.append([seen.line for seen in self._seen if seen.line])
        if self._before is not None:
            self._came_before(stayed, self._before)
        self._before = grey

    def _glanced(
        self, image: Image, cells: Cells, stayed: list[Box], there: list[Box]
    ) -> list[Box]:
        """Where a glance at what changed sees text that is not known.

        It is a closer one where the first sees text all over, which it mostly does in motion, and
        where much stays, as when a camera comes to rest: ``stayed`` is emptied then.
        """
        area = self._changes.area(cells, there)
        if area is None:
            return []
        near = padded(area, 0.0, _ROOM_PX, self._size)
        closer = self._before is None
        if len(stayed) > _MANY_STAY:
            stayed.clear()
            closer = True
        glanced = self._reader.glance(image, near, _CLOSER_PIXELS if closer else _GLANCE_PIXELS)
        if not closer and share(merged(glanced), self._size) > _MUCH_GLANCED:
            glanced = self._reader.glance(image, near, _CLOSER_PIXELS)
        return [box for box in glanced if not known(box, there)]

    def _came_before(self, stayed: list[Box], frame_before: Grey) -> None:
        """Lines that stayed since the frame before, and are found only now, stood in it."""
        before = [line.xyxy for line in self.lines[-2]]
        found = [
            seen.line
            for seen in self._seen
            if seen.line
            and any(meet(box, seen.xyxy) for box in stayed)
            and not any(meet(box, seen.xyxy) for box in before)
            and seen.picture.same(cut(frame_before, seen.xyxy))
        ]
        self.lines[-2] = [*self.lines[-2], *found]

    def _whole_lines(self, regions: list[Box]) -> list[Box]:
        """Regions widened so that they cut no line that is known."""
        for seen in self._seen:
            if seen.line and any(meet(region, seen.xyxy) for region in regions):
                regions = merged([*regions, seen.xyxy])
        return regions

    def _still_there(self, seen: _Seen, image: Image, grey: Grey) -> bool:
        now = cut(grey, seen.xyxy)
        if seen.picture.same(now):
            return True
        if seen.line is None or seen.picture.gone(now):
            return False
        again = self._reader.recognise(image, seen.line.corners)
        if again.confidence < self._min_confidence:
            return False
        if _plain(again.text) != _plain(seen.line.text):
            # As many characters in the same place: a score or a clock that went on.
            counted = len(_plain(again.text)) == len(_plain(seen.line.text))
            if not counted or again.confidence < _SURE:
                return False
            seen.line = again
        seen.picture = LinePicture(now)
        return True

    def _read(self, image: Image, grey: Grey, region: Box, there: list[Box]) -> None:
        """Read a region anew; what stood in it, and is not there any more, is forgotten."""
        found = self._found(image, region)
        cut_off = [box for _, box in found if _at_border(box, region, self._size)]
        if cut_off:
            wider = [padded(box, _WIDER, _ROOM_PX, self._size) for box in cut_off]
            region = around(self._whole_lines([around([region, *wider])]))
            found = self._found(image, region)
        stood = [seen for seen in self._seen if holds(region, seen.xyxy)]
        self._seen = [seen for seen in self._seen if seen not in stood]
        for quad, box in found:
            same = [s for s in stood if s.line and s.xyxy in there and alike(s.xyxy, box)]
            self._seen += same[:1] or self._new(image, grey, quad)

    def _found(self, image: Image, region: Box) -> list[tuple[Quad, Box]]:
        """Lines whose middle lies in a region, with the boxes around them."""
        quads = [(quad, upright_box(quad)) for quad in self._reader.find(image, region)]
        return [(quad, box) for quad, box in quads if holds(region, box)]

    def _new(self, image: Image, grey: Grey, quad: Quad) -> list[_Seen]:
        line = self._reader.recognise(image, quad)
        if not line.text.strip() or line.confidence < self._min_confidence:
            return []
        return [_Seen(line.xyxy, LinePicture(cut(grey, line.xyxy)), line)]


def _at_border(box: Box, region: Box, size_wh: tuple[int, int]) -> bool:
    """Whether a box reaches the border of a region, where that is not the image's."""
    x1, y1, x2, y2 = region
    near, far = 2.0, max(size_wh) + 3.0
    x1, y1 = (low if low > 0 else -far for low in (x1, y1))
    x2, y2 = (high if high < size else far for high, size in zip((x2, y2), size_wh, strict=True))
    return min(box[0] - x1, box[1] - y1, x2 - box[2], y2 - box[3]) <= near


def _plain(text: str) -> str:
    return "".join(text.split()).casefold()
