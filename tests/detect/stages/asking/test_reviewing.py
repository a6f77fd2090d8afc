"""What a person's answer may look like, and what is said of one that is not."""

from __future__ import annotations

from typing import Any

import pytest

from mediaproc.detect.stages.asking.reviewing import Decision, read_answer

IDS = ["events:0", "detections:1"]
ACCEPT, REJECT, LEAVE = Decision("accept"), Decision("reject"), Decision("leave")


@pytest.mark.parametrize(
    ("answer", "first", "second", "who"),
    [
        ("accept", ACCEPT, ACCEPT, ""),
        ({"*": "reject"}, REJECT, REJECT, ""),
        ({"events:0": "reject", "detections:1": "accept"}, REJECT, ACCEPT, ""),
        ({"events:0": "reject", "*": "leave"}, REJECT, LEAVE, ""),
        ({"decisions": {"*": "accept"}, "by": "Ana"}, ACCEPT, ACCEPT, "Ana"),
        (
            {"events:0": {"label": "van"}, "*": {"decision": "accept", "note": "sure"}},
            Decision("correct", "van"),
            Decision("accept", "", "sure"),
            "",
        ),
    ],
    ids=["word", "rest", "each", "one", "by", "label"],
)
def test_reviewing_reads_an_answer(
    answer: Any, first: Decision, second: Decision, who: str
) -> None:
    assert read_answer(answer, IDS) == ({"events:0": first, "detections:1": second}, who)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (7, "an answer is a mapping of decisions, not 7"),
        ({}, "2 items are undecided: events:0, detections:1"),
        ({"events:0": "accept"}, "1 items are undecided: detections:1"),
        ({"events:1": "accept", "*": "leave"}, "no item 'events:1'; did you mean 'events:0'"),
        ({"*": "maybe"}, "'maybe' is not one of: accept, reject, leave, correct"),
        ({"*": {"label": "van"}}, "'*' takes accept, reject or leave, not a label"),
        ({"events:0": {"decision": "correct"}, "*": "leave"}, "a label goes with correct"),
        ({"events:0": {"decision": "accept", "label": "van"}}, "and correct with a label"),
        ({"events:0": {"lable": "van"}}, "decision, label and note, not 'lable'"),
        ({"decisions": {"*": "accept"}, "who": "Ana"}, "holds decisions and by, not 'who'"),
        ({"decisions": "accept"}, "decisions is a mapping, not 'accept'"),
        ({"events:0": 3}, "events:0: a decision is a word or a mapping, not 3"),
    ],
)
def test_reviewing_says_what_is_wrong_with_an_answer(answer: Any, said: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]*$") as caught:
        read_answer(answer, IDS)
    assert said in str(caught.value)
