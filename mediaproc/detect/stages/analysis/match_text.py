"""``match_text``: brands and words of a list, in what was read on screen or said."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from mediaproc.detect.stages.analysis.terms import Alias, Hit, TermError, TermFinder, parse_terms
from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO, StageNeeds
from mediaproc.detect.stages.channels import MATCHES, table_serializers
from mediaproc.detect.state import DetectState, Segment
from mediaproc.detect.tables import Matches
from mediaproc.errors import StageError

# A line that is this many times as high as it is wide runs from top to bottom.
_UPRIGHT = 1.5


def match_text(state: DetectState, *, config: dict[str, Any]) -> dict[str, Any]:
    """Look for the terms in every line of the segment."""
    finder = TermFinder(_terms(config), config["min_score"], config["inside_words"])
    lines: list[dict[str, Any]] = []
    for source in config["of"]:
        records = state[source].records()  # type: ignore[literal-required]
        lines += records if source == "texts" else _said(records, state["segment"])
    rows = [row for line in lines for row in _rows(line, finder.find(line["text"]))]
    rows.sort(key=lambda row: row["frame_index"])
    return {"matches": Matches.from_records(rows)}


def check(config: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """What is wrong with the terms and with where to look for them."""
    if not config["of"]:
        yield "of", "name texts, transcript or both"
    if not config["terms"] and not config["terms_file"]:
        yield "terms", "name at least one, or give a terms_file"
    try:
        parse_terms(config["terms"], match_label=config["match_label"])
    except TermError as error:
        yield "terms", str(error)


def prepare(*, config: dict[str, Any]) -> None:
    """Read the list."""
    _terms(config)


def identity(*, config: dict[str, Any]) -> dict[str, Any]:
    """What the list holds, and the release of the comparison."""
    found = {"rapidfuzz": version("rapidfuzz")}
    if config["terms_file"]:
        found["terms_file"] = hashlib.sha256(_read(config["terms_file"]).encode()).hexdigest()
    return found


def _terms(config: dict[str, Any]) -> list[Alias]:
    name = config["terms_file"]
    lines = [*config["terms"], *(_read(name).splitlines() if name else ())]
    try:
        aliases = parse_terms(lines, match_label=config["match_label"])
    except TermError as error:
        raise StageError(f"match_text: {name or 'terms'}: {error}") from error
    if not aliases:
        raise StageError(f"match_text: {name} names no term")
    return aliases


def _read(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise StageError(f"match_text: terms_file {name} cannot be read: {error}") from error


def _said(records: Iterable[dict[str, Any]], segment: Segment) -> Iterator[dict[str, Any]]:
    """What is said from a frame of the segment on, so that each phrase is of one segment."""
    for record in records:
        position = record["start_frame"] - segment.start_frame
        if 0 <= position < len(segment.pts):
            yield {
                "source": "transcript",
                "frame_index": record["start_frame"],
                "pts": int(segment.pts[position]),
                "time_s": float(segment.time_s[position]),
                "text": record["text"],
                "confidence": record["confidence"],
            }


def _rows(line: dict[str, Any], hits: Iterable[Hit]) -> Iterator[dict[str, Any]]:
    for hit in hits:
        x1, y1, x2, y2 = _box(line, hit)
        yield {
            "node": "",
            "frame_index": line["frame_index"],
            "pts": line["pts"],
            "time_s": line["time_s"],
            "label": hit.alias.label,
            "alias": hit.alias.text,
            "text": line["text"],
            "source": line.get("source", "texts"),
            "score": hit.score,
            "confidence": line["confidence"],
            "x1": x1,
            "y1": y1,
            "x2": x2,
            "y2": y2,
        }


def _box(line: dict[str, Any], hit: Hit) -> tuple[float, float, float, float]:
    """The upright box of the words that were found.

    They are taken to fill as much of the line's width as of its characters, since the reader
    tells where a line stands and not where its words do. Of a line that runs from top to bottom,
    it is the box of the line.
    """
    if "quad" not in line:
        return 0.0, 0.0, 0.0, 0.0
    width, height = line["x2"] - line["x1"], line["y2"] - line["y1"]
    if height > _UPRIGHT * width:
        return line["x1"], line["y1"], line["x2"], line["y2"]
    left_top, right_top, right_bottom, left_bottom = np.asarray(line["quad"], dtype=np.float64)
    length = len(line["text"])
    corners = [
        left + (right - left) * min(1.0, place / length)
        for left, right in ((left_top, right_top), (left_bottom, right_bottom))
        for place in (hit.start, hit.end)
    ]
    (x1, y1), (x2, y2) = np.min(corners, axis=0).tolist(), np.max(corners, axis=0).tolist()
    return x1, y1, x2, y2


_SERIALIZE, _DESERIALIZE = table_serializers("matches", Matches)

STAGE = StageDefinition(
    name="match_text",
    label="Match text",
    description="Finds brands, names and words of a list in what was read or said.",
    io=StageIO(reads=[], writes=["matches"], optional_reads=["texts", "transcript"]),
    config_fields=[
        StageConfigField(
            "terms",
            "list[str]",
            [],
            "What to look for, each as 'Brand' or 'Brand = alias, alias'. Case, accents, spaces "
            "and marks do not count.",
        ),
        StageConfigField(
            "terms_file",
            "str",
            "",
            "A text file (UTF-8) with more of them, one a line; # begins a comment. A name beside "
            "the profile will do.",
        ),
        StageConfigField(
            "match_label",
            "bool",
            True,
            "Look for the name itself too; false where it names a list and only its words count.",
        ),
        StageConfigField(
            "min_score",
            "float",
            0.85,
            "How well a place must fit, 1 for letter for letter. Lowering it finds more misread "
            "words, and more that are others.",
            min=0.5,
            max=1.0,
        ),
        StageConfigField(
            "inside_words",
            "bool",
            False,
            "Find terms of 5 or more characters inside of words too, for text that is read "
            "without its spaces.",
        ),
        StageConfigField(
            "of",
            "list[str]",
            ["texts"],
            "Where to look: in texts (read on screen), in the transcript (said), or in both.",
            options=["texts", "transcript"],
        ),
    ],
    category="analysis",
    fn=match_text,
    prepare_fn=prepare,
    check_fn=check,
    uses_fn=lambda config: {name: name in config["of"] for name in ("texts", "transcript")},
    identity_fn=identity,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    channels=[MATCHES],
    needs=StageNeeds(file_fields=("terms_file",)),
)
