"""What finished jobs found, in other formats."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langgraph.runtime import RunControl

import mediaproc
from mediaproc.blobs import LocalBlobStore
from mediaproc.detect.analysis import check
from mediaproc.detect.profile import parse_profile
from mediaproc.detect.stages.base import REGISTRY, StageDefinition, StageIO
from mediaproc.detect.stages.channels import DETECTIONS, table_serializers
from mediaproc.detect.state import DetectState
from mediaproc.detect.tables import Detections
from mediaproc.errors import JobError, MediaError, OutputError
from mediaproc.jobs import Job, Workspace
from mediaproc.jobs.exports import export_job

PROFILE = """
version: 1
name: t
segment: {max_s: 2}
nodes:
  often: {stage: sample_frames, config: {every: 5, keep: KEEP}}
  seldom: {stage: sample_frames, config: {every: 30}}
  quick: {stage: planted, from: {frames: [often]}}
  slow: {stage: planted, from: {frames: [seldom]}}
  track: {stage: track_objects, from: {detections: [quick], frames: [often]}}
  shots: {stage: detect_shots}
  report: {stage: report}
"""


def planted(state: DetectState) -> dict[str, Any]:
    """A box in every frame but the first, which moves two pixels in a frame."""
    frames = state["frames"]
    stamps = zip(frames.indexes.tolist(), frames.pts.tolist(), frames.time_s.tolist(), strict=True)
    rows = [
        {
            "node": "",
            "frame_index": index,
            "pts": pts,
            "time_s": time_s,
            "label": "thing",
            "class_id": 0,
            "confidence": 0.9,
            "x1": 2.0 * (index % 75),
            "y1": 80.5,
            "x2": 2.0 * (index % 75) + 60.0,
            "y2": 140.25,
            "polygon": None,
            "keypoints": None,
        }
        for index, pts, time_s in stamps
        if index
    ]
    return {"detections": Detections.from_records(rows)}


@pytest.fixture(scope="module", autouse=True)
def _stage() -> Iterator[None]:
    serialize, deserialize = table_serializers("detections", Detections)
    stage = StageDefinition(
        name="planted",
        label="Planted",
        description="Boxes that are known.",
        io=StageIO(["frames"], ["detections"]),
        fn=planted,
        serialize_fn=serialize,
        deserialize_fn=deserialize,
        channels=[DETECTIONS],
    )
    REGISTRY.load()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(REGISTRY._stages, "planted", stage)
        yield


def ran(workspace: Workspace, clip: Path, job_id: str, keep: str = "none") -> Job:
    plan = check(parse_profile(PROFILE.replace("KEEP", keep)))
    out = str(workspace.home / "out" / job_id)
    return workspace.run(workspace.create(plan, str(clip), job_id=job_id, out_dir=out))


@pytest.fixture(scope="module")
def done(squares_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A finished job ``a`` over a video that is gone since, and ``kept``, whose frames are kept."""
    folder = tmp_path_factory.mktemp("exports")
    clip = folder / "clip.mp4"
    shutil.copy(squares_clip, clip)
    workspace = Workspace(folder / "home")
    for job_id, keep in (("a", "none"), ("kept", "all")):
        assert ran(workspace, clip, job_id, keep).status == "done"
    clip.unlink()
    return workspace


Export = Callable[..., dict[str, int]]


@pytest.fixture
def export(done: Workspace, tmp_path: Path) -> Export:
    """Exports from another machine, which shares nothing but the database and the blobs."""
    elsewhere = Workspace(
        tmp_path / "elsewhere",
        database=done.home / "jobs.db",
        blobs=LocalBlobStore(done.home / "blobs"),
    )

    def export(job_id: str, format: str, **options: Any) -> dict[str, int]:
        return export_job(elsewhere, job_id, format, tmp_path / "out", **options)

    return export


