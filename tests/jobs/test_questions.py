"""A job waits for a person, in the database alone, and goes on with what they say."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import pyarrow.parquet as pq
import pytest
from langgraph.types import Command

from mediaproc.blobs import BlobRef
from mediaproc.cli import main
from mediaproc.detect.analysis import check
from mediaproc.detect.graph import build_graph
from mediaproc.detect.models import ModelStore
from mediaproc.detect.plan import Plan
from mediaproc.detect.profile import parse_profile
from mediaproc.errors import JobError, LeaseError
from mediaproc.jobs import Job, Workspace
from mediaproc.jobs.lease import Lease
from mediaproc.media import write_video
from tests.clips import photo

PROFILE = """
version: 1
name: t
nodes:
  frames: {stage: sample_frames, config: {fps: 1}}
  boxes:
    stage: detect_objects
    config: {model: "pkg:nudenet/320n.onnx", image_size: 320, min_confidence: 0.05}
  review: {stage: human_review, config: {low: 0.0, high: 1.0, same_s: 0}}
  report: {stage: report}
"""

# Goes on with a job in a process of its own, and kills it before the review hands on its result,
# when LangGraph has kept the answer and nothing else.
KILLED = """
import os, signal, sys
from mediaproc.detect.nodes import StageNode
from mediaproc.jobs import Workspace
from pathlib import Path
handed_on = StageNode._handed_on
def kill(self, *arguments):
    if self.node.id == "review":
        os.kill(os.getpid(), signal.SIGKILL)
    return handed_on(self, *arguments)
StageNode._handed_on = kill
workspace = Workspace(Path(sys.argv[1]), database=sys.argv[2])
workspace.run(workspace.store.get("w"))
"""


@pytest.fixture(scope="module")
def faces_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 s of a photograph of two men."""
    picture = cv2.resize(cv2.imread(str(photo("zidane"))), (640, 360))
    path = tmp_path_factory.mktemp("faces") / "faces.mp4"
    write_video(path, [picture] * 50, fps=Fraction(25), size_wh=(640, 360))
    return path


