"""Doubts: rows of any table as questions, sights of one thing joined, and pictures of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from mediaproc.detect.stages.asking.doubts import Doubt, doubts_of, joined, pictures
from mediaproc.detect.state import Frame, Frames, Video
from mediaproc.detect.tables import Detections, Texts
from mediaproc.media import decode_jpeg

Box = tuple[float, float, float, float]


class Media:
    """Pictures of one grey; notes which frames are asked for together."""

    def __init__(self, size_wh: tuple[int, int], grey: int, kept: bool = False) -> None:
        self.size_wh = size_wh
        self.grey = grey
        self.kept = kept
        self.runs: list[list[int]] = []

    def images(self, indexes: Sequence[int], **options: Any) -> Iterator[Frame]:
        self.runs.append(list(indexes))
        width, height = self.size_wh
        for index in indexes:
            image = np.full((height, width, 3), self.grey, dtype=np.uint8)
            yield Frame(index, 512 * index, index / 25, image)

    def stored(self) -> list[dict[str, Any]]:
        return [{"blob": {}}] if self.kept else []

    def joined(self, pieces: Sequence[Any]) -> Media:
        return self


def row(frame: int, box: Box = (10, 10, 30, 30), **more: Any) -> dict[str, Any]:
    sides = dict(zip(("x1", "y1", "x2", "y2"), box, strict=True))
    found = {
        "node": "boxes",
        "frame_index": frame,
        "pts": 512 * frame,
        "time_s": frame / 25,
        "label": "car",
        "class_id": 2,
        "confidence": 0.5,
        **sides,
        "polygon": None,
        "keypoints": None,
    }
    return {**found, **more}


def doubts(*rows: dict[str, Any]) -> list[Doubt]:
    return doubts_of("detections", Detections.from_records(rows))


def state(size_wh: tuple[int, int], frames: Any = None) -> Any:
    video = Video("clip.mp4", "0" * 64, *size_wh, 25.0, 40.0, 1000, (1, 12_800))
    return {"video": video} if frames is None else {"video": video, "frames": frames}


def cut(size_wh: tuple[int, int], box: Box, margin: float = 0.5, max_px: int = 9999) -> Any:
    """Width and height of the picture of a box."""
    (one,) = doubts(row(0, box))
    found = pictures([one], state(size_wh), Media(size_wh, 9), margin=margin, max_px=max_px)
    ((_, jpeg),) = found
    return decode_jpeg(jpeg).shape[1::-1]


def kept_frames(size_wh: tuple[int, int], *indexes: int) -> Frames:
    stamps = np.array(indexes, dtype=np.int64)
    media = Media(size_wh, 200, kept=True)
    return Frames(stamps, 512 * stamps, stamps / 25, size_wh, (640, 360), media)  # type: ignore[arg-type]


# ---- joining


def spans(found: Sequence[Doubt]) -> list[list[int]]:
    return [sorted(d.frame_index for d in (one, *one.others)) for one in found]


def test_doubts_join_sights_that_overlap_in_frames_close_by() -> None:
    assert spans(joined(doubts(row(0), row(10), row(20)), same_s=1.0)) == [[0, 10, 20]]


def test_doubts_do_not_join_across_a_longer_time() -> None:
    assert spans(joined(doubts(row(0), row(30)), same_s=1.0)) == [[0], [30]]


def test_doubts_do_not_join_what_stands_elsewhere() -> None:
    apart = doubts(row(0), row(10, (60, 60, 80, 80)))
    assert spans(joined(apart, same_s=1.0)) == [[0], [10]]


def test_doubts_do_not_join_other_labels() -> None:
    assert spans(joined(doubts(row(0), row(10, label="van")), same_s=1.0)) == [[0], [10]]


def test_doubts_do_not_join_two_things_of_one_frame() -> None:
    twice = doubts(row(0), row(0, (11, 11, 31, 31)))
    assert len(joined(twice, same_s=1.0)) == 2


def test_doubts_let_the_surest_sight_stand_for_all() -> None:
    found = joined(doubts(row(0), row(5, confidence=0.55), row(10)), same_s=1.0)
    assert [one.frame_index for one in found] == [5]


def test_doubts_have_a_key_that_follows_from_the_row_alone() -> None:
    first, second = doubts(row(0), row(5))
    (alone,) = doubts(row(5))
    assert (second.key, second.row, alone.row) == (alone.key, 1, 0)
    assert first.key != second.key


def test_doubts_of_text_are_about_the_text() -> None:
    line = {name: row(3)[name] for name in ("node", "frame_index", "pts", "time_s", "confidence")}
    box = dict.fromkeys(("x1", "y1", "x2", "y2"), 0.0)
    (found,) = doubts_of("texts", Texts.from_records([{**line, **box, "text": "LIVE", "quad": []}]))
    assert (found.label, found.text) == ("LIVE", "LIVE")


# ---- pictures


@pytest.mark.parametrize(
    ("size_wh", "box", "shown_wh"),
    [
        ((640, 360), (100.0, 100.0, 140.0, 120.0), (80, 40)),
        ((640, 360), (0.0, 0.0, 40.0, 20.0), (60, 30)),
        ((640, 360), (620.0, 350.0, 660.0, 380.0), (40, 25)),
        ((640, 360), (700.0, 400.0, 700.0, 400.0), (1, 1)),
        ((640, 360), (10.5, 10.5, 10.5, 10.5), (1, 1)),
        ((3840, 2160), (1000.0, 1000.0, 2000.0, 1500.0), (2000, 1000)),
        ((101, 203), (50.0, 100.0, 60.0, 120.0), (20, 40)),
        ((1, 1), (0.0, 0.0, 1.0, 1.0), (1, 1)),
    ],
    ids=["inside", "corner", "beyond", "outside", "empty", "4K", "odd", "pixel"],
)
def test_doubts_are_shown_within_the_picture(
    size_wh: tuple[int, int], box: Box, shown_wh: tuple[int, int]
) -> None:
    assert cut(size_wh, box) == shown_wh


def test_doubts_are_shown_no_larger_than_asked() -> None:
    assert cut((3840, 2160), (0.0, 0.0, 3840.0, 2160.0), max_px=512) == (512, 288)


def test_doubts_far_apart_are_reached_by_a_seek() -> None:
    media = Media((640, 360), 9)
    list(
        pictures(
            doubts(row(0), row(100), row(9000)), state((640, 360)), media, margin=0.0, max_px=99
        )
    )
    assert media.runs == [[0, 100], [9000]]


def test_doubts_are_shown_from_kept_frames_at_their_size() -> None:
    media = Media((640, 360), 9)
    seen = state((640, 360), [kept_frames((320, 180), 0, 10), kept_frames((320, 180), 20)])
    shown = pictures(doubts(row(0), row(20)), seen, media, margin=0.0, max_px=99)
    images = [decode_jpeg(jpeg) for _, jpeg in shown]
    assert [(image.shape[:2], int(image.mean())) for image in images] == [((10, 10), 200)] * 2
    assert media.runs == []


def test_doubts_are_shown_from_the_video_where_a_frame_was_not_kept() -> None:
    media = Media((640, 360), 9)
    seen = state((640, 360), kept_frames((320, 180), 0, 10))
    list(pictures(doubts(row(0), row(20)), seen, media, margin=0.0, max_px=99))
    assert media.runs == [[0, 20]]
