"""The report: what it tells of findings, whoever made them, under a schema that is written down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mediaproc.detect.findings import Report, report_schema
from mediaproc.detect.tables import Events, Exposure, Matches, Totals
from tests.detect.stages.made import box, call, place, state

SCHEMA = Path(__file__).parents[4] / "docs" / "report.schema.json"


def reported(**tables: Any) -> dict[str, Any]:
    document: dict[str, Any] = call("report", state(range(0, 250, 5), **tables))["report"]
    jsonschema.Draft202012Validator(report_schema()).validate(document)
    return document


def event(start: int, **columns: Any) -> dict[str, Any]:
    row = {
        "node": "any",
        "kind": "made_up",
        "label": "thing",
        "pts": start * 40,
        "start_frame": start,
        "end_frame": start + 5,
        "start_s": start / 25,
        "end_s": start / 25 + 0.2,
        "score": 0.5,
        "track_id": 0,
        "details": {"x": [1, None, "y"]},
    }
    return {**row, **columns}


def test_report_schema_in_the_docs_is_that_of_today() -> None:
    assert json.loads(SCHEMA.read_text()) == report_schema(), "run: make schema"


def test_report_of_nothing_has_every_key_and_its_version() -> None:
    document = reported()
    assert list(document) == list(Report.model_fields)
    assert document["version"] == 2
    assert [k for k, v in document.items() if v == []] == [
        k for k in document if k not in ("version", "video", "sampled_frames")
    ]


def test_report_groups_events_of_any_kind() -> None:
    events = [event(0), event(50, score=0.75), event(10, kind="other")]
    found = reported(events=Events.from_records(events))["events"]
    assert [(e["kind"], e["label"], e["count"], e["max_score"]) for e in found] == [
        ("made_up", "thing", 2, 0.75),
        ("other", "thing", 1, 0.5),
    ]
    assert found[0]["moments"][1] == {
        "start_s": 2.0,
        "end_s": 2.2,
        "start_frame": 50,
        "end_frame": 55,
        "score": 0.75,
        "track_id": 0,
        "details": {"x": [1, None, "y"]},
    }


@pytest.mark.parametrize(("most", "listed"), [(0, 0), (2, 2), (1000, 5)])
def test_report_lists_the_first_moments_and_counts_all(most: int, listed: int) -> None:
    events = Events.from_records(event(start) for start in range(5))
    document = call("report", state([0], events=events), max_moments=most)["report"]
    assert document["events"][0]["count"] == 5
    assert [m["start_frame"] for m in document["events"][0]["moments"]] == list(range(listed))


def test_report_hands_on_totals_of_any_topic() -> None:
    rows = [
        {"node": "a", "topic": "area", "label": "yard", "values": {"visits": 2, "by": {"x": 1}}},
        {"node": "b", "topic": "made_up", "label": "y", "values": {"word": "w"}},
    ]
    assert reported(totals=Totals.from_records(rows))["totals"] == rows


def test_report_tells_of_each_match_where_it_was_read_and_said() -> None:
    def match(frame: int, source: str, alias: str) -> dict[str, Any]:
        return {
            **place(frame),
            "node": "m",
            "label": "Acme",
            "alias": alias,
            "text": "by ACME",
            "source": source,
            "score": 0.9 + frame / 1000,
            "confidence": 0.8,
            **box(0, 0, 9, 9),
        }

    rows = [
        match(0, "texts", "Acme"),
        match(5, "texts", "AC"),
        match(100, "texts", "Acme"),
        match(50, "transcript", "Acme"),
    ]
    found = reported(matches=Matches.from_records(rows))["matches"]
    assert found == [
        {
            "node": "m",
            "label": "Acme",
            "source": "texts",
            "spellings": ["AC", "Acme"],
            "frames": 3,
            "max_score": 1.0,
            "when": [{"start_s": 0.0, "end_s": 0.2}, {"start_s": 4.0, "end_s": 4.0}],
        },
        {
            "node": "m",
            "label": "Acme",
            "source": "transcript",
            "spellings": ["Acme"],
            "frames": 1,
            "max_score": 0.95,
            "when": [{"start_s": 2.0, "end_s": 2.0}],
        },
    ]


def test_report_lists_the_stretches_of_exposure() -> None:
    row = {
        "node": "e",
        "label": "Acme",
        "pts": 0,
        "start_frame": 0,
        "end_frame": 5,
        "start_s": 0.0,
        "end_s": 0.2004,
        "seen_s": 0.2,
        "sights": 1,
        "area_share": 0.012345,
        "prominence": 0.5,
        "confidence": 1.0,
        "peak_frame": 0,
    }
    assert reported(exposure=Exposure.from_records([row]))["exposure"] == [
        {
            "node": "e",
            "label": "Acme",
            "start_s": 0.0,
            "end_s": 0.2,
            "seen_s": 0.2,
            "area_share": 0.0123,
            "prominence": 0.5,
        }
    ]
