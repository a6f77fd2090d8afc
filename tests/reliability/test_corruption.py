"""Whatever is damaged in what a job stored: an error that names it, or the same results."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mediaproc.errors import MediaprocError
from mediaproc.jobs import Workspace
from tests.reliability.damage import (
    BLOBS,
    CACHE_ROWS,
    JOB_ROWS,
    Results,
    forget,
    other_clip,
    plan,
    results,
    stopped_home,
)

TIMES = 20

Stopped = tuple[Path, dict[str, Path], dict[str, Results]]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, squares_clip: Path) -> Stopped:
    """A home of jobs that stopped half-way, their clips, and what they should have made."""
    folder = tmp_path_factory.mktemp("damage")
    clips = {"late": squares_clip, "early": other_clip(folder / "other.mp4")}
    expected = stopped_home(folder / "home", clips)
    assert expected["late"] != expected["early"]
    return folder / "home", clips, expected


def resumed(home: Path, job_id: str, expected: Results) -> str | None:
    """What a resume in a new process says; None where it ends with the expected results."""
    forget()
    try:
        workspace = Workspace(home)
        job = workspace.run(workspace.store.get(job_id))
    except MediaprocError as error:
        return str(error)
    if job.status != "done":
        assert job.error is not None
        return job.error
    found = results(Path(job.out_dir))
    shutil.rmtree(job.out_dir)
    assert found == expected
    return None


def anew(workspace: Workspace, clip: Path, out: Path) -> Results:
    """The results of a new job, which takes over what the cache holds."""
    forget()
    job = workspace.run(workspace.create(plan(), str(clip), out_dir=str(out)))
    assert job.status == "done", job.error
    return results(out)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*BLOBS, *JOB_ROWS])
def test_corruption_is_named_or_does_not_matter(
    kind: str, tmp_path: Path, stopped: Stopped
) -> None:
    home, _, expected = stopped
    refused = 0
    for seed in range(TIMES):
        copy = shutil.copytree(home, tmp_path / str(seed))
        for job_id in sorted({**BLOBS, **JOB_ROWS}[kind](copy, seed)):
            said = resumed(copy, job_id, expected[job_id])
            if said is None:
                continue
            refused += 1
            assert "\n" not in said
            assert any(word in said for word in ("damage", "digest", "belong", "in the place of"))
            named = r"[0-9a-f]{2}/[0-9a-f]{64}" if kind in BLOBS else rf"job {job_id}\b"
            assert re.search(named, said), said
            way_out = "delete it and start" if kind in BLOBS else f"mediaproc jobs rm {job_id}"
            assert way_out in said, said
        shutil.rmtree(copy)
    # Else the damage was done where nobody looks.
    assert refused >= TIMES // 4


@pytest.mark.slow
@pytest.mark.parametrize("kind", CACHE_ROWS)
def test_corruption_of_the_cache_is_computed_anew(
    kind: str, tmp_path: Path, stopped: Stopped
) -> None:
    home, clips, expected = stopped
    for seed in range(TIMES if kind == "cache-data" else TIMES // 2):
        copy = shutil.copytree(home, tmp_path / str(seed))
        CACHE_ROWS[kind](copy, seed)
        found = anew(Workspace(copy), clips["late"], tmp_path / f"out-{seed}")
        assert found == expected["late"]
        shutil.rmtree(copy)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*BLOBS, *JOB_ROWS])
def test_corruption_has_the_way_out_that_its_message_tells(
    kind: str, tmp_path: Path, stopped: Stopped
) -> None:
    home, clips, expected = stopped
    said = None
    for seed in range(TIMES):
        copy = shutil.copytree(home, tmp_path / str(seed))
        for job_id in sorted({**BLOBS, **JOB_ROWS}[kind](copy, seed)):
            if said := resumed(copy, job_id, expected[job_id]):
                break
        if said:
            break
    assert said is not None
    workspace = Workspace(copy)
    if kind in BLOBS:
        (key,) = re.findall(r"[0-9a-f]{2}/[0-9a-f]{64}", said)
        (copy / "blobs" / key).unlink()
    else:
        (found,) = re.findall(r"'mediaproc jobs rm ([a-z]+)'", said)
        assert workspace.remove(found).id == job_id
    assert anew(workspace, clips[job_id], tmp_path / "out") == expected[job_id]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["frame-index", "checkpoint", "job"])
def test_corruption_ends_the_command_with_one_line_and_no_traceback(
    kind: str, tmp_path: Path, stopped: Stopped
) -> None:
    copy = shutil.copytree(stopped[0], tmp_path / "home")
    (job_id,) = {**BLOBS, **JOB_ROWS}[kind](copy, 1)  # cut short
    done = subprocess.run(
        [sys.executable, "-m", "mediaproc", "resume", job_id],
        env={**os.environ, "MEDIAPROC_HOME": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if "error:" in line]) == 1
