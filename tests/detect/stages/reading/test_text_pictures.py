"""Pictures of lines held against each other."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from mediaproc.detect.stages.reading.text_pictures import LinePicture

Grey = npt.NDArray[np.uint8]


def drawn(text: str, ground: int | Grey = 60, light: float = 1.0) -> Grey:
    plain = np.full((48, 260), ground if isinstance(ground, int) else 0, dtype=np.uint8)
    base = plain if isinstance(ground, int) else ground
    image = Image.fromarray(base)
    ImageDraw.Draw(image).text(
        (14, 4), text, font=ImageFont.load_default(34), fill=250, stroke_width=2, stroke_fill=5
    )
    full: Grey = np.asarray(image)
    return cv2.addWeighted(full, light, base, 1 - light, 0).astype(np.uint8)


def cloudy(seed: int) -> Grey:
    coarse = np.random.default_rng(seed).integers(10, 200, (2, 6), dtype=np.uint8)
    return cv2.resize(coarse, (260, 48), interpolation=cv2.INTER_CUBIC).astype(np.uint8)


def test_text_pictures_a_line_is_the_same_over_another_ground() -> None:
    assert LinePicture(drawn("Bring salt", cloudy(1))).same(drawn("Bring salt", cloudy(2)))


def test_text_pictures_a_line_with_another_letter_is_not_the_same() -> None:
    assert not LinePicture(drawn("Bring salt", cloudy(1))).same(drawn("Bring silt", cloudy(2)))


def test_text_pictures_a_five_is_no_six() -> None:
    assert not LinePicture(drawn("00:55")).same(drawn("00:56"))


def test_text_pictures_a_line_that_became_clearer_is_not_the_same() -> None:
    assert not LinePicture(drawn("Bring salt", light=0.4)).same(drawn("Bring salt"))


def test_text_pictures_a_line_over_another_ground_is_not_gone() -> None:
    assert not LinePicture(drawn("Bring salt", cloudy(1))).gone(drawn("Bring salt", cloudy(2)))


def test_text_pictures_a_line_whose_ground_alone_is_left_is_gone() -> None:
    assert LinePicture(drawn("Bring salt", cloudy(1))).gone(cloudy(1))
