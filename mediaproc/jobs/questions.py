"""What a job waits for: questions that stages put to a person, and their answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langgraph.types import StateSnapshot


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that is open.

    Attributes:
        id: LangGraph's id of the interrupt, by which ``Command(resume={id: answer})`` answers it.
        node: the node that asks.
        payload: what it asks, as JSON values; of a review, ``kind``, ``question`` and ``items``.
    """

    id: str
    node: str
    payload: Any

    @property
    def items(self) -> list[dict[str, Any]]:
        """The items of a review; none of any other question."""
        return list(self.payload["items"]) if self._is_review() else []

    def __str__(self) -> str:
        if not self._is_review():
            return f"{self.node} asks a question"
        count = len(self.items)
        return f"{self.node} asks about {count} {'finding' if count == 1 else 'findings'}"

    def check(self, answer: Any) -> None:
        """ValueError where a review does not take the answer; others only their stage can check."""
        from mediaproc.detect.stages.asking.reviewing import read_answer

        if self._is_review():
            read_answer(answer, [item["id"] for item in self.items])

    def _is_review(self) -> bool:
        return isinstance(self.payload, dict) and self.payload.get("kind") == "review"


def asked(state: StateSnapshot) -> list[Asked]:
    """The questions that are open in the state of a job's graph, those of its segments included."""
    return [
        Asked(interrupt.id, task.name, interrupt.value)
        for task in state.tasks
        for interrupt in task.interrupts
    ]


def answered(state: StateSnapshot, answers: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the answers whose questions are open."""
    return {
        question.id: answers[question.id] for question in asked(state) if question.id in answers
    }
