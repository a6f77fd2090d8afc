"""Text followed through frames that are drawn here, with RapidOCR's own models."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFont

from mediaproc.detect.models.text import Box, Line, Quad, TextReader
from mediaproc.detect.stages.reading.text_follower import TextFollower
from tests.scenes import background

Picture = npt.NDArray[np.uint8]
SIZE = 960, 540


class CountingReader(TextReader):
    """A reader that counts what it is asked."""

    def __init__(self) -> None:
        super().__init__(threads=1)
        self.searched = self.recognised = 0

    def find(self, image: Picture, region: Box | None = None) -> list[Quad]:
        self.searched += 1
        return super().find(image, region)

    def recognise(self, image: Picture, quad: Quad) -> Line:
        self.recognised += 1
        return super().recognise(image, quad)


@pytest.fixture(scope="module")
def shared() -> CountingReader:
    return CountingReader()


@pytest.fixture
def reader(shared: CountingReader) -> CountingReader:
    shared.searched = shared.recognised = 0
    return shared


def moving(number: int) -> Picture:
    """A picture that moves by a good part of its width from frame to frame."""
    picture = np.roll(background(SIZE, 21), 67 * number, axis=1)
    # Round, soft things that pass behind the letters.
    for place in range(6):
        centre = (160 * place + 90 * number) % SIZE[0], 80 + 75 * place
        cv2.circle(picture, centre, 40, (230, 230, 230) if place % 2 else (20, 20, 20), -1)
    return cv2.GaussianBlur(picture, (15, 15), 0).astype(np.uint8)


def written(
    picture: Picture, text: str, xy: tuple[int, int], size_px: int = 36, light: float = 1.0
) -> Picture:
    """White letters with a dark outline, and no plate behind them."""
    image = Image.fromarray(np.ascontiguousarray(picture[..., ::-1]))
    ImageDraw.Draw(image).text(
        xy,
        text,
        font=ImageFont.load_default(size_px),
        fill=(255, 255, 255),
        stroke_width=max(1, size_px // 12),
        stroke_fill=(0, 0, 0),
    )
    full = np.ascontiguousarray(np.asarray(image)[..., ::-1])
    return cv2.addWeighted(full, light, picture, 1 - light, 0).astype(np.uint8)


def followed(reader: TextReader, pictures: Sequence[Picture]) -> list[list[str]]:
    """The lines of each frame, without spaces."""
    follower = TextFollower(reader, 0.7, SIZE)
    for picture in pictures:
        follower.follow(picture)
    return [sorted(line.text.replace(" ", "") for line in lines) for lines in follower.lines]


def test_text_follower_sees_a_caption_from_its_first_frame_to_its_last(
    reader: CountingReader,
) -> None:
    pictures = [moving(n) for n in range(7)]
    pictures[2:5] = [written(p, "Seven boats return", (200, 440)) for p in pictures[2:5]]
    found = followed(reader, pictures)
    assert found == [[], [], *[["Sevenboatsreturn"]] * 3, [], []]


def test_text_follower_recognises_a_caption_over_a_moving_picture_seldom(
    reader: CountingReader,
) -> None:
    pictures = [written(moving(n), "Seven boats return", (200, 440)) for n in range(8)]
    found = followed(reader, pictures)
    assert found == [["Sevenboatsreturn"]] * 8
    assert reader.recognised <= 6


def test_text_follower_looks_at_nothing_closely_where_no_text_moves(
    reader: CountingReader,
) -> None:
    assert followed(reader, [moving(n) for n in range(6)]) == [[]] * 6
    assert reader.searched == 0


def test_text_follower_sees_that_one_letter_changed(reader: CountingReader) -> None:
    texts = ["Take the boat", "Take the boat", "Take the coat", "Take the coat"]
    found = followed(reader, [written(moving(n), t, (200, 440)) for n, t in enumerate(texts)])
    assert found == [[t.replace(" ", "")] for t in texts]


def test_text_follower_counts_with_a_clock_in_a_still_picture(reader: CountingReader) -> None:
    texts = ["00:55", "00:55", "00:56", "00:57", "00:58", "00:59", "01:00"]
    still = moving(0)
    assert followed(reader, [written(still, t, (60, 40)) for t in texts]) == [[t] for t in texts]


def test_text_follower_sees_a_score_grow_by_a_digit(reader: CountingReader) -> None:
    texts = ["Points 9", "Points 9", "Points 10", "Points 10"]
    found = followed(reader, [written(moving(n), t, (60, 40)) for n, t in enumerate(texts)])
    assert found == [[t.replace(" ", "")] for t in texts]


def test_text_follower_follows_a_line_that_moves(reader: CountingReader) -> None:
    follower = TextFollower(reader, 0.7, SIZE)
    for number in range(5):
        follower.follow(written(moving(0), "Rolling credits", (300, 420 - 80 * number)))
    assert [[line.text.replace(" ", "") for line in lines] for lines in follower.lines] == [
        ["Rollingcredits"]
    ] * 5
    tops = [lines[0].xyxy[1] for lines in follower.lines]
    assert np.abs(np.diff(tops) + 80).max() < 8


def test_text_follower_reads_a_line_again_that_fades_in(reader: CountingReader) -> None:
    lights = [0.0, 0.12, 0.35, 0.8, 1.0, 1.0]
    found = followed(
        reader,
        [written(moving(n), "Harbour at dusk", (200, 440), light=x) for n, x in enumerate(lights)],
    )
    assert found[0] == []
    assert found[3:] == [["Harbouratdusk"]] * 3


def test_text_follower_sees_words_added_to_a_line(reader: CountingReader) -> None:
    texts = ["When winter", "When winter comes", "When winter comes again"]
    found = followed(reader, [written(moving(n), t, (120, 440)) for n, t in enumerate(texts)])
    assert found == [[t.replace(" ", "")] for t in texts]


def test_text_follower_finds_small_text_that_stays_from_its_first_frame(
    reader: CountingReader,
) -> None:
    pictures = [moving(n) for n in range(6)]
    small = [written(p, "Photo by Ada", (700, 60), 11) for p in pictures[2:5]]
    found = followed(reader, [*pictures[:2], *small, pictures[5]])
    assert found == [[], [], *[["PhotobyAda"]] * 3, []]


def test_text_follower_takes_over_all_lines_of_a_still_frame(reader: CountingReader) -> None:
    still = written(written(moving(0), "First line", (100, 100)), "Second line", (100, 300))
    found = followed(reader, [still] * 4)
    assert found == [["Firstline", "Secondline"]] * 4
    assert reader.recognised == 2