def test_exports_hold_what_the_results_hold(
    done: Workspace, export: Export, tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    export("a", "parquet")
    results = done.home / "out" / "a"
    names = {path.name for path in results.glob("*.parquet")}
    assert names == {"detections.parquet", "frame_scores.parquet", "shots.parquet"} | {
        "tracks.parquet"
    }
    assert {path.name for path in (tmp_path / "out").glob("*.parquet")} == names
    for name in names:
        assert pq.read_table(tmp_path / "out" / name).equals(pq.read_table(results / name))


def test_exports_say_how_many_rows_of_which_table(export: Export) -> None:
    assert export("a", "mot") == {"tracks": 29, "detections": 33}


@pytest.mark.parametrize(
    ("nodes", "frames"),
    [
        (["quick"], list(range(0, 150, 5))),
        (["slow"], list(range(0, 150, 30))),
        ([], sorted({*range(0, 150, 5), *range(0, 150, 30)})),
    ],
)
def test_exports_know_the_frames_that_the_makers_looked_at(
    nodes: list[str], frames: list[int], export: Export, tmp_path: Path
) -> None:
    export("a", "coco", table="detections", nodes=nodes)
    images = json.loads((tmp_path / "out").read_text())["images"]
    assert [image["frame_id"] for image in images] == frames


def test_exports_of_tracks_know_the_frames_of_the_tracker(export: Export, tmp_path: Path) -> None:
    export("a", "coco")
    images = json.loads((tmp_path / "out").read_text())["images"]
    assert [image["frame_id"] for image in images] == list(range(0, 150, 5))


def test_exports_of_a_node_hold_its_rows_only(export: Export, tmp_path: Path) -> None:
    assert export("a", "json", nodes=["slow"]) == {"detections": 4}
    rows = json.loads((tmp_path / "out").read_text())["tables"]["detections"]["rows"]
    assert [row["frame_index"] for row in rows] == [30, 60, 90, 120]


def test_exports_write_kept_frames_without_the_video(export: Export, tmp_path: Path) -> None:
    import cv2

    export("kept", "yolo", nodes=["quick"], options={"images": True})
    images = sorted((tmp_path / "out" / "images").iterdir())
    assert [int(path.stem[-6:]) for path in images] == list(range(0, 150, 5))
    last: Any = cv2.imread(str(images[-1]))  # frame 145, whose square is 140 pixels in
    assert np.abs(last[110, 170].astype(int) - (220, 160, 30)).max() < 20


def test_exports_of_pixels_say_where_the_video_is_missing(export: Export, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"clip\.mp4: no such file"):
        export("a", "yolo", options={"images": True})
    assert not (tmp_path / "out").exists()


def test_exports_name_the_job_and_its_tables_where_none_fits(export: Export) -> None:
    message = (
        r"^job a: format srt takes transcript or texts, of which there is none; "
        r"there is: detections, frame_scores, shots, tracks$"
    )
    with pytest.raises(OutputError, match=message):
        export("a", "srt")


def test_exports_name_the_nodes_where_one_is_unknown(export: Export) -> None:
    with pytest.raises(OutputError, match="job a has no node 'quik'; it has: often, seldom, quick"):
        export("a", "coco", nodes=["quik"])


def test_exports_refuse_a_job_that_is_not_there(export: Export) -> None:
    with pytest.raises(JobError, match="there is no job 'kep'; did you mean 'kept'"):
        export("kep", "coco")


def test_exports_refuse_a_job_that_is_not_done(squares_clip: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    control = RunControl()
    control.request_drain("test")
    plan = check(parse_profile(PROFILE.replace("KEEP", "none")))
    workspace.run(workspace.create(plan, str(squares_clip), job_id="b"), control=control)
    with pytest.raises(JobError, match=r"job b is interrupted, .* with: mediaproc resume b"):
        export_job(workspace, "b", "coco", tmp_path / "out")


def test_exports_refuse_a_job_that_was_pruned(squares_clip: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    job = ran(workspace, squares_clip, "c")
    workspace.prune(older_than_s=0)
    with pytest.raises(JobError, match=f"was pruned, .* results are in {job.out_dir}"):
        export_job(workspace, "c", "coco", tmp_path / "out")


def test_exports_are_made_in_python(
    done: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIAPROC_HOME", str(done.home))
    written = mediaproc.export("a", "cvat", tmp_path / "a.xml", options={"labels": ["thing"]})
    assert written == {"tracks": 29}
    assert (tmp_path / "a.xml").read_text().count('outside="0"') == 29


def test_exports_read_no_table_that_they_do_not_write(
    done: Workspace, export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = REGISTRY.get("score_frames")

    def unreadable(data: Any, job_id: str, *, blobs: Any) -> dict[str, Any]:
        raise AssertionError("frame scores were read")

    monkeypatch.setitem(REGISTRY._stages, "score_frames", replace(stage, deserialize_fn=unreadable))
    assert export("a", "coco") == {"tracks": 29}
