"""The rules of a policy: what is flagged, and how badly."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Where labels come from; a rule that names none is about detections.
SOURCES = ("detections", "frame_labels", "matches", "transcript")

_FORM = "'LABEL >= 0.6: severity' or 'SOURCE.LABEL >= 0.6: severity'"
_RULE = re.compile(
    r"(?:(?P<source>[a-z_]+)\.)?(?P<label>.*\S)\s*:\s*(?P<severity>[^:\s][^:]*?)\s*\Z"
)
_LEAST = re.compile(r"(?P<label>.*\S)\s*>=\s*(?P<least>\d+(?:\.\d+)?|\.\d+)\Z")

# Labels of nudenet's detector, gravest first. Its covered parts, faces and feet are no matter.
NUDENET = (
    "FEMALE_GENITALIA_EXPOSED >= 0.4: severe",
    "MALE_GENITALIA_EXPOSED >= 0.4: severe",
    "ANUS_EXPOSED >= 0.4: severe",
    "FEMALE_BREAST_EXPOSED >= 0.5: severe",
    "BUTTOCKS_EXPOSED >= 0.5: moderate",
    "FEMALE_GENITALIA_COVERED >= 0.6: mild",
    "FEMALE_BREAST_COVERED >= 0.7: mild",
    "BUTTOCKS_COVERED >= 0.7: mild",
    "BELLY_EXPOSED >= 0.7: mild",
    "MALE_BREAST_EXPOSED >= 0.7: mild",
)
POLICIES = {"none": (), "nudenet": NUDENET}


class RuleError(ValueError):
    """A rule that cannot be read."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        source: channel that the label is of.
        label: the label; of a transcript, the words.
        least: lowest score that is flagged, 0..1.
        level: how bad it is: the place of its severity among the severities, from 1.
    """

    source: str
    label: str
    least: float
    level: int


def parse_rules(lines: Iterable[str], severities: Sequence[str]) -> list[Rule]:
    """The rules of a profile.

    Args:
        lines: one rule each.
        severities: their names, from the mildest to the gravest.

    Raises:
        RuleError: one is not of the form, or names a severity that there is not.
    """
    return [_rule(line, severities) for line in lines]


def policy_rules(policy: str, own: Sequence[str], severities: Sequence[str]) -> list[Rule]:
    """The rules of a shipped policy and one's own, which take the place of those of one label."""
    rules = parse_rules(own, severities)
    replaced = {(rule.source, rule.label) for rule in rules}
    shipped = parse_rules(POLICIES[policy], severities)
    return [*(rule for rule in shipped if (rule.source, rule.label) not in replaced), *rules]


def _rule(line: str, severities: Sequence[str]) -> Rule:
    found = _RULE.match(line.strip())
    if found is None:
        raise RuleError(f"{line!r} is not of the form {_FORM}")
    source, label = found["source"], found["label"]
    if source is not None and source not in SOURCES:
        # A dot may be part of a label.
        source, label = None, f"{source}.{label}"
    least = 0.0
    if bound := _LEAST.match(label):
        label, least = bound["label"], float(bound["least"])
    if least > 1 or any(sign in label for sign in "<>="):
        raise RuleError(f"{line!r} is not of the form {_FORM}; scores lie in 0..1")
    if found["severity"] not in severities:
        raise RuleError(
            f"{line!r}: there is no severity {found['severity']!r}; there are "
            f"{', '.join(severities)}"
        )
    return Rule(source or "detections", label, least, severities.index(found["severity"]) + 1)
