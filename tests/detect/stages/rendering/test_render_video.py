"""Rendered videos: every frame of the source, with what was found drawn where it is by then."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from mediaproc.detect.analysis import check
from mediaproc.detect.profile import parse_profile
from mediaproc.detect.stages.rendering.painting import Painter
from mediaproc.jobs import Workspace
from mediaproc.media import write_video
from tests.browser import browser, played
from tests.detect.planted import Box, plant
from tests.detect.running import run_profile
from tests.detect.videos import AWKWARD, awkward, images, made, stamps
from tests.media.sounding import BEATS, beeps, flashes, write_clip

SIZE = (320, 180)
STAGES = (
    "stages: [sample_frames: {{fps: {fps}}}, planted, track_objects, render_video: {{{config}}}]"
)
# Of the one class that there is, and of the first track.
ORANGE, BLUE = (0, 159, 230), (233, 180, 86)


def box_at(frame: int) -> Box:
    """A box that goes 4 pixels to the right with each frame."""
    return (20.0 + 4 * frame, 60.0, 70.0 + 4 * frame, 110.0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("render") / "grey.mp4"
    grey = (np.full((SIZE[1], SIZE[0], 3), 70, dtype=np.uint8) for _ in range(50))
    write_video(path, grey, fps=Fraction(25), size_wh=SIZE, options={"g": "25"})
    return path


@pytest.fixture(scope="module")
def opened() -> Iterator[Any]:
    with browser() as running:
        yield running


def rendered(folder: Path, clip: Path, config: str, *, fps: float = 5, more: str = "") -> Path:
    _, tables = run_profile(folder, clip, STAGES.format(fps=fps, config=config), more=more)
    return made(folder, tables)["render_video.mp4"]


def is_drawn(image: Any, box: Box, colour: tuple[int, int, int]) -> bool:
    """Whether the left and lower edge of a box are there, within the blur of a frame's chroma."""
    left, bottom = round(box[0]), round(box[3])
    middle = round((box[1] + box[3]) / 2), round((box[0] + box[2]) / 2)
    down = image[middle[0] - 5 : middle[0] + 5, max(0, left - 2) : left + 3].astype(int)
    along = image[bottom - 2 : bottom + 3, middle[1] - 5 : middle[1] + 5].astype(int)
    return all(np.abs(part - colour).sum(axis=2).min() < 110 for part in (down, along))


def test_render_video_draws_tracks_in_frames_between_the_sampled_ones(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, lambda frame: [("car", 0.9, box_at(frame))])
    result = rendered(tmp_path, clip, "crf: 10", more="segment: {max_s: 1}")
    drawn = [is_drawn(image, box_at(n), BLUE) for n, image in enumerate(images(result))]
    # After the last sampled frame it stays where it was seen.
    assert drawn[:46] == [True] * 46


def test_render_video_draws_a_detection_until_the_next_frame_was_looked_at(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    still = (100.0, 60.0, 150.0, 110.0)
    plant(monkeypatch, lambda frame: [("car", 0.2, still)] if frame == 20 else [])
    result = rendered(tmp_path, clip, "crf: 10, hold_s: 10.0")
    drawn = [n for n, image in enumerate(images(result)) if is_drawn(image, still, ORANGE)]
    assert drawn == list(range(20, 25))


def test_render_video_shows_what_it_is_told_to_only(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, lambda frame: [("car", 0.9, box_at(frame))])
    result = rendered(tmp_path, clip, "crf: 10, show: [texts]")
    assert not any(is_drawn(image, box_at(n), BLUE) for n, image in enumerate(images(result)))


@pytest.mark.parametrize("kind", AWKWARD)
def test_render_video_plays_in_a_browser_frame_by_frame(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Any
) -> None:
    source = awkward(kind, tmp_path)
    plant(monkeypatch, lambda frame: [("car", 0.9, (10, 10, 40, 40))])
    result = rendered(tmp_path, source, "", fps=25)
    assert stamps(result) == stamps(source)
    shown = played(opened, result)
    assert (shown["how"], shown["frames"]) == ("ended", len(stamps(source)))
    assert (shown["sound_bytes"] > 0) is (kind == "with sound")


def test_render_video_keeps_sound_and_picture_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "clip.mkv"
    write_clip(source, "pcm_s16le", size_wh=(320, 180))
    plant(monkeypatch, lambda frame: [])
    result = rendered(tmp_path, source, "")
    assert flashes(result) == pytest.approx(BEATS, abs=1e-6)
    assert beeps(result) == pytest.approx(BEATS, abs=0.012)


def test_render_video_leaves_sound_out_where_it_is_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "clip.mp4"
    write_clip(source, "aac", size_wh=(320, 180))
    plant(monkeypatch, lambda frame: [])
    with av.open(str(rendered(tmp_path, source, "sound: none"))) as container:
        assert [stream.type for stream in container.streams] == ["video"]


PROFILE = """
version: 1
name: t
segment: {{max_s: 1}}
stages: [sample_frames: {{fps: 5}}, planted, track_objects, render_video: {{{config}}}]
"""


def run(folder: Path, clip: Path, job_id: str, config: str, **span: Any) -> dict[str, Any]:
    """What ``run.json`` of a job says."""
    workspace = Workspace(folder / "home")
    plan = check(parse_profile(PROFILE.format(config=config)))
    out = folder / job_id
    job = workspace.create(plan, str(clip), job_id=job_id, out_dir=str(out), span=span)
    assert workspace.run(job).error is None
    workspace.database.close()
    found: dict[str, Any] = json.loads((out / "run.json").read_text())
    return found


def test_render_video_without_its_sound_takes_over_the_pieces(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, lambda frame: [("car", 0.9, box_at(frame))], cached=True)
    run(tmp_path, clip, "one", "")
    nodes = run(tmp_path, clip, "two", "sound: none")["nodes"]
    assert nodes["render_video_pieces"]["reused"] == 2
    assert nodes["render_video"]["reused"] == 0


def test_render_video_of_a_part_begins_with_its_first_frame(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, lambda frame: [("car", 0.9, box_at(frame))])
    run(tmp_path, clip, "part", "crf: 10", from_s=1.0)
    result = tmp_path / "part" / "render_video.mp4"
    assert stamps(result) == stamps(clip)[:25]
    assert is_drawn(next(images(result)), box_at(25), BLUE)


def test_render_video_part_that_failed_shows_the_frame_before_it(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint = Painter.paint

    def failing(self: Painter, image: Any, frame_index: int, time_s: float) -> None:
        if 25 <= frame_index < 50:
            raise RuntimeError("out of paint")
        paint(self, image, frame_index, time_s)

    monkeypatch.setattr(Painter, "paint", failing)
    plant(monkeypatch, lambda frame: [])
    nodes = "nodes: {video: {stage: render_video, on_error: skip}}"
    source = tmp_path / "source.mp4"
    grey = (np.full((SIZE[1], SIZE[0], 3), 70, dtype=np.uint8) for _ in range(75))
    write_video(source, grey, fps=Fraction(25), size_wh=SIZE, options={"g": "25"})
    values, tables = run_profile(tmp_path, source, nodes, more="segment: {max_s: 1}")
    assert [failure["node"] for failure in values["failures"]] == ["video_pieces"]
    every = stamps(source)
    assert stamps(made(tmp_path, tables)["video.mp4"]) == [*every[:25], *every[50:]]
