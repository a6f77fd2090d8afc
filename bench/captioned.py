"""A real clip with captions that stay for seconds, over a picture that moves."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from clips import FPS, Picture, encoded, pictures
from PIL import Image, ImageDraw, ImageFont

from tests.clips import real_clip

SIZE_WH = (1280, 720)


@dataclass(frozen=True)
class Line:
    """A line of text, on screen from one second up to another.

    Attributes:
        boxed: on a dark bar, as subtitles often are; else with an outline.
        clock: with the minutes and seconds since it appeared behind it.
    """

    text: str
    start_s: float
    end_s: float
    xy: tuple[int, int]
    size_px: int = 40
    boxed: bool = False
    clock: bool = False

    def said(self, time_s: float) -> str:
        if not self.clock:
            return self.text
        seconds = int(time_s - self.start_s)
        return f"{self.text} {seconds // 60:02}:{seconds % 60:02}"


# A minute: text comes at 5 s and goes at 54 s, with nothing between 30 and 34 s.
LINES = (
    Line("CHANNEL 7", 5, 30, (1040, 40), 38),
    Line("CHANNEL 7", 34, 54, (1040, 40), 38),
    Line("Bicycle race through the old town", 6, 11, (260, 600)),
    Line("Riders from twelve countries", 11, 14.5, (300, 600)),
    Line("The last lap begins", 15.5, 22, (380, 600), 44, boxed=True),
    Line("Anna Keller, trainer", 16.5, 20, (120, 520), 32, boxed=True),
    Line("Nobody expected this finish", 23, 29.5, (300, 600)),
    Line("Traffic: bridge closed until Sunday", 34, 54, (60, 664), 30, boxed=True),
    Line("LAP 14", 36, 44, (60, 40), 36, boxed=True, clock=True),
    Line("It was raining all morning", 36, 41, (320, 590)),
    Line("but they did not stop", 41, 44, (380, 590)),
    Line("Thank you for watching", 46, 53.5, (360, 590), 44, boxed=True),
)
LENGTH_S = 60.0


def truth(time_s: float) -> list[str]:
    """What stands on screen, in a minute that repeats."""
    inside = time_s % LENGTH_S
    return [line.said(inside) for line in LINES if line.start_s <= inside < line.end_s]


def captioned(seconds: float) -> Path:
    """So many seconds of it at 1280x720, a keyframe in 250 frames."""
    count = round(seconds * FPS)
    return encoded(f"captioned-{seconds:.0f}s", _images(count), SIZE_WH, 250)


def _images(count: int) -> Iterator[Picture]:
    moving = itertools.cycle(list(pictures(real_clip("bikes"), SIZE_WH)))
    for number, image in zip(range(count), moving, strict=False):
        time_s = float(number / FPS) % LENGTH_S
        shown = [line for line in LINES if line.start_s <= time_s < line.end_s]
        yield _written(image, shown, time_s) if shown else image


def _written(image: Picture, lines: list[Line], time_s: float) -> Picture:
    picture = Image.fromarray(np.ascontiguousarray(image[..., ::-1]))
    draw = ImageDraw.Draw(picture)
    for line in lines:
        font = ImageFont.load_default(line.size_px)
        text = line.said(time_s)
        left, top, right, bottom = draw.textbbox(line.xy, text, font=font)
        if line.boxed:
            draw.rectangle((left - 12, top - 8, right + 12, bottom + 8), fill=(20, 24, 40))
        outline = 0 if line.boxed else 3
        draw.text(
            line.xy, text, font=font, fill=(250, 250, 245), stroke_width=outline, stroke_fill=0
        )
    return np.ascontiguousarray(np.asarray(picture)[..., ::-1])
