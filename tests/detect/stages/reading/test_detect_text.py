"""Captions of a rendered scene whose words and times are known."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from tests.detect.running import run_profile
from tests.scenes import Caption, Scene, cuts_and_captions


@pytest.mark.slow
def test_detect_text_reads_captions_while_they_are_on_screen(tmp_path: Path) -> None:
    scene = cuts_and_captions()
    # The circle would rightly be read as an O.
    scene.shapes = []
    scene.render(tmp_path / "scene.mp4")
    _, tables = run_profile(
        tmp_path, tmp_path / "scene.mp4", "stages: [sample_frames: {fps: 1}, detect_text]"
    )
    rows = tables["texts"].records()
    wanted = [
        (frame, caption.text)
        for frame in range(0, scene.frames, 25)
        for caption in scene.captions
        if caption.start_frame <= frame < caption.end_frame
    ]
    read = {(row["frame_index"], row["text"]) for row in rows}
    scores = []
    for frame, text in wanted:
        lines = [line for number, line in read if number == frame]
        ratios = [difflib.SequenceMatcher(None, text, line).ratio() for line in lines]
        scores.append(max(ratios, default=0.0))
    assert sum(scores) / len(scores) >= 0.95
    assert len(rows) == len(wanted)


@pytest.mark.slow
def test_detect_text_takes_over_unchanged_lines_and_reads_the_same(tmp_path: Path) -> None:
    scene = cuts_and_captions()
    scene.frames = 150
    scene.render(tmp_path / "scene.mp4")
    texts = []
    for skip in ("true", "false"):
        stages = f"stages: [sample_frames: {{fps: 2}}, detect_text: {{skip_unchanged: {skip}}}]"
        _, tables = run_profile(tmp_path, tmp_path / "scene.mp4", stages)
        texts.append([(r["frame_index"], r["text"]) for r in tables["texts"].records()])
    assert texts[0] == texts[1]
    assert texts[0]


@pytest.mark.slow
def test_detect_text_sees_a_single_digit_change_and_a_new_line_while_another_stays(
    tmp_path: Path,
) -> None:
    scene = Scene(
        200,
        captions=[
            Caption("Score 3:2", 0, 100, (60, 40)),
            Caption("Score 8:2", 100, 200, (60, 40)),
            Caption("Visit example.org today", 125, 200, (100, 280)),
        ],
        seed=5,
    ).render(tmp_path / "scene.mp4", g="250")
    assert scene.frames == 200
    _, tables = run_profile(
        tmp_path, tmp_path / "scene.mp4", "stages: [sample_frames: {every: 25}, detect_text]"
    )
    read: dict[int, list[str]] = {}
    for row in tables["texts"].records():
        read.setdefault(row["frame_index"], []).append(row["text"].replace(" ", ""))
    assert [read[frame][0] for frame in range(0, 200, 25)] == ["Score3:2"] * 4 + ["Score8:2"] * 4
    assert [len(read[frame]) for frame in range(0, 200, 25)] == [1] * 5 + [2] * 3


@pytest.mark.slow
def test_detect_text_reads_the_same_however_the_video_is_cut(tmp_path: Path) -> None:
    Scene(
        150,
        captions=[
            Caption("Score 3:2", 0, 80, (60, 40)),
            Caption("Harbour at dusk", 30, 150, (60, 280)),
        ],
        seed=5,
    ).render(tmp_path / "scene.mp4", g="25")
    rows = []
    for seconds in (1, 60):
        _, tables = run_profile(
            tmp_path,
            tmp_path / "scene.mp4",
            "stages: [sample_frames: {every: 10}, detect_text]",
            more=f"segment: {{max_s: {seconds}}}",
        )
        rows.append(tables["texts"].records())
    assert rows[0] == rows[1]
    assert {row["text"].replace(" ", "") for row in rows[0]} == {"Score3:2", "Harbouratdusk"}
