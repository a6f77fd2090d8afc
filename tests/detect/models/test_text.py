"""RapidOCR on a drawn picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFont

from mediaproc.detect.models.text import TextReader

GLANCED = 384 * 216


@pytest.fixture(scope="module")
def reader() -> TextReader:
    return TextReader(threads=1)


@pytest.fixture(scope="module")
def picture() -> npt.NDArray[np.uint8]:
    image = Image.new("RGB", (1280, 720), (70, 90, 60))
    draw = ImageDraw.Draw(image)
    draw.text((80, 60), "Harbour master", font=ImageFont.load_default(40), fill="white")
    draw.text((800, 600), "Photo by Ada", font=ImageFont.load_default(9), fill="#c8c8c8")
    return np.array(image)


def test_text_reads_the_lines_of_an_image_from_top_to_bottom(
    reader: TextReader, picture: npt.NDArray[np.uint8]
) -> None:
    lines = reader.read(picture, 0.5)
    assert [line.text.replace(" ", "") for line in lines] == ["Harbourmaster", "PhotobyAda"]


def test_text_finds_a_line_in_the_same_place_in_a_region_as_in_the_whole_image(
    reader: TextReader, picture: npt.NDArray[np.uint8]
) -> None:
    (inside,) = reader.find(picture, (40, 30, 460, 140))
    assert np.abs(inside - reader.find(picture)[0]).max() < 8


def test_text_does_not_see_small_text_when_it_glances_at_a_whole_image(
    reader: TextReader, picture: npt.NDArray[np.uint8]
) -> None:
    assert len(reader.glance(picture, (0, 0, 1280, 720), GLANCED)) == 1


def test_text_sees_small_text_when_it_glances_at_a_small_region(
    reader: TextReader, picture: npt.NDArray[np.uint8]
) -> None:
    assert len(reader.glance(picture, (760, 570, 960, 650), GLANCED)) == 1
