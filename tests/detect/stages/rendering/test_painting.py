"""Strokes on a frame: where they are to be, readable, and never outside of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mediaproc.detect.products import Overlays
from mediaproc.detect.stages.rendering.painting import Painter, hide

SIZE = (320, 240)


def canvas(value: int = 100) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.full((SIZE[1], SIZE[0], 3), value, dtype=np.uint8)


def stroke(**changes: Any) -> Overlays:
    row = {
        "node": "",
        "kind": "box",
        "label": "",
        "colour": 0xFF0000,
        "detail": 4,
        "start_frame": 0,
        "end_frame": 10,
        "start_s": 0.0,
        "end_s": 1.0,
        "points": None,
        "x1": 50.0,
        "y1": 60.0,
        "x2": 90.0,
        "y2": 100.0,
        "to_x1": 150.0,
        "to_y1": 60.0,
        "to_x2": 190.0,
        "to_y2": 100.0,
    }
    return Overlays.from_records([{**row, **changes}])


def painted(table: Overlays, frame: int = 0, time_s: float = 0.0) -> Any:
    image = canvas()
    Painter(table, 0, 100, SIZE).paint(image, frame, time_s)
    return image


def touched(image: Any) -> tuple[int, int, int, int]:
    """The part of the canvas that is not as it was, xyxy."""
    ys, xs = np.nonzero((image != 100).any(axis=2))
    return int(xs.min()), int(ys.min()), int(xs.max()), int(ys.max())


@pytest.mark.parametrize(("time_s", "left"), [(-1.0, 50), (0.0, 50), (0.25, 75), (1.0, 150)])
def test_painter_moves_a_box_with_time(time_s: float, left: int) -> None:
    x1, y1, x2, y2 = touched(painted(stroke(), time_s=time_s))
    assert np.abs(np.array([x1, y1, x2, y2]) - [left, 60, left + 40, 100]).max() <= 1


@pytest.mark.parametrize(("frame", "drawn"), [(9, True), (10, False)])
def test_painter_ends_a_stroke_ahead_of_its_end_frame(frame: int, drawn: bool) -> None:
    assert (painted(stroke(), frame) != 100).any() == drawn


def test_painter_draws_in_the_colour_that_is_told() -> None:
    assert painted(stroke(colour=0x102030))[60, 70].tolist() == [0x30, 0x20, 0x10]


def test_painter_writes_a_label_above_its_box() -> None:
    _, top, _, bottom = touched(painted(stroke(label="car 7")))
    assert top < 50
    assert bottom <= 101


def test_painter_writes_a_label_inside_where_there_is_no_room_above() -> None:
    high = {"y1": 2.0, "y2": 80.0, "to_y1": 2.0, "to_y2": 80.0}
    plain, named = painted(stroke(**high)), painted(stroke(label="car 7", **high))
    assert (plain[4:14, 60:70] != named[4:14, 60:70]).any()


@pytest.mark.parametrize("text", ["x" * 300, "Grüße, Ñandú", "中文", "a\nb", "\u202e"])
def test_painter_writes_any_label(text: str) -> None:
    far = {"x1": 300.0, "x2": 500.0, "to_x1": 300.0, "to_x2": 500.0}
    image = painted(stroke(label=text, **far))
    assert image.shape == (SIZE[1], SIZE[0], 3)


def test_painter_leaves_out_what_lies_outside_of_the_frame() -> None:
    away = {"x1": 900.0, "x2": 950.0, "to_x1": 900.0, "to_x2": 950.0}
    assert (painted(stroke(kind="fill", **away)) == 100).all()


def test_painter_hides_first_and_names_last() -> None:
    both = Overlays.concat([stroke(label="car", colour=0xFFFFFF), stroke(kind="fill")])
    assert painted(both)[60, 70].tolist() == [255, 255, 255]


def test_painter_stacks_banners() -> None:
    one = stroke(kind="banner", label="flag: a")
    both = Overlays.concat([one, stroke(kind="banner", label="flag: b")])
    assert touched(painted(both))[3] > touched(painted(one))[3] + 10


@pytest.mark.parametrize("method", ["pixelate", "blur", "fill"])
def test_hide_leaves_few_shades_of_a_part_and_the_rest_untouched(method: str) -> None:
    random = np.random.default_rng(4)
    image = random.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    before = image.copy()
    hide(image, (20.4, 10.6, 59.2, 49.0), method, 4)
    inside = image[10:49, 20:60].astype(float)
    # Of noise, cells of a hundred pixels leave a tenth of the spread.
    assert inside.std() < before[10:49, 20:60].std() / 4
    image[10:49, 20:60] = before[10:49, 20:60]
    assert (image == before).all()


def test_hide_pixelates_into_as_many_cells_as_it_is_told() -> None:
    image = np.random.default_rng(4).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    hide(image, (0, 0, 80, 60), "pixelate", 4)
    assert len(np.unique(image.reshape(-1, 3), axis=0)) == 4 * 3


def test_hide_of_a_part_outside_changes_nothing() -> None:
    image = canvas()
    hide(image, (-50, -50, 0, 0), "fill", 4)
    assert (image == 100).all()
