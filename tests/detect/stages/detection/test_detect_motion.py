"""Motion over time: frames in which something moves become events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mediaproc.detect.stages.detection.detect_motion import STAGE, detect_motion
from mediaproc.detect.state import Video
from mediaproc.detect.tables import Motion
from tests.detect.running import run_profile
from tests.scenes import Scene

VIDEO = Video("v.mp4", "00", 640, 360, 10.0, 10.0, 100, (1, 1000))


def events(shares: dict[int, float], **settings: float) -> list[dict[str, Any]]:
    """Events of scores by frame, at 10 frames per second."""
    motion = Motion.from_records(
        {
            "node": "score_motion",
            "frame_index": frame,
            "pts": frame * 100,
            "time_s": frame / 10,
            "share": share,
            "boxes": [[frame, 10, frame + 20, 30]] if share else [],
        }
        for frame, share in shares.items()
    )
    config = STAGE.filled_config(settings)
    return detect_motion({"video": VIDEO, "motion": motion}, config=config)["events"].records()


def spans(found: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(event["start_frame"], event["end_frame"]) for event in found]


def test_detect_motion_makes_an_event_of_frames_in_a_row() -> None:
    (event,) = events({0: 0.0, 5: 0.02, 10: 0.04, 15: 0.0})
    expected = {
        "kind": "motion",
        "label": "motion",
        "pts": 500,
        "start_frame": 5,
        "end_frame": 11,
        "start_s": 0.5,
        "end_s": 1.1,
        "score": 0.04,
        "track_id": 0,
        "node": "",
    }
    details = event.pop("details")
    assert event == pytest.approx(expected)
    assert details == {"mean_share": pytest.approx(0.03), "frames": 2, "xyxy": [5, 10, 30, 30]}


def test_detect_motion_joins_what_is_not_far_apart() -> None:
    shares = {0: 0.1, 10: 0.0, 20: 0.1, 45: 0.1}
    assert spans(events(shares, max_gap_s=2.0)) == [(0, 21), (45, 46)]
    assert spans(events(shares, max_gap_s=1.0)) == [(0, 1), (20, 21), (45, 46)]


@pytest.mark.parametrize(
    ("settings", "found"), [({"min_share": 0.05}, [(10, 11)]), ({"min_s": 0.2}, [])]
)
def test_detect_motion_drops_what_is_too_little(
    settings: dict[str, float], found: list[tuple[int, int]]
) -> None:
    assert spans(events({0: 0.01, 10: 0.1}, max_gap_s=0.5, **settings)) == found


def test_detect_motion_of_frames_that_stand_still_is_no_event() -> None:
    assert events({0: 0.0, 10: 0.0}, min_share=0.0) == []


def test_detect_motion_of_no_frames_is_no_event() -> None:
    assert events({}) == []


def test_detect_motion_of_a_list_profile_needs_no_scores_named(tmp_path: Path) -> None:
    Scene(25, seed=3).render(tmp_path / "still.mp4")
    stages = "stages: [sample_frames: {fps: 5}, detect_motion]"
    _, tables = run_profile(tmp_path, tmp_path / "still.mp4", stages)
    assert (len(tables["motion"]), len(tables["events"])) == (5, 0)
