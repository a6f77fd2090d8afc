"""The report tells what was said, what was asked and what was decided, in numbers."""

from __future__ import annotations

from typing import Any

from mediaproc.detect.findings import AnswersFinding, Interval, ReviewsFinding, SpeechFinding
from mediaproc.detect.rows import Rows
from mediaproc.detect.stages.reporting.report_voices import voices
from mediaproc.detect.tables import Answers, Reviews, Speech, Transcript

EMPTY = {"int": 0, "float": 0.0, "str": "", "json": None}


def table(kind: type[Rows], *rows: dict[str, Any]) -> Rows:
    """Rows of a kind that say this, and otherwise nothing."""
    nothing = {column.name: EMPTY[column.kind] for column in kind.columns}
    return kind.from_records([{**nothing, "node": "n", **row} for row in rows])


def test_report_counts_answers_and_what_the_budget_left_out() -> None:
    said = ["yes", "yes", "no", "unsure", "unreadable", "not_asked", "not_asked"]
    rows = [{"answer": word, "model": "a:b", "input_tokens": 10, "cost": 0.1} for word in said]
    (found,) = voices({"answers": table(Answers, *rows)})["answers"]  # type: ignore[typeddict-item]
    assert found == AnswersFinding(
        node="n",
        model="a:b",
        yes=2,
        no=1,
        unsure=1,
        unreadable=1,
        not_asked=2,
        input_tokens=70,
        output_tokens=0,
        cost=0.7,
    )


def test_report_counts_decisions_and_names_who_made_them() -> None:
    rows = [
        {"decision": "accept", "by": "Ana"},
        {"decision": "reject", "by": "a:b"},
        {"decision": "correct", "by": "Ana"},
        {"decision": "leave"},
    ]
    (found,) = voices({"reviews": table(Reviews, *rows)})["reviews"]  # type: ignore[typeddict-item]
    assert found == ReviewsFinding(
        node="n", accepted=1, rejected=1, corrected=1, left=1, by=["Ana", "a:b"]
    )


def test_report_sums_speech() -> None:
    rows = [{"start_s": 1.0, "end_s": 2.5}, {"start_s": 4.0, "end_s": 5.0}]
    (found,) = voices({"speech": table(Speech, *rows)})["speech"]  # type: ignore[typeddict-item]
    when = [Interval(start_s=1.0, end_s=2.5), Interval(start_s=4.0, end_s=5.0)]
    assert found == SpeechFinding(node="n", seconds=2.5, when=when)


def test_report_holds_what_was_said() -> None:
    row = {"start_s": 1.0, "end_s": 2.0, "text": "Good evening", "language": "en"}
    found = voices({"transcript": table(Transcript, row)})  # type: ignore[typeddict-item]
    assert [phrase.text for phrase in found["transcript"]] == ["Good evening"]
