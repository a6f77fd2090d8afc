"""The command line: exit codes, messages, and what it does not import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QUICKSTART = str(ROOT / "profiles" / "quickstart.yaml")


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mediaproc", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["validate", QUICKSTART], ["stages"], ["export", "--list"]]
)
def test_cli_light_commands_import_neither_torch_nor_langgraph(arguments: list[str]) -> None:
    code = (
        "import sys; sys.argv[0] = 'mediaproc'\n"
        "from mediaproc.cli import main\n"
        "try:\n    main()\nexcept SystemExit: pass\n"
        "print([m for m in ('torch', 'langgraph', 'cv2', 'ultralytics') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_cli_validate_exits_3_and_prints_every_problem(tmp_path: Path) -> None:
    profile = tmp_path / "bad.yaml"
    profile.write_text("version: 1\nname: t\nstages: [sampel_frames, detect_txt]\n")
    done = call("validate", str(profile))
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 2
    assert f"{profile}:3:10: unknown stage 'sampel_frames'" in done.stderr


def test_cli_validate_json_lists_problems() -> None:
    assert json.loads(call("validate", "--json", QUICKSTART).stdout) == []


def test_cli_validate_graph_prints_mermaid() -> None:
    lines = call("validate", "--graph", QUICKSTART).stdout.splitlines()
    assert lines[0] == "flowchart TD"
    assert "  sample_frames --> detect_text" in lines


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["detect", "-p", "none.yaml", "x.mp4"], 3, "none.yaml: cannot be read: No such file"),
        (["detect", "-p", QUICKSTART, "none.mp4"], 1, "none.mp4: no such file"),
        (["resume", "nope"], 1, "there is no job 'nope'"),
        (["detect"], 2, "Missing"),
        (["stages", "nope"], 1, "Unknown stage: 'nope'"),
    ],
)
def test_cli_says_what_is_wrong_in_one_line(arguments: list[str], code: int, message: str) -> None:
    done = call(*arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_cli_detect_writes_results_and_lists_the_job(tmp_path: Path, squares_clip: Path) -> None:
    profile = tmp_path / "p.yaml"
    profile.write_text("version: 1\nname: t\nstages: [sample_frames, detect_shots, report]\n")
    out = tmp_path / "out"
    done = call("detect", "-p", str(profile), str(squares_clip), "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "done"
    assert json.loads((out / "report.json").read_text())["sampled_frames"] == 12
    assert [job["status"] for job in json.loads(call("jobs", "list", "--json").stdout)] == ["done"]


def test_cli_detect_profile_time_shows_where_the_time_went(
    tmp_path: Path, squares_clip: Path
) -> None:
    profile = tmp_path / "p.yaml"
    profile.write_text("version: 1\nname: t\nstages: [detect_shots]\n")
    done = call(
        "detect",
        "-p",
        str(profile),
        str(squares_clip),
        "--profile-time",
        "--out",
        str(tmp_path / "out"),
    )
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split() for line in done.stderr.splitlines() if line}
    assert rows["node"] == ["node", "calls", "reused", "seconds", "decode", "wait", "scale"]
    seconds, decode, wait, scale = map(float, rows["score_frames"][3:])
    assert decode > 0
    assert 0 < wait + scale <= seconds + 0.02
    written = json.loads((tmp_path / "out" / "run.json").read_text())
    assert 0 < written["seconds"]["checkpoints"] < written["seconds"]["total"]


def test_cli_jobs_prune_refuses_an_age_that_is_none() -> None:
    done = call("jobs", "prune", "--older-than", "soon")
    assert done.returncode == 2
    assert "'soon' is not an age: give 30d" in done.stderr


def test_cli_jobs_show_says_what_a_job_takes_and_prune_takes_it(
    tmp_path: Path, squares_clip: Path
) -> None:
    profile = tmp_path / "p.yaml"
    profile.write_text("version: 1\nname: t\nstages: [sample_frames, detect_shots, report]\n")
    out = str(tmp_path / "out")
    begin = call("detect", "-p", str(profile), str(squares_clip), "--out", out, "--job-id", "a")
    assert begin.returncode == 0, begin.stderr
    stored = json.loads(call("jobs", "show", "a", "--json").stdout)["stored"]
    assert stored["database_bytes"] > 0
    assert stored["blob_bytes"] > stored["blobs"] > 0
    assert call("jobs", "prune", "--older-than", "0s").stdout == "a pruned\n"
    line = "stored: 0 bytes in the database, 0 bytes in 0 blobs"
    assert line in call("jobs", "show", "a").stdout.splitlines()


def test_cli_jobs_cancel_of_a_job_that_is_not_there_says_so() -> None:
    done = call("jobs", "cancel", "nope")
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no job 'nope'" in done.stderr


def test_cli_jobs_events_tells_each_run(tmp_path: Path, squares_clip: Path) -> None:
    profile = tmp_path / "p.yaml"
    profile.write_text("version: 1\nname: t\nstages: [sample_frames, report]\n")
    out = str(tmp_path / "out")
    call("detect", "-p", str(profile), str(squares_clip), "--out", out, "--job-id", "a")
    lines = [line.split("  ", 2) for line in call("jobs", "events", "a").stdout.splitlines()]
    assert {run for _, run, _ in lines} == {"run 1"}
    said = [text for *_, text in lines]
    assert said[0].startswith("began: process ")
    assert said[1] == "opened: 6.0 s, 150 frames of 320x240"
    assert said[2].startswith("sample_frames: 1 of 1 calls, ")
    assert said[-1] == "ended: done"
    data = json.loads(call("jobs", "events", "a", "--json").stdout)
    assert [event["at"] for event in data] == [at for at, *_ in lines]
