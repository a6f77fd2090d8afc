"""The parts of ``report`` about what was said, what was asked, and what was decided."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mediaproc.detect.findings import (
    AnswersFinding,
    Interval,
    PhraseFinding,
    ReviewsFinding,
    SpeechFinding,
)
from mediaproc.detect.rows import Rows
from mediaproc.detect.state import DetectState

READS = ("speech", "transcript", "answers", "reviews")


def voices(state: DetectState) -> dict[str, Any]:
    """Those fields of the report."""
    return {
        "speech": [_speech(node, rows) for node, rows in _by_node(state, "speech")],
        "transcript": [
            PhraseFinding(
                node=row["node"],
                start_s=round(row["start_s"], 3),
                end_s=round(row["end_s"], 3),
                text=row["text"],
                language=row["language"],
                confidence=round(row["confidence"], 4),
            )
            for row in _records(state, "transcript")
        ],
        "answers": [_answers(node, rows) for node, rows in _by_node(state, "answers")],
        "reviews": [_reviews(node, rows) for node, rows in _by_node(state, "reviews")],
    }


def _speech(node: str, rows: list[dict[str, Any]]) -> SpeechFinding:
    spans = [(row["start_s"], row["end_s"]) for row in rows]
    return SpeechFinding(
        node=node,
        seconds=round(sum(end - start for start, end in spans), 3),
        when=[Interval(start_s=round(start, 3), end_s=round(end, 3)) for start, end in spans],
    )


def _answers(node: str, rows: list[dict[str, Any]]) -> AnswersFinding:
    counts = Counter(row["answer"] for row in rows)
    kinds = ("yes", "no", "unsure", "unreadable", "not_asked")
    return AnswersFinding(
        node=node,
        model=rows[0]["model"],
        **{kind: counts[kind] for kind in kinds},
        input_tokens=sum(row["input_tokens"] for row in rows),
        output_tokens=sum(row["output_tokens"] for row in rows),
        cost=round(sum(row["cost"] for row in rows), 6),
    )


def _reviews(node: str, rows: list[dict[str, Any]]) -> ReviewsFinding:
    counts = Counter(row["decision"] for row in rows)
    return ReviewsFinding(
        node=node,
        accepted=counts["accept"],
        rejected=counts["reject"],
        corrected=counts["correct"],
        left=counts["leave"],
        by=sorted({row["by"] for row in rows if row["by"]}),
    )


def _records(state: DetectState, channel: str) -> list[dict[str, Any]]:
    table: Rows | None = state.get(channel)  # type: ignore[assignment]
    return [] if table is None else table.records()


def _by_node(state: DetectState, channel: str) -> list[tuple[str, list[dict[str, Any]]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in _records(state, channel):
        groups.setdefault(row["node"], []).append(row)
    return sorted(groups.items())
