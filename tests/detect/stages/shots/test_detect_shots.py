"""Shots of rendered scenes whose cuts and fades are known."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.detect.running import run_profile
from tests.scenes import Scene, cuts_and_captions, fades, moving_shapes

STAGES = "stages: [detect_shots]"


def found(folder: Path, scene: Scene, stages: str = STAGES) -> list[tuple[int, str]]:
    scene.render(folder / "scene.mp4")
    _, tables = run_profile(folder, folder / "scene.mp4", stages, more="segment: {max_s: 3}")
    return [(row["start_frame"], row["transition"]) for row in tables["shots"].records()]


@pytest.mark.parametrize("method", ["adaptive", "content"])
def test_detect_shots_finds_each_hard_cut_and_nothing_else(tmp_path: Path, method: str) -> None:
    scene = cuts_and_captions()
    stages = f"stages: [detect_shots: {{method: {method}}}]"
    expected = [(0, "start"), *((cut, "cut") for cut in scene.cuts)]
    assert found(tmp_path, scene, stages) == expected


def test_detect_shots_finds_fades_and_cuts_at_f1_of_0_9(tmp_path: Path) -> None:
    scene = fades()
    shots = found(tmp_path, scene)[1:]
    cuts = [frame for frame, kind in shots if kind == "cut"]
    faded = [frame for frame, kind in shots if kind == "fade"]
    hits = len(set(cuts) & set(scene.cuts))
    hits += sum(any(first <= f < end for f in faded) for first, _, end in scene.fades)
    truth = len(scene.cuts) + len(scene.fades)
    assert 2 * hits / (len(shots) + truth) >= 0.9


def test_detect_shots_takes_motion_for_no_cut(tmp_path: Path) -> None:
    assert found(tmp_path, moving_shapes(100)) == [(0, "start")]


def test_detect_shots_tile_the_video(tmp_path: Path) -> None:
    scene = fades()
    scene.render(tmp_path / "scene.mp4")
    _, tables = run_profile(tmp_path, tmp_path / "scene.mp4", STAGES)
    rows = tables["shots"].records()
    assert (rows[0]["start_frame"], rows[-1]["end_frame"], rows[-1]["end_s"]) == (0, 400, 16.0)
    for before, after in itertools.pairwise(rows):
        assert (before["end_frame"], before["end_s"]) == (after["start_frame"], after["start_s"])
