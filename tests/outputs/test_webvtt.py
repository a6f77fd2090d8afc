"""WebVTT and SRT, read by webvtt-py."""

from __future__ import annotations

import html
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import webvtt as library

from mediaproc.errors import OutputError
from mediaproc.outputs import srt, webvtt, write_export
from mediaproc.outputs.exporter import Exporter
from tests.outputs.found import CASES, findings


def captions(tmp_path: Path, case: str, exporter: Exporter, **options: Any) -> list[Any]:
    path = tmp_path / f"a{exporter.extension}"
    write_export(exporter, path, findings(case), **options)
    return list((library.from_srt if exporter is srt.EXPORTER else library.read)(str(path)))


@pytest.mark.parametrize("case", CASES)
def test_webvtt_chapters_are_the_shots(case: str, tmp_path: Path) -> None:
    shots = list(findings(case).tables["shots"].rows())
    chapters = captions(tmp_path, case, webvtt.EXPORTER)
    assert [c.text for c in chapters] == [f"Shot {shot['shot'] + 1}" for shot in shots]
    for chapter, shot in zip(chapters, shots, strict=True):
        assert seconds(chapter.start) == round(shot["start_s"], 3)
        assert seconds(chapter.end) == round(shot["end_s"], 3)


@pytest.mark.parametrize("exporter", [webvtt.EXPORTER, srt.EXPORTER], ids=["webvtt", "srt"])
def test_webvtt_captions_last_until_a_frame_without_them(
    exporter: Exporter, tmp_path: Path
) -> None:
    seen = findings("plain").tables["texts"].seen
    end = findings("plain").video.duration_s
    found = captions(tmp_path, "plain", exporter, table="texts")
    spans = [(seconds(c.start), seconds(c.end)) for c in found]
    first, second, third = (round(time_s, 3) for time_s in seen.time_s[:3])
    assert spans == [(first, second)] * 2 + [(third, round(end, 3))] * 2


@pytest.mark.parametrize("case", ["nothing-found", "no-frame"])
def test_webvtt_no_text_is_a_file_without_cues(case: str, tmp_path: Path) -> None:
    assert captions(tmp_path, case, webvtt.EXPORTER, table="texts") == []


@pytest.mark.parametrize("case", ["nothing-found", "no-frame"])
def test_srt_no_text_is_an_empty_file(case: str, tmp_path: Path) -> None:
    write_export(srt.EXPORTER, tmp_path / "a.srt", findings(case))
    assert (tmp_path / "a.srt").read_bytes() == b""


def test_webvtt_texts_that_look_like_markup_come_back(tmp_path: Path) -> None:
    found = captions(tmp_path, "one-frame", webvtt.EXPORTER, table="texts")
    assert [html.unescape(c.raw_text) for c in found] == ["A <b> & c --> d", "score\n3:2 über"]


def test_srt_texts_that_would_end_a_caption_are_kept_in_it(tmp_path: Path) -> None:
    found = captions(tmp_path, "one-frame", srt.EXPORTER, table="texts")
    assert [c.raw_text for c in found] == ["A <b> & c → d", "score\n3:2 über"]


@pytest.mark.parametrize("table", ["detections", "tracks", "texts", "events"])
def test_webvtt_metadata_holds_every_row(table: str, tmp_path: Path) -> None:
    options = {"kind": "metadata"}
    found = captions(tmp_path, "plain", webvtt.EXPORTER, table=table, options=options)
    rows = [row for cue in found for row in json.loads(cue.raw_text)[table]]
    assert rows == list(findings("plain").tables[table].rows())


def test_webvtt_metadata_of_a_frame_lasts_until_the_next_one(tmp_path: Path) -> None:
    seen = findings("plain").tables["tracks"].seen
    found = captions(tmp_path, "plain", webvtt.EXPORTER, table="tracks")
    times = [*seen.time_s, findings("plain").video.duration_s]
    spans = [(round(a, 3), round(b, 3)) for a, b in itertools.pairwise(times) if a != times[1]]
    assert [(seconds(c.start), seconds(c.end)) for c in found] == spans


def test_webvtt_captions_of_what_has_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot make captions of shots, which has no text"):
        captions(tmp_path, "plain", webvtt.EXPORTER, options={"kind": "captions"})


def seconds(stamp: str) -> float:
    hours, minutes, rest = stamp.split(":")
    return round(int(hours) * 3600 + int(minutes) * 60 + float(rest), 3)
