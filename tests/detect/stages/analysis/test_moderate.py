"""Moderation: which sights a policy flags, how gravely, and as which moments."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from mediaproc.detect.analysis import analyze
from mediaproc.detect.models import ModelStore
from mediaproc.detect.profile import parse_profile
from mediaproc.detect.stages.analysis.policy import NUDENET, RuleError, parse_rules, policy_rules
from mediaproc.detect.tables import Detections, Matches, Transcript
from tests.detect.stages.made import box, call, place, problems, spoken, state

SEVERITIES = ["mild", "moderate", "severe"]


def sight(frame: int, label: str = "GUN", confidence: float = 0.9, **columns: Any) -> Any:
    row = {
        **place(frame),
        "label": label,
        "class_id": 0,
        "confidence": confidence,
        **box(10, 20, 30, 40),
        "polygon": None,
        "keypoints": None,
    }
    return {**row, **columns}


def moderated(*rows: Any, rules: Any = ("GUN >= 0.6: severe",), **config: Any) -> dict[str, Any]:
    made = state(range(0, 250, 5), detections=Detections.from_records(rows))
    return call("moderate", made, **{"policy": "none", "rules": list(rules), **config})


def moments(update: dict[str, Any]) -> list[tuple[str, float, float, str]]:
    return [
        (row["label"], row["start_s"], row["end_s"], row["details"]["severity"])
        for row in update["events"].records()
    ]


def test_moderate_joins_flagged_sights_into_moments() -> None:
    rows = [sight(f) for f in (0, 5, 30, 200)] + [sight(100, confidence=0.5), sight(0, "CAT")]
    assert moments(moderated(*rows, max_gap_s=0.8)) == [
        ("GUN", 0.0, 1.4, "severe"),
        ("GUN", 8.0, 8.2, "severe"),
    ]


def test_moderate_moment_is_an_event_with_its_evidence() -> None:
    rows = [sight(f, confidence=0.6 + f / 100) for f in (0, 5, 10, 15)] + [
        sight(15, confidence=0.7)
    ]
    (event,) = moderated(*rows, evidence=2)["events"].records()
    assert (event["kind"], event["score"], event["pts"], event["track_id"]) == ("flag", 0.75, 0, 0)
    assert (event["start_frame"], event["end_frame"]) == (0, 20)
    assert event["details"] == {
        "severity": "severe",
        "level": 3,
        "source": "detections",
        "sights": 4,
        "evidence": [
            {"frame_index": 10, "time_s": 0.4, "score": 0.7, "xyxy": [10.0, 20.0, 30.0, 40.0]},
            {"frame_index": 15, "time_s": 0.6, "score": 0.75, "xyxy": [10.0, 20.0, 30.0, 40.0]},
        ],
    }


def test_moderate_of_several_rules_the_gravest_that_holds_counts() -> None:
    rules = ["GUN >= 0.8: severe", "GUN >= 0.3: mild"]
    assert moments(moderated(sight(0, confidence=0.5), rules=rules))[0][3] == "mild"
    rows = [sight(0, confidence=0.5), sight(5, confidence=0.85)]
    assert moments(moderated(*rows, rules=rules)) == [("GUN", 0.0, 0.4, "severe")]


def test_moderate_min_sights_drops_what_was_seen_once() -> None:
    rows = [sight(0), sight(0), sight(100), sight(105)]
    assert [m[1] for m in moments(moderated(*rows, min_sights=2))] == [4.0]


def test_moderate_sums_up_each_label() -> None:
    rows = [sight(0), sight(100, confidence=0.7)]
    (total,) = moderated(*rows)["totals"].records()
    assert (total["topic"], total["label"]) == ("flag", "GUN")
    assert total["values"] == {
        "severity": "severe",
        "source": "detections",
        "moments": 2,
        "seconds": 0.4,
        "first_s": 0.0,
        "max_score": 0.9,
    }


def test_moderate_rules_about_matches_see_score_times_confidence() -> None:
    row = {
        **place(5),
        "label": "insults",
        "alias": "numpty",
        "text": "you NUMPTY",
        "source": "texts",
        "score": 0.9,
        "confidence": 0.8,
        **box(0, 0, 9, 9),
    }
    made = state(range(0, 250, 5), matches=Matches.from_records([row]))
    for least, count in ((0.72, 1), (0.73, 0)):
        update = call("moderate", made, policy="none", rules=[f"matches.insults >= {least}: mild"])
        assert len(update["events"]) == count
    (event,) = call("moderate", made, policy="none", rules=["matches.insults: mild"])[
        "events"
    ].records()
    assert event["details"]["evidence"][0]["text"] == "you NUMPTY"


def test_moderate_rules_about_the_transcript_flag_whole_words_for_as_long_as_the_phrase() -> None:
    phrases = [spoken(13, 63, "Shut up, please"), spoken(100, 150, "shutter upset")]
    made = state(range(0, 250, 5), transcript=Transcript.from_records(phrases))
    update = call("moderate", made, policy="none", rules=["transcript.shut up >= 0.5: mild"])
    assert moments(update) == [("shut up", 0.52, 2.52, "mild")]
    assert update["events"].records()[0]["end_frame"] == 63


@pytest.mark.parametrize("sampled", [range(0), range(1)])
def test_moderate_without_findings_is_two_empty_tables(sampled: range) -> None:
    made = state(sampled, frame_count=1, detections=Detections.empty())
    update = call("moderate", made)
    assert (len(update["events"]), len(update["totals"])) == (0, 0)


# ---- policies and rules


def test_moderate_default_policy_names_labels_that_nudenet_has(tmp_path: Path) -> None:
    names = ModelStore(tmp_path).class_names("pkg:nudenet/320n.onnx").values()
    assert {rule.label for rule in parse_rules(NUDENET, SEVERITIES)} <= set(names)


def test_moderate_own_rules_take_the_place_of_those_of_the_policy() -> None:
    rules = policy_rules("nudenet", ["BELLY_EXPOSED >= 0.9: severe"], SEVERITIES)
    assert [(r.least, r.level) for r in rules if r.label == "BELLY_EXPOSED"] == [(0.9, 3)]
    assert len(rules) == len(NUDENET)


@pytest.mark.parametrize(
    ("line", "source", "label", "least"),
    [
        ("GUN: mild", "detections", "GUN", 0.0),
        ("GUN>=.5:mild", "detections", "GUN", 0.5),
        ("Dr. Oetker >= 1: mild", "detections", "Dr. Oetker", 1.0),
        ("matches.Dr. Oetker: mild", "matches", "Dr. Oetker", 0.0),
        ("frame_labels.a:b >= 0.25: mild", "frame_labels", "a:b", 0.25),
        ("transcript.shut up: mild", "transcript", "shut up", 0.0),
    ],
)
def test_policy_rule_is_read(line: str, source: str, label: str, least: float) -> None:
    (rule,) = parse_rules([line], SEVERITIES)
    assert (rule.source, rule.label, rule.least, rule.level) == (source, label, least, 1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("GUN >= 0.6", "'GUN >= 0.6' is not of the form 'LABEL >= 0.6: severity'"),
        ("GUN > 0.6: mild", "is not of the form"),
        ("GUN >= 6: mild", "scores lie in 0..1"),
        ("GUN >= high: mild", "is not of the form"),
        (": mild", "is not of the form"),
        ("GUN: grave", "there is no severity 'grave'; there are mild, moderate, severe"),
    ],
)
def test_policy_rule_that_cannot_be_read_is_told(line: str, message: str) -> None:
    with pytest.raises(RuleError, match=re.escape(message)):
        parse_rules([line], SEVERITIES)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"policy": "none"}, "rules: give at least one rule, or a policy"),
        ({"rules": ["GUN"]}, "rules: 'GUN' is not of the form"),
        ({"rules": ["transcript.!!: mild"]}, "rules: '!!' holds no letter and no digit"),
        ({"severities": []}, "severities: name each one once"),
        ({"severities": ["bad"]}, "severities: policy 'nudenet' needs mild, moderate, severe"),
    ],
)
def test_moderate_settings_that_cannot_work_are_told(config: Any, message: str) -> None:
    assert message in "\n".join(problems("moderate", **config))


@pytest.mark.parametrize(
    ("rules", "missing"),
    [
        ("GUN: mild", "detections"),
        ("matches.X: mild", "matches"),
        ("transcript.x: mild", "transcript"),
    ],
)
def test_moderate_needs_what_its_rules_are_about(rules: str, missing: str) -> None:
    profile = parse_profile(
        "version: 1\nname: t\nstages:\n  - sample_frames\n"
        f"  - moderate: {{policy: none, rules: ['{rules}']}}\n"
    )
    (problem,) = analyze(profile).problems
    assert f"reads '{missing}', which no earlier stage writes" in problem.message
