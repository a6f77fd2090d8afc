"""What a person says to a review, read and checked: for the stage, the command line and others.

An answer is ``"accept"``, ``"reject"`` or ``"leave"`` for everything, or says it item by item::

    {"decisions": {"detections:3": "accept",
                   "detections:7": {"label": "van", "note": "seen from behind"},
                   "*": "leave"},
     "by": "Ana"}

``*`` stands for all that are not named. The mapping of decisions may also stand alone.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

KIND = "review"
REST = "*"
ACCEPT, REJECT, CORRECT, LEAVE = "accept", "reject", "correct", "leave"

_WHOLE = (ACCEPT, REJECT, LEAVE)
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about an item.

    Attributes:
        decision: ``accept``, ``reject``, ``correct`` or ``leave``.
        label: what it is instead, where it is corrected, else "".
        note: what the person adds, or "".
    """

    decision: str
    label: str = ""
    note: str = ""


def read_answer(answer: Any, ids: Sequence[str]) -> tuple[dict[str, Decision], str]:
    """The decision about each item, and who made them.

    Args:
        answer: as a person or a program gave it.
        ids: of all items that were asked about.

    Raises:
        ValueError: the answer is not of the form above, or leaves items open; in one line.
    """
    by = ""
    if isinstance(answer, str):
        answer = {REST: answer}
    if not isinstance(answer, Mapping):
        raise ValueError(f"an answer is a mapping of decisions, not {_shown(answer)}")
    if "decisions" in answer:
        stray = sorted(set(answer) - {"decisions", "by"})
        if stray:
            raise ValueError(f"an answer holds decisions and by, not {stray[0]!r}")
        by, answer = str(answer.get("by", "")), answer["decisions"]
        if not isinstance(answer, Mapping):
            raise ValueError(f"decisions is a mapping, not {_shown(answer)}")
    found = {str(item): _decision(str(item), said) for item, said in answer.items()}
    for item in found:
        if item != REST and item not in ids:
            near = difflib.get_close_matches(item, ids, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"there is no item {item!r}{hint}")
    rest = found.get(REST)
    if rest is not None and rest.decision == CORRECT:
        raise ValueError("'*' takes accept, reject or leave, not a label")
    open_ids = [item for item in ids if item not in found]
    if rest is None and open_ids:
        named = ", ".join(open_ids[:_MOST_NAMED])
        more = ", ..." if len(open_ids) > _MOST_NAMED else ""
        raise ValueError(f"{len(open_ids)} items are undecided: {named}{more}")
    return {item: found.get(item) or rest or Decision(LEAVE) for item in ids}, by


def _decision(item: str, said: Any) -> Decision:
    if isinstance(said, str):
        said = {"decision": said}
    if not isinstance(said, Mapping):
        raise ValueError(f"{item}: a decision is a word or a mapping, not {_shown(said)}")
    stray = sorted(set(said) - {"decision", "label", "note"})
    if stray:
        raise ValueError(f"{item}: a decision holds decision, label and note, not {stray[0]!r}")
    label = str(said.get("label", ""))
    decision = said.get("decision", CORRECT if label else None)
    if decision not in (*_WHOLE, CORRECT):
        raise ValueError(
            f"{item}: {_shown(decision)} is not one of: accept, reject, leave, correct"
        )
    if (decision == CORRECT) != bool(label):
        raise ValueError(f"{item}: a label goes with correct, and correct with a label")
    return Decision(decision, label, str(said.get("note", "")))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
