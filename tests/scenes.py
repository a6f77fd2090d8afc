"""Rendered scenes with exact ground truth: moving shapes, captions, cuts and fades.

Everything follows from a seed, so a scene is the same on every machine up to the encoder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from mediaproc.media import write_video

LABELS = ("circle", "square", "triangle", "star")
COLOURS = ((40, 40, 230), (50, 200, 60), (230, 90, 40), (30, 210, 230), (220, 60, 220))

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Shape:
    """A shape that moves on a straight path and turns back at the borders.

    Attributes:
        label: one of ``LABELS``.
        colour: BGR.
        radius: half its size, pixels.
        start_xy: centre at 0 s, pixels.
        speed_xy: pixels per second.
        way: (seconds, x, y) of the centre, where it goes straight from one to the next instead,
            also out of the picture; it is there from the first to the last of them.
    """

    label: str
    colour: tuple[int, int, int]
    radius: float
    start_xy: tuple[float, float]
    speed_xy: tuple[float, float]
    way: tuple[tuple[float, float, float], ...] = ()

    def is_there(self, time_s: float) -> bool:
        """Whether it is in the scene at a time."""
        return not self.way or self.way[0][0] <= time_s <= self.way[-1][0]

    def centre(self, time_s: float, size_wh: tuple[int, int]) -> tuple[float, float]:
        """Centre at a time, within the borders where it has no way."""
        if self.way:
            times, xs, ys = zip(*self.way, strict=True)
            return float(np.interp(time_s, times, xs)), float(np.interp(time_s, times, ys))
        return tuple(  # type: ignore[return-value]
            _bounced(start + speed * time_s, self.radius + 2, size - self.radius - 2)
            for start, speed, size in zip(self.start_xy, self.speed_xy, size_wh, strict=True)
        )


@dataclass(frozen=True)
class Caption:
    """A line of text, on screen from one frame up to another."""

    text: str
    start_frame: int
    end_frame: int
    xy: tuple[int, int]
    size_px: int = 34


@dataclass
class Scene:
    """What to render, and so what is true of it.

    Attributes:
        frames: how many.
        fps: frames per second.
        size_wh: width and height, pixels.
        shapes: what moves.
        captions: what is written.
        cuts: first frame of each shot after a hard cut.
        fades: (first, middle, after the last) frame of each fade through black.
        seed: of the backgrounds.
    """

    frames: int
    fps: Fraction = Fraction(25)
    size_wh: tuple[int, int] = (640, 360)
    shapes: Sequence[Shape] = ()
    captions: Sequence[Caption] = ()
    cuts: Sequence[int] = ()
    fades: Sequence[tuple[int, int, int]] = ()
    seed: int = 0

    def boxes(self, frame: int) -> list[tuple[int, str, tuple[float, float, float, float]]]:
        """(number of the shape, label, xyxy) of everything in a frame."""
        found = []
        for number, shape in enumerate(self.shapes):
            if not shape.is_there(float(frame / self.fps)):
                continue
            outline = _outline(shape, shape.centre(float(frame / self.fps), self.size_wh))
            (x1, y1), (x2, y2) = outline.min(axis=0), outline.max(axis=0)
            found.append((number, shape.label, (float(x1), float(y1), float(x2), float(y2))))
        return found

    def images(self) -> Iterator[Picture]:
        """The frames, each shape (H, W, 3), uint8, BGR."""
        borders = sorted([*self.cuts, *(middle for _, middle, _ in self.fades)])
        for frame in range(self.frames):
            shot = sum(frame >= border for border in borders)
            image = background(self.size_wh, self.seed * 1000 + shot).copy()
            for shape in self.shapes:
                if not shape.is_there(float(frame / self.fps)):
                    continue
                outline = _outline(shape, shape.centre(float(frame / self.fps), self.size_wh))
                points = np.round(outline * 16).astype(np.int32)
                cv2.fillPoly(image, [points], shape.colour, lineType=cv2.LINE_AA, shift=4)
            for caption in self.captions:
                if caption.start_frame <= frame < caption.end_frame:
                    image = written(image, caption)
            yield np.round(image * self._light(frame)).astype(np.uint8)

    def render(self, path: Path, **options: str) -> Scene:
        """Write the scene as H.264; keyframes every two seconds unless ``g`` says otherwise."""
        settings = {"g": "50", "bf": "2", "crf": "16", **options}
        write_video(path, self.images(), fps=self.fps, size_wh=self.size_wh, options=settings)
        return self

    def _light(self, frame: int) -> float:
        light = 1.0
        for first, middle, end in self.fades:
            if first <= frame < middle:
                light = min(light, 1 - (frame - first) / (middle - 1 - first))
            elif middle <= frame < end:
                light = min(light, (frame - middle) / (end - 1 - middle))
        return light


@lru_cache(maxsize=16)
def background(size_wh: tuple[int, int], seed: int) -> Picture:
    """A smooth, faintly textured picture; neighbouring seeds differ much in hue and brightness."""
    width, height = size_wh
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (4, 6), dtype=np.uint8)
    texture = cv2.resize(coarse, size_wh, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    hsv = np.empty((height, width, 3), dtype=np.float32)
    hsv[..., 0] = (seed * 67) % 180
    hsv[..., 1] = 60 + 60 * (seed % 2)
    hsv[..., 2] = (70 if seed % 2 else 150) + texture * 0.25
    fine = random.normal(0, 4, (height, width)).astype(np.float32)
    hsv[..., 2] += fine
    return cv2.cvtColor(hsv.clip(0, 255).astype(np.uint8), cv2.COLOR_HSV2BGR)  # type: ignore[no-any-return]


def random_shapes(seed: int, count: int, size_wh: tuple[int, int]) -> list[Shape]:
    """Shapes for training: any place, size and colour."""
    random = np.random.default_rng(seed)
    width, height = size_wh
    return [
        Shape(
            LABELS[int(random.integers(len(LABELS)))],
            COLOURS[int(random.integers(len(COLOURS)))],
            float(random.uniform(16, 60)),
            (float(random.uniform(0, width)), float(random.uniform(0, height))),
            (float(random.uniform(-120, 120)), float(random.uniform(-90, 90))),
        )
        for _ in range(count)
    ]


def moving_shapes(frames: int = 250) -> Scene:
    """Four shapes in lanes of their own, so that none hides another."""
    return Scene(
        frames,
        shapes=[
            Shape("circle", COLOURS[0], 34, (60, 50), (95, 0)),
            Shape("square", COLOURS[1], 32, (580, 135), (-70, 0)),
            Shape("triangle", COLOURS[2], 38, (320, 225), (110, 0)),
            Shape("star", COLOURS[3], 38, (120, 310), (60, 0)),
        ],
        seed=3,
    )


def cuts_and_captions() -> Scene:
    """24 s: hard cuts at uneven times, captions that come and go, one moving shape."""
    return Scene(
        600,
        shapes=[Shape("circle", COLOURS[4], 30, (60, 60), (150, 40))],
        captions=[
            Caption("BREAKING NEWS", 25, 175, (60, 290)),
            Caption("Visit example.org today", 200, 330, (120, 300)),
            Caption("Score 3:2", 360, 480, (400, 120)),
            Caption("THE END", 520, 600, (230, 160), 52),
        ],
        cuts=[62, 131, 190, 305, 420, 505],
        seed=5,
    )


def walker(label: str, colour: int, *way: tuple[float, float, float], radius: float = 26) -> Shape:
    """A shape that goes a way of its own: (seconds, x, y) of its centre."""
    return Shape(label, COLOURS[colour], radius, (0, 0), (0, 0), way)


def traffic() -> Scene:
    """12 s of traffic over the line x = 320 and into the area 420..560 x 200..340.

    By their centres, three go over the line to the right, and one of them and another to the left;
    one turns back ahead of it, one touches it, and one passes below its lower end (y = 300). Two
    stop in the area, and one goes along its upper edge, outside, and then out of the picture.
    """
    return Scene(
        300,
        shapes=[
            # To the right, one after the other.
            walker("circle", 0, (0.0, 60, 60), (5.0, 600, 60)),
            walker("square", 1, (6.0, 40, 60), (11.0, 600, 60)),
            # To the left.
            walker("triangle", 2, (1.0, 600, 130), (6.0, 40, 130)),
            # Over it and back, the way back within sight.
            walker("star", 3, (7.0, 100, 130), (8.5, 420, 130), (9.0, 420, 130), (11.0, 60, 130)),
            # Turns back ahead of it; touches it with its centre; passes below its end.
            walker("circle", 4, (0.5, 60, 200), (2.5, 250, 200), (4.5, 60, 200)),
            walker("square", 0, (5.0, 100, 230), (7.0, 320, 230), (9.0, 100, 230)),
            walker("circle", 1, (1.0, 120, 330), (3.0, 380, 330), (3.4, 380, 330)),
            # Come from the right and stop in the area.
            walker("triangle", 3, (1, 620, 240), (2, 480, 240), (6, 480, 240), (7, 620, 240)),
            walker("square", 2, (7, 620, 300), (8, 500, 300), (10, 500, 300), (11, 620, 300)),
            # Along its upper edge, and out of the picture.
            walker("circle", 3, (8.0, 400, 180), (11.0, 700, 180), radius=16),
        ],
        seed=9,
    )


def fades() -> Scene:
    """16 s: hard cuts and fades through black."""
    return Scene(
        400,
        shapes=[Shape("square", COLOURS[0], 40, (100, 100), (60, 20))],
        cuts=[100, 260],
        fades=[(160, 180, 200), (310, 330, 350)],
        seed=7,
    )


def _bounced(position: float, low: float, high: float) -> float:
    span = high - low
    offset = (position - low) % (2 * span)
    return low + (offset if offset <= span else 2 * span - offset)


def _outline(shape: Shape, centre: tuple[float, float]) -> npt.NDArray[np.float64]:
    if shape.label == "circle":
        angles, radii = np.linspace(0, 2 * np.pi, 48, endpoint=False), np.ones(48)
    elif shape.label == "square":
        angles, radii = np.pi / 4 + np.arange(4) * np.pi / 2, np.full(4, 1.2)
    elif shape.label == "triangle":
        angles, radii = -np.pi / 2 + np.arange(3) * 2 * np.pi / 3, np.full(3, 1.15)
    else:
        angles, radii = -np.pi / 2 + np.arange(10) * np.pi / 5, np.tile([1.15, 0.5], 5)
    unit = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]
    return unit * shape.radius + np.array(centre)


def written(image: Picture, caption: Caption) -> Picture:
    """A picture with a caption on a dark plate."""
    picture = Image.fromarray(np.ascontiguousarray(image[..., ::-1]))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(caption.size_px)
    left, top, right, bottom = draw.textbbox(caption.xy, caption.text, font=font)
    draw.rectangle((left - 10, top - 8, right + 10, bottom + 8), fill=(16, 16, 16))
    draw.text(caption.xy, caption.text, font=font, fill=(250, 250, 250))
    return np.ascontiguousarray(np.asarray(picture)[..., ::-1])
