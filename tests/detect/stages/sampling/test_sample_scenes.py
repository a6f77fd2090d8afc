"""Frames of shots: chosen by the whole video's shots, wherever it is cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediaproc.detect.stages.sampling.sample_scenes import STAGE, of_shots, prepare
from mediaproc.detect.tables import Shots
from mediaproc.errors import StageError
from tests.detect.running import chosen_frames, run_profile
from tests.scenes import COLOURS, Scene, Shape


def shots(*spans: tuple[int, int]) -> Shots:
    blank: dict[str, Any] = {column.name: 0 for column in Shots.columns}
    text = {"node": "shots", "transition": "cut"}
    return Shots.from_records(
        {**blank, **text, "start_frame": start, "end_frame": end} for start, end in spans
    )


def chosen(table: Shots, **settings: Any) -> list[int]:
    return of_shots(table, 10.0, STAGE.filled_config(settings)).tolist()


@pytest.mark.parametrize(
    ("settings", "frames"),
    [
        ({}, [4, 14]),
        ({"at": ["first", "middle", "last"]}, [0, 4, 9, 10, 14, 19]),
        ({"at": ["last"]}, [9, 19]),
        ({"spread": 1}, [5, 15]),
        ({"spread": 5}, [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]),
        ({"at": ["first", "last"], "margin_s": 0.2}, [2, 7, 12, 17]),
        ({"spread": 2, "margin_s": 0.3}, [4, 6, 14, 16]),
        # Margins that leave nothing leave the middle.
        ({"at": ["first", "last"], "margin_s": 9.0}, [4, 14]),
    ],
)
def test_sample_scenes_chooses_frames_of_each_shot(
    settings: dict[str, Any], frames: list[int]
) -> None:
    assert chosen(shots((0, 10), (10, 20)), **settings) == frames


def test_sample_scenes_takes_a_frame_once_where_a_shot_is_shorter_than_its_frames() -> None:
    assert chosen(shots((0, 1), (1, 3)), spread=4) == [0, 1, 2]


def test_sample_scenes_of_no_shots_is_no_frame() -> None:
    assert chosen(Shots.empty(), spread=4) == []


def test_sample_scenes_refuses_settings_that_choose_nothing() -> None:
    with pytest.raises(StageError, match="no frame would be chosen"):
        prepare(config=STAGE.filled_config({"at": []}))


@pytest.mark.parametrize("max_s", [1, 100])
def test_sample_scenes_of_a_video_are_the_same_in_segments_of_any_length(
    tmp_path: Path, max_s: int
) -> None:
    scene = Scene(
        150, shapes=[Shape("circle", COLOURS[0], 30, (60, 60), (90, 30))], cuts=[40, 110], seed=5
    )
    scene.render(tmp_path / "scene.mp4", g="25", sc_threshold="0")
    stages = "stages: [sample_frames, sample_scenes: {at: [first, middle]}, report]"
    values, _ = run_profile(
        tmp_path, tmp_path / "scene.mp4", stages, more=f"segment: {{max_s: {max_s}}}"
    )
    assert len(values["segments"]) == (6 if max_s == 1 else 1)
    assert chosen_frames(values, "sample_scenes") == [0, 19, 40, 74, 110, 129]


def test_sample_scenes_hands_on_the_pixels_of_its_frames(
    tmp_path: Path, squares_clip: Path
) -> None:
    stages = (
        "stages: [sample_scenes: {max_size: 64, keep: all}, "
        "filter_frames: {min_sharpness: 0}, report]"
    )
    values, _ = run_profile(tmp_path, squares_clip, stages)
    assert chosen_frames(values, "filter_frames") == [37, 112]
    assert np.sum(values["report"]["sampled_frames"]) == 2
