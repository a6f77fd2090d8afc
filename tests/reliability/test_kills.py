"""A few kills of each kind; ``make kills`` makes many."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.postgres import Server
from tests.reliability.child import KINDS
from tests.reliability.grounds import SHOTS, Local, Shared, make_material
from tests.reliability.jobs import Aim, KilledJob, unbroken_run
from tests.reliability.kills import kill_jobs
from tests.s3 import S3Place

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_material(tmp_path_factory.mktemp("material"))


def test_kills_of_each_kind_leave_no_trace(tmp_path: Path, material: tuple[Path, Path]) -> None:
    ground = Local(tmp_path, SHOTS)
    ground.prepare(*material)
    tally = kill_jobs(ground, len(KINDS), seed=1, again=0.0)
    assert tally.broken == []
    assert {kind for kind in KINDS if tally.identical[kind]} == set(KINDS)


def test_kills_with_shared_storage_leave_no_trace_on_another_machine(
    tmp_path: Path, material: tuple[Path, Path], postgres: Server, s3_place: S3Place
) -> None:
    ground = Shared(tmp_path, postgres, s3_place, SHOTS)
    ground.prepare(*material)
    tally = kill_jobs(ground, 2, seed=1, again=1.0)
    assert tally.broken == []
    assert tally.identical.total() == 2


def test_kills_of_a_job_with_kept_frames_need_its_video_no_more(
    tmp_path: Path, material: tuple[Path, Path]
) -> None:
    ground = Local(tmp_path, nodes="", keep="all")
    ground.prepare(*material)
    job = KilledJob(ground, unbroken_run(ground), "kept")
    # All three segments are sampled by then, and tracking is still to come.
    assert job.begin(Aim("boxes", 3, 0.0))
    Path(ground.video).unlink()
    job.resume()
    assert job.done
    assert {("boxes", "2"), ("track", "None")} <= set(job.calls())
    assert "goes on without its video" in job.said
