"""``moderate``: what of a video is flagged under a policy, how badly, and when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mediaproc.detect.stages.analysis.policy import (
    POLICIES,
    SOURCES,
    Rule,
    RuleError,
    parse_rules,
    policy_rules,
)
from mediaproc.detect.stages.analysis.sampled_time import SampledTime, Sight, Stretch
from mediaproc.detect.stages.analysis.terms import Alias, TermError, TermFinder, parse_terms
from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO
from mediaproc.detect.stages.channels import EVENTS, TOTALS, tables_serializers
from mediaproc.detect.state import DetectState
from mediaproc.detect.tables import Events, Totals

_BOX = ("x1", "y1", "x2", "y2")
Row = dict[str, Any]


def moderate(state: DetectState, *, config: dict[str, Any]) -> dict[str, Any]:
    """Hold every finding against the rules, and join what is flagged into moments."""
    time, severities = SampledTime.of(state), config["severities"]
    rules = policy_rules(config["policy"], config["rules"], severities)
    events: list[Row] = []
    totals: list[Row] = []
    for (source, label), mine in sorted(_by_label(rules).items()):
        sights = list(_sights(state, source, mine))
        moments = [
            _moment(source, label, stretch, severities, config["evidence"])
            for stretch in time.stretches(sights, config["max_gap_s"])
            if len({sight.frame for sight in stretch.sights}) >= config["min_sights"]
        ]
        events += moments
        if moments:
            totals.append(_total(label, moments, severities))
    events.sort(key=lambda event: (event["start_frame"], event["label"]))
    return {"events": Events.from_records(events), "totals": Totals.from_records(totals)}


def check(config: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """What is wrong with the rules."""
    severities = config["severities"]
    if not severities or len(set(severities)) < len(severities):
        yield "severities", "name each one once, from the mildest to the gravest"
        return
    try:
        parse_rules(POLICIES[config["policy"]], severities)
    except RuleError:
        needed = "mild, moderate, severe"
        yield "severities", f"policy {config['policy']!r} needs {needed}; add them, or policy: none"
        return
    for line in config["rules"]:
        try:
            (rule,) = parse_rules([line], severities)
            if rule.source == "transcript":
                parse_terms([rule.label])
        except (RuleError, TermError) as error:
            yield "rules", str(error)
    if not config["rules"] and not POLICIES[config["policy"]]:
        yield "rules", "give at least one rule, or a policy"


def uses(config: dict[str, Any]) -> dict[str, bool]:
    """What rules are about must be there, and the rest is not read."""
    try:
        rules = policy_rules(config["policy"], config["rules"], config["severities"])
    except RuleError:  # ``check`` has said so
        return {}
    named = {rule.source for rule in rules}
    return {source: source in named for source in SOURCES}


def _by_label(rules: list[Rule]) -> dict[tuple[str, str], list[Rule]]:
    found: dict[tuple[str, str], list[Rule]] = {}
    for rule in rules:
        found.setdefault((rule.source, rule.label), []).append(rule)
    return found


def _sights(state: DetectState, source: str, rules: list[Rule]) -> Iterator[Sight]:
    """What is flagged under the rules of one label, with its score and how grave it is."""
    label = rules[0].label
    if source == "transcript":
        rows = _said(state, label)
    else:
        records = state[source].records()  # type: ignore[literal-required]
        rows = (row for row in records if row["label"] == label)
    for row in rows:
        score = row["confidence"] * row.get("score", 1.0)
        level = max((rule.level for rule in rules if score >= rule.least), default=0)
        if level:
            seen = {"level": level, "score": score, "row": row}
            yield Sight(row["frame_index"], row["pts"], row["time_s"], seen)


def _said(state: DetectState, words: str) -> Iterator[Row]:
    """The phrases in which these words are said, letter for letter and whole."""
    alias: Alias = parse_terms([words])[0]
    finder = TermFinder([alias], 1.0, False)
    for row in state["transcript"].records():
        if finder.find(row["text"]):
            yield {**row, "frame_index": row["start_frame"], "time_s": row["start_s"]}


def _moment(source: str, label: str, stretch: Stretch, severities: list[str], most: int) -> Row:
    seen = [sight.row for sight in stretch.sights]
    score, level = max(row["score"] for row in seen), max(row["level"] for row in seen)
    best: dict[int, Sight] = {}
    for sight in stretch.sights:
        known = best.get(sight.frame)
        if known is None or sight.row["score"] > known.row["score"]:
            best[sight.frame] = sight
    evidence = sorted(best.values(), key=lambda sight: (-sight.row["score"], sight.frame))[:most]
    # What was said lasts as long as the phrase.
    end_s = max(stretch.end_s, *(sight.row["row"].get("end_s", 0.0) for sight in stretch.sights))
    end_frame = max(
        stretch.end_frame, *(sight.row["row"].get("end_frame", 0) for sight in stretch.sights)
    )
    return {
        "node": "",
        "kind": "flag",
        "label": label,
        "pts": stretch.sights[0].pts,
        "start_frame": stretch.start_frame,
        "end_frame": end_frame,
        "start_s": stretch.start_s,
        "end_s": end_s,
        "score": score,
        "track_id": 0,
        "details": {
            "severity": severities[level - 1],
            "level": level,
            "source": source,
            "sights": len(best),
            "evidence": [_evidence(sight) for sight in sorted(evidence, key=lambda s: s.frame)],
        },
    }


def _evidence(sight: Sight) -> Row:
    row = sight.row["row"]
    found: Row = {
        "frame_index": sight.frame,
        "time_s": round(sight.time_s, 3),
        "score": round(sight.row["score"], 4),
    }
    if all(side in row for side in _BOX) and row.get("source") != "transcript":
        found["xyxy"] = [round(row[side], 1) for side in _BOX]
    if "text" in row:
        found["text"] = row["text"]
    return found


def _total(label: str, moments: list[Row], severities: list[str]) -> Row:
    level = max(moment["details"]["level"] for moment in moments)
    values = {
        "severity": severities[level - 1],
        "source": moments[0]["details"]["source"],
        "moments": len(moments),
        "seconds": round(sum(moment["end_s"] - moment["start_s"] for moment in moments), 3),
        "first_s": round(min(moment["start_s"] for moment in moments), 3),
        "max_score": round(max(moment["score"] for moment in moments), 4),
    }
    return {"node": "", "topic": "flag", "label": label, "values": values}


_SERIALIZE, _DESERIALIZE = tables_serializers({"events": Events, "totals": Totals})

STAGE = StageDefinition(
    name="moderate",
    label="Moderate",
    description="Flags moments under a policy: rules over labels and scores, each with a severity.",
    io=StageIO(
        reads=["frames"],
        writes=["events", "totals"],
        optional_reads=list(SOURCES),
        merges=list(SOURCES),
    ),
    config_fields=[
        StageConfigField(
            "policy",
            "str",
            "nudenet",
            "Rules to begin with: those for the labels of nudenet's detector, or none.",
            options=list(POLICIES),
        ),
        StageConfigField(
            "rules",
            "list[str]",
            [],
            "Rules of your own, as 'LABEL >= 0.6: severe'. A label is one of detections, or "
            "'matches.BRAND', 'frame_labels.LABEL', 'transcript.words'. They take the place of "
            "the policy's rules for the same label; of several, the gravest that holds counts.",
        ),
        StageConfigField(
            "severities",
            "list[str]",
            ["mild", "moderate", "severe"],
            "Names of the severities, from the mildest to the gravest.",
        ),
        StageConfigField(
            "max_gap_s",
            "float",
            2.0,
            "Longest time without a sight within one moment, in seconds. Raising it makes fewer "
            "and longer moments.",
            min=0.0,
        ),
        StageConfigField(
            "min_sights",
            "int",
            1,
            "Fewest sampled frames of a moment. Raising it drops what was seen only once.",
            min=1,
        ),
        StageConfigField(
            "evidence",
            "int",
            3,
            "Most frames that a moment names, those of the highest score.",
            min=1,
        ),
    ],
    category="analysis",
    fn=moderate,
    check_fn=check,
    uses_fn=uses,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    scope="video",
    channels=[EVENTS, TOTALS],
)
