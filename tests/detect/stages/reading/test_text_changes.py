"""What changed from frame to frame, and what came to stay."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from mediaproc.detect.stages.reading.text_changes import Changes, Staying

Grey = npt.NDArray[np.uint8]
SIZE = 640, 360


def even(level: int = 90) -> Grey:
    return np.full((SIZE[1], SIZE[0]), level, dtype=np.uint8)


def captioned(picture: Grey) -> Grey:
    image = Image.fromarray(picture)
    ImageDraw.Draw(image).text(
        (200, 300), "A line of text", font=ImageFont.load_default(18), fill=255
    )
    return np.array(image)


def elsewhere(seed: int) -> Grey:
    """A picture of which nothing is where it was in another."""
    coarse = np.random.default_rng(seed).integers(0, 256, (SIZE[1] // 20, SIZE[0] // 20))
    return cv2.resize(coarse.astype(np.uint8), SIZE, interpolation=cv2.INTER_CUBIC).astype(np.uint8)


def test_text_changes_sees_where_a_frame_changed() -> None:
    changes, after = Changes(SIZE), even()
    changes.look(even())
    after[100:120, 200:260] += 60
    assert changes.area(changes.look(after), []) == (200, 100, 260, 120)


def test_text_changes_leaves_out_what_lies_in_given_boxes() -> None:
    changes, after = Changes(SIZE), even()
    changes.look(even())
    after[100:120, 200:260] += 60
    assert changes.area(changes.look(after), [(195, 95, 265, 125)]) is None


def test_text_changes_adds_up_what_changes_slowly() -> None:
    changes = Changes(SIZE)
    assert [bool(changes.look(even(90 + 5 * n)).any()) for n in range(4)] == [
        True,
        False,
        False,
        True,
    ]


def test_text_changes_sees_text_that_stays_in_a_moving_picture() -> None:
    staying = Staying(SIZE)
    frames = [elsewhere(0), captioned(elsewhere(1)), captioned(elsewhere(2))]
    found = [staying.look(frame, []) for frame in frames]
    assert found[:2] == [[], []]
    ((x1, y1, x2, y2),) = found[2]
    assert (x1 <= 208, y1 <= 308, x2 >= 296, y2 >= 314) == (True,) * 4


def test_text_changes_tells_of_what_stays_only_once() -> None:
    staying = Staying(SIZE)
    frames = [elsewhere(0), *(captioned(elsewhere(n)) for n in range(1, 4))]
    assert [bool(staying.look(frame, [])) for frame in frames] == [False, False, True, False]


def test_text_changes_is_silent_about_what_was_read() -> None:
    staying = Staying(SIZE)
    staying.look(captioned(elsewhere(1)), [])
    assert staying.look(captioned(elsewhere(2)), [(180, 280, 360, 340)]) == []