@pytest.fixture
def workspace(location: str, tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace(tmp_path / "home", database=location)
    yield opened
    opened.database.close()


@pytest.fixture
def waiting(workspace: Workspace, faces_clip: Path, tmp_path: Path) -> Job:
    """A job that has come to its review."""
    plan = check(parse_profile(PROFILE))
    out = str(tmp_path / "out")
    job = workspace.run(workspace.create(plan, str(faces_clip), job_id="w", out_dir=out))
    assert job.status == "waiting", job.error
    return job


def report_of(job: Job) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((Path(job.out_dir) / "report.json").read_text())
    return report


def test_questions_tell_what_a_waiting_job_asks(workspace: Workspace, waiting: Job) -> None:
    (question,) = workspace.questions(waiting)
    assert question.node == "review"
    assert str(question) == "review asks about 2 findings"
    assert all(workspace.blobs.get(BlobRef.from_json(i["crop"])) for i in question.items)


def test_questions_a_job_without_answers_goes_on_waiting(
    workspace: Workspace, waiting: Job
) -> None:
    again = workspace.run(waiting)
    assert (again.status, again.runs) == ("waiting", 1)


def test_questions_are_told_to_programs_that_follow_the_job(
    workspace: Workspace, waiting: Job
) -> None:
    workspace.store.update(replace(waiting, status="interrupted"))
    events: list[dict[str, Any]] = []
    workspace.run(waiting, on_event=events.append)
    (question,) = workspace.questions(waiting)
    said = {"type": "waiting", "job": "w", "questions": [{"id": question.id, "node": "review"}]}
    assert events[-1] == said


def test_questions_an_answered_job_goes_on_to_its_end(workspace: Workspace, waiting: Job) -> None:
    workspace.answer("w", "review", "reject")
    done = workspace.run(waiting)
    assert (done.status, done.answers) == ("done", {})
    assert report_of(done)["objects"] == []


def test_questions_results_hold_what_was_reviewed_once(workspace: Workspace, waiting: Job) -> None:
    (question,) = workspace.questions(waiting)
    workspace.answer("w", "review", {question.items[0]["id"]: {"label": "square"}, "*": "leave"})
    done = workspace.run(waiting)
    rows = pq.read_table(Path(done.out_dir) / "detections.parquet").to_pylist()
    assert {row["node"] for row in rows} == {"review"}
    assert "square" in {row["label"] for row in rows}


def test_questions_an_answer_is_checked_before_it_is_kept(
    workspace: Workspace, waiting: Job
) -> None:
    with pytest.raises(JobError, match="job w: there is no item 'detections:x'"):
        workspace.answer("w", "review", {"detections:x": "accept", "*": "leave"})
    assert workspace.run(waiting).status == "waiting"


def test_questions_only_nodes_that_ask_take_answers(workspace: Workspace, waiting: Job) -> None:
    with pytest.raises(JobError, match="job w: node 'boxes' asks nothing"):
        workspace.answer("w", "boxes", "accept")


def test_questions_of_a_job_that_runs_are_not_answered(workspace: Workspace, waiting: Job) -> None:
    with Lease(workspace.database, "w"), pytest.raises(LeaseError, match="w"):
        workspace.answer("w", "review", "accept")


def test_questions_an_answer_survives_a_kill_before_it_is_taken_in(
    workspace: Workspace, waiting: Job, location: str
) -> None:
    workspace.answer("w", "review", "reject")
    code = [sys.executable, "-c", KILLED, str(workspace.home), location]
    assert subprocess.run(code, check=False).returncode == -signal.SIGKILL
    done = workspace.run(workspace.job("w"))
    assert done.status == "done", done.error
    assert report_of(done)["objects"] == []


def test_questions_a_job_killed_before_it_said_that_it_waits_asks_again(
    workspace: Workspace, waiting: Job
) -> None:
    workspace.store.update(replace(waiting, status="running"))
    assert workspace.job("w").status == "interrupted"
    again = workspace.run(workspace.job("w"))
    assert again.status == "waiting"
    assert workspace.questions(again) == workspace.questions(waiting)


def test_questions_may_be_answered_through_the_graph(workspace: Workspace, waiting: Job) -> None:
    config: Any = {"configurable": {"thread_id": "w"}}
    with workspace.checkpointer() as saver:
        graph = build_graph(
            Plan.from_json(waiting.plan),
            blobs=workspace.blobs_of("w"),
            models=ModelStore(workspace.home / "models"),
            checkpointer=saver,
        )
        graph.invoke(Command(resume="perhaps"), config, durability="sync")
        (open_one,) = graph.get_state(config).interrupts
        assert "'perhaps' is not one of" in open_one.value["problem"]
        result = graph.invoke(Command(resume="reject"), config, durability="sync")
    assert result["report"]["objects"] == []
    # The job's own run finds nothing left to do, and writes the results.
    assert workspace.run(waiting).status == "done"


def test_questions_of_several_nodes_are_answered_one_by_one(
    workspace: Workspace, faces_clip: Path, tmp_path: Path
) -> None:
    two = PROFILE.replace(
        "  report:",
        "  other: {stage: human_review, config: {low: 0.0, high: 1.0, same_s: 0}, "
        "from: {detections: [boxes]}}\n  report:",
    ).replace("  review: {", "  review: {from: {detections: [boxes]}, ")
    plan = check(parse_profile(two))
    out = str(tmp_path / "out")
    job = workspace.run(workspace.create(plan, str(faces_clip), job_id="w", out_dir=out))
    assert [question.node for question in workspace.questions(job)] == ["review", "other"]
    workspace.answer("w", "other", "accept")
    job = workspace.run(job)
    assert (job.status, [q.node for q in workspace.questions(job)]) == ("waiting", ["review"])
    workspace.answer("w", "review", "accept")
    assert workspace.run(job).status == "done"


class Said(NamedTuple):
    """How a command ended, and what it wrote."""

    returncode: int
    stdout: str
    stderr: str


Cli = Callable[..., Said]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command in this process, with ``said`` as its input."""

    def run(*arguments: str, said: str = "") -> Said:
        monkeypatch.setattr(sys, "argv", ["mediaproc", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(said))
        with pytest.raises(SystemExit) as ended:
            main()
        wrote = capsys.readouterr()
        return Said(int(ended.value.code or 0), wrote.out, wrote.err)

    return run


@pytest.fixture(scope="module")
def begun(faces_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """A home with a job that came to wait, where its results go, and what was said."""
    folder = tmp_path_factory.mktemp("begun")
    (folder / "p.yaml").write_text(PROFILE)
    out = folder / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDIAPROC_HOME", str(folder / "home"))
        command = [sys.executable, "-m", "mediaproc", "detect", "-p", str(folder / "p.yaml")]
        command += [str(faces_clip), "--job-id", "w", "--out", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    return folder / "home", out, done.stderr


@pytest.fixture
def results(begun: tuple[Path, Path, str]) -> Path:
    """Where the results of the waiting job go that the test's own home holds."""
    home, out, _ = begun
    shutil.copytree(home, os.environ["MEDIAPROC_HOME"], dirs_exist_ok=True)
    shutil.rmtree(out, ignore_errors=True)
    return out


def test_questions_the_command_line_says_how_to_answer(
    begun: tuple[Path, Path, str], results: Path, cli: Cli
) -> None:
    said = begun[2]
    assert "mediaproc: w goes on once it is answered: mediaproc review w" in said
    resumed = cli("resume", "w")
    assert resumed.returncode == 4
    assert "mediaproc review w" in resumed.stderr
    (job,) = json.loads(cli("jobs", "list", "--json").stdout)
    assert job["status"] == "waiting"
    shown = json.loads(cli("jobs", "show", "w", "--json").stdout)
    assert shown["asks"][0]["node"] == "review"


def test_questions_are_answered_one_after_the_other(
    results: Path, tmp_path: Path, cli: Cli
) -> None:
    listed = cli("review", "w", "--list", "--json", "--pictures", str(tmp_path / "pictures"))
    items = json.loads(listed.stdout)["items"]
    assert len(list((tmp_path / "pictures").glob("*.jpg"))) == len(items)
    done = cli("review", "w", said="what\n=square\n" + "r\n" * (len(items) - 1))
    assert done.returncode == 0, done.stderr
    assert "'what' is none of: a, r, l, =LABEL" in done.stderr
    labels = [
        found["label"] for found in json.loads((results / "report.json").read_text())["objects"]
    ]
    assert labels == ["square"]


@pytest.mark.parametrize(
    ("arguments", "said", "left"),
    [
        (["--accept", "all", "--by", "Ana"], "", True),
        (["--reject", "all"], "", False),
        (["--answers", "-"], '{"*": "reject"}', False),
    ],
    ids=["accept", "reject", "file"],
)
def test_questions_are_answered_all_at_once(
    results: Path, cli: Cli, arguments: list[str], said: str, left: bool
) -> None:
    done = cli("review", "w", *arguments, said=said)
    assert done.returncode == 0, done.stderr
    assert bool(json.loads((results / "report.json").read_text())["objects"]) == left


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["w", "--accept", "x"], 1, "job w: there is no item 'x'"),
        (["w", "--node", "boxes", "--accept", "all"], 1, "node 'boxes' asks nothing; these do: r"),
        (["w", "--answers", "none.json"], 1, "none.json: cannot be read as JSON"),
        (["w", "--answers", "-", "--accept", "all"], 2, "--answers goes without --accept"),
        (["w"], 1, "no more input: nothing was answered"),
        (["v"], 1, "there is no job 'v'"),
    ],
    ids=["item", "node", "file", "both", "silence", "job"],
)
def test_questions_the_command_line_refuses_in_one_line(
    results: Path, cli: Cli, arguments: list[str], code: int, said: str
) -> None:
    done = cli("review", *arguments)
    assert (done.returncode, said in done.stderr.splitlines()[-1]) == (code, True)
