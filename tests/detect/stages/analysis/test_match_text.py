"""Brands in lines of text: what the rows say, where terms come from, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediaproc.detect.analysis import analyze
from mediaproc.detect.profile import load_profile, parse_profile
from mediaproc.detect.stages.base import get_stage
from mediaproc.detect.state import Segment
from mediaproc.detect.tables import Texts, Transcript
from mediaproc.errors import StageError
from tests.detect.stages.made import box, call, place, problems, spoken

LIST = "version: 1\nname: t\nstages:\n  - sample_frames\n  - detect_text\n"


def line(text: str, frame: int = 0, **columns: Any) -> dict[str, Any]:
    quad = [[100, 50], [300, 50], [300, 80], [100, 80]]
    row = {**place(frame), "text": text, "confidence": 0.9, **box(100, 50, 300, 80), "quad": quad}
    return {**row, **columns}


def rows(*lines: dict[str, Any], **config: Any) -> list[dict[str, Any]]:
    config = {"terms": ["Acme"], **config}
    made = {"texts": Texts.from_records(lines)}
    records: list[dict[str, Any]] = call("match_text", made, **config)["matches"].records()
    return records


def test_match_text_row_keeps_the_line_and_tells_how_well_it_fits() -> None:
    (row,) = rows(line("DRINK NW ENERGI", 7), terms=["Nordwind = NW Energy"])
    assert (row["frame_index"], row["label"], row["alias"]) == (7, "Nordwind", "NW Energy")
    assert (row["text"], row["source"], row["confidence"]) == ("DRINK NW ENERGI", "texts", 0.9)
    assert row["score"] == pytest.approx(1 - 1 / 8)


def test_match_text_writes_a_row_for_each_place_in_a_line() -> None:
    found = rows(line("ACME beats Other, says Acme"), terms=["Acme", "Other"])
    assert [row["label"] for row in found] == ["Acme", "Other", "Acme"]


def test_match_text_box_is_that_of_the_words() -> None:
    (row,) = rows(line("by ACME 90"))  # ten characters on 200 pixels
    assert (row["x1"], row["y1"], row["x2"], row["y2"]) == (160, 50, 240, 80)


def test_match_text_box_follows_a_slanted_line() -> None:
    quad = [[0, 100], [100, 0], [120, 20], [20, 120]]
    (row,) = rows(line("xx ACME xx", quad=quad, **box(0, 0, 120, 120)))
    assert [row[side] for side in ("x1", "y1", "x2", "y2")] == pytest.approx([30, 30, 90, 90])


def test_match_text_box_of_a_line_from_top_to_bottom_is_the_whole_line() -> None:
    quad = [[10, 10], [40, 10], [40, 200], [10, 200]]
    (row,) = rows(line("xx ACME xx", quad=quad, **box(10, 10, 40, 200)))
    assert [row[side] for side in ("x1", "y1", "x2", "y2")] == [10, 10, 40, 200]


@pytest.mark.parametrize("text", ["", "...", "nothing of it"])
def test_match_text_without_a_hit_is_an_empty_table(text: str) -> None:
    assert rows(line(text)) == []
    assert rows() == []


def phrase(frame: int, text: str) -> dict[str, Any]:
    return spoken(frame, frame + 50, text)


def said(start: int, end: int, *phrases: dict[str, Any]) -> list[dict[str, Any]]:
    """Matches in a transcript, of one segment."""
    numbers = np.arange(start, end)
    segment = Segment(0, ((start, end),), numbers * 40, numbers / 25, numbers == start, 0, None)
    made = {"segment": segment, "transcript": Transcript.from_records(phrases)}
    records: list[dict[str, Any]] = call("match_text", made, terms=["Acme"], of=["transcript"])[
        "matches"
    ].records()
    return records


def test_match_text_finds_what_was_said_at_the_frame_where_it_begins() -> None:
    (row,) = said(0, 50, phrase(30, "now from Acme"))
    assert (row["frame_index"], row["pts"], row["time_s"]) == (30, 1200, 1.2)
    assert (row["source"], row["x2"]) == ("transcript", 0.0)


def test_match_text_takes_each_phrase_in_one_segment_only() -> None:
    phrases = [phrase(frame, "Acme") for frame in (0, 49, 50, 99)]
    whole = said(0, 100, *phrases)
    assert said(0, 50, *phrases) + said(50, 100, *phrases) == whole
    assert len(whole) == 4


# ---- where terms come from


def test_match_text_file_beside_the_profile_is_found_and_read(tmp_path: Path) -> None:
    (tmp_path / "brands.txt").write_text("# ours\nAcme\nNordwind = NW\n", encoding="utf-8")
    path = tmp_path / "p.yaml"
    path.write_text(LIST + "  - match_text: {terms_file: brands.txt}\n")
    analysis = analyze(load_profile(path))
    assert analysis.problems == ()
    assert analysis.plan is not None
    config = analysis.plan.node("match_text").config
    assert [r["label"] for r in rows(line("NW"), **{**config, "terms": []})] == ["Nordwind"]


def test_match_text_file_that_is_not_there_is_a_problem_of_the_profile() -> None:
    profile = parse_profile(LIST + "  - match_text: {terms_file: brands.txt}\n")
    (problem,) = analyze(profile).problems
    assert problem.message == (
        "terms_file: no file 'brands.txt', neither here nor beside the profile"
    )
    assert (problem.line, problem.field) == (6, "terms_file")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"Acme = \n", r"match_text: .*brands\.txt: 'Acme =.*is not of the form"),
        (b"# none\n", r"match_text: .*brands\.txt names no term"),
        (b"\xff\xfe\x00", r"match_text: terms_file .*brands\.txt cannot be read"),
    ],
)
def test_match_text_file_that_says_nothing_ends_a_job_before_its_first_frame(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "brands.txt"
    file.write_bytes(content)
    stage = get_stage("match_text")
    assert stage.prepare_fn is not None
    with pytest.raises(StageError, match=message):
        stage.prepare_fn(config=stage.filled_config({"terms_file": str(file)}))


def test_match_text_identity_changes_with_what_the_file_holds(tmp_path: Path) -> None:
    file = tmp_path / "brands.txt"
    stage = get_stage("match_text")
    assert stage.identity_fn is not None
    found = []
    for content in ("Acme", "Acme\nOther"):
        file.write_text(content)
        found.append(stage.identity_fn(config=stage.filled_config({"terms_file": str(file)})))
    assert found[0] != found[1]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "terms: name at least one, or give a terms_file"),
        ({"terms": ["Acme"], "of": []}, "of: name texts, transcript or both"),
        ({"terms": ["Acme ="]}, "terms: 'Acme =' is not of the form"),
        ({"terms": ["List"], "match_label": False}, "terms: 'List' has no spelling"),
    ],
)
def test_match_text_settings_that_cannot_work_are_told(
    config: dict[str, Any], message: str
) -> None:
    assert message in "\n".join(problems("match_text", **config))


@pytest.mark.parametrize(
    ("of", "message"),
    [("texts", "reads 'texts', which no earlier"), ("transcript", "reads 'transcript', which no")],
)
def test_match_text_needs_what_it_is_to_look_in(of: str, message: str) -> None:
    profile = parse_profile(
        "version: 1\nname: t\nstages:\n  - sample_frames\n"
        f"  - match_text: {{terms: [Acme], of: [{of}]}}\n"
    )
    assert message in "\n".join(problem.message for problem in analyze(profile).problems)
