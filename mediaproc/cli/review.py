"""``mediaproc review``."""

from __future__ import annotations

import getpass
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mediaproc.cli.common import USAGE, ProgressMode, fail, show_json
from mediaproc.errors import JobError, OutputError

if TYPE_CHECKING:
    from mediaproc.blobs import BlobStore
    from mediaproc.jobs import Asked

_KEYS = {"a": "accept", "r": "reject", "l": "leave"}


def review(
    job_id: Annotated[str, typer.Argument(help="A job that waits.")],
    accept: Annotated[
        str | None, typer.Option(metavar="IDS", help="Accept these items, or 'all'.")
    ] = None,
    reject: Annotated[
        str | None, typer.Option(metavar="IDS", help="Reject these items, or 'all'.")
    ] = None,
    leave: Annotated[
        str | None, typer.Option(metavar="IDS", help="Leave these items open, or 'all'.")
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A JSON file of decisions by item, '-' for stdin."),
    ] = None,
    node: Annotated[str | None, typer.Option(help="The node to answer, where several ask.")] = None,
    by: Annotated[str | None, typer.Option(help="Who decides [default: the user's name].")] = None,
    pictures: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the items' pictures there first.")
    ] = None,
    only_list: Annotated[
        bool, typer.Option("--list", help="Show what is asked, and answer nothing.")
    ] = False,
    progress: Annotated[ProgressMode, typer.Option(help="How progress is shown.")] = (
        ProgressMode.AUTO
    ),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what is asked, or the job, as JSON.")
    ] = False,
) -> None:
    """Answer what a job waits for, item by item or at once, and let it go on."""
    from mediaproc.cli.common import open_workspace, refuse_finished, run_job

    workspace = open_workspace()
    job = workspace.job(job_id)
    refuse_finished(job)
    question = _chosen(workspace.questions(job), job_id, node)
    if pictures is not None:
        _write_pictures(question, workspace.blobs, pictures)
    if only_list:
        show_json(question.payload) if as_json else _print(question)
        return
    words = {"accept": accept, "reject": reject, "leave": leave}
    if answers is not None:
        if any(words.values()):
            fail("mediaproc: --answers goes without --accept, --reject and --leave")
            raise typer.Exit(USAGE)
        answer = _read(answers)
    elif not question.items:
        _print(question)
        raise JobError(f"job {job_id}: {question.node} asks no review: give --answers FILE")
    elif any(words.values()):
        answer = _named(words)
    else:
        answer = _talk(question)
    if question.items and not (isinstance(answer, dict) and "decisions" in answer):
        answer = {"decisions": answer if isinstance(answer, dict) else {"*": answer}}
    if question.items and isinstance(answer, dict):
        answer = {"by": by or _user(), **answer}
    job = workspace.answer(job_id, question.node, answer)
    raise typer.Exit(run_job(workspace, job, progress, as_json=as_json))


def _user() -> str:
    """Who runs this; nobody where the system knows no name, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _chosen(questions: list[Asked], job_id: str, node: str | None) -> Asked:
    if not questions:
        raise JobError(f"job {job_id} asks nothing; go on with it by: mediaproc resume {job_id}")
    nodes = ", ".join(question.node for question in questions)
    if node is None and len(questions) > 1:
        raise JobError(f"job {job_id}: several nodes ask: {nodes}; say which: --node NODE")
    for question in questions:
        if node in (None, question.node):
            return question
    raise JobError(f"job {job_id}: node {node!r} asks nothing; these do: {nodes}")


def _named(words: dict[str, str | None]) -> dict[str, str]:
    """Decisions out of ``--accept``, ``--reject`` and ``--leave``."""
    found: dict[str, str] = {}
    for decision, ids in words.items():
        for item in (ids or "").split(","):
            item = "*" if item.strip() == "all" else item.strip()
            if item in found:
                name = "all" if item == "*" else item
                raise JobError(f"{name}: cannot be both {found[item]} and {decision}")
            if item:
                found[item] = decision
    return found


def _talk(question: Asked) -> dict[str, Any]:
    """Decisions, item by item, from whoever sits there."""
    fail(question.payload["question"])
    fail("  [a]ccept, [r]eject, [l]eave open, or the right label after an equals sign (=van)")
    found: dict[str, Any] = {}
    for item in question.items:
        while True:
            # Not as the prompt of input(), which goes to stdout.
            print(_line(item), end="  > ", file=sys.stderr, flush=True)
            try:
                said = input().strip()
            except EOFError:
                raise JobError("no more input: nothing was answered") from None
            if said in _KEYS or said in _KEYS.values():
                found[item["id"]] = _KEYS.get(said, said)
                break
            if said.startswith("=") and said[1:].strip():
                found[item["id"]] = {"label": said[1:].strip()}
                break
            fail(f"  {said!r} is none of: a, r, l, =LABEL")
    return found


def _read(path: Path) -> Any:
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text()
        return json.loads(text)
    except (OSError, ValueError) as error:
        raise JobError(f"{path}: cannot be read as JSON: {error}") from error


def _print(question: Asked) -> None:
    if not question.items:
        show_json(question.payload)
        return
    print(question.payload["question"])
    if "problem" in question.payload:
        print(f"the answer before was not taken: {question.payload['problem']}")
    for item in question.items:
        print(_line(item))


def _line(item: dict[str, Any]) -> str:
    minutes, seconds = divmod(item["time_s"], 60)
    kind = f" {item['kind']}" if item["kind"] else ""
    parts = [f"{item['id']}  {int(minutes):02}:{seconds:06.3f}{kind}  {item['label']}"]
    if item["text"] and item["text"] != item["label"]:
        parts.append(repr(item["text"]))
    parts.append(f"{item['confidence']:.2f} by {item['maker']}")
    if item["sights"] > 1:
        parts.append(f"{item['sights']} sights")
    if item["opinion"] is not None:
        opinion = item["opinion"]
        parts.append(f"{opinion['model']}: {opinion['answer']} ({opinion['reason']})")
    return "  ".join(parts)


def _write_pictures(question: Asked, blobs: BlobStore, folder: Path) -> None:
    from mediaproc.blobs import BlobRef

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for item in question.items:
            path = folder / f"{item['id'].replace(':', '-')}.jpg"
            path.write_bytes(blobs.get(BlobRef.from_json(item["crop"])))
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror}") from error
    fail(f"mediaproc: {len(question.items)} pictures in {folder}")
