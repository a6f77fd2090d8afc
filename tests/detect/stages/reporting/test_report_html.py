"""The report as a page: what the tables hold is on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mediaproc.blobs import BlobRef, LocalBlobStore
from mediaproc.detect.models import ModelStore
from mediaproc.detect.rows import Rows
from mediaproc.detect.services import Services
from mediaproc.detect.stages.base import get_stage
from mediaproc.detect.stages.reporting.report_html import report_html
from mediaproc.detect.tables import Events, Exposure, Totals
from tests.detect.planted import plant
from tests.detect.running import run_profile
from tests.detect.videos import AWKWARD, awkward, made
from tests.outputs.test_page import Parsed

STAGES = "stages: [sample_frames: {fps: 5}, detect_shots, planted, track_objects, report_html]"


def page_of(folder: Path, tables: dict[str, Rows]) -> Parsed:
    return Parsed(made(folder, tables)["report_html.html"].read_bytes())


def test_report_html_shows_shots_and_objects(
    squares_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, lambda frame: [("car", 0.9, (10, 10, 60, 60))] if frame < 75 else [])
    _, tables = run_profile(tmp_path, squares_clip, STAGES)
    found = page_of(tmp_path, tables)
    assert [image["alt"] for image in found.all("img")] == ["Frame of shot 1", "Frame of shot 2"]
    assert {"squares.mp4", "Timeline", "car", "50.0 %"} <= set(found.texts)


def test_report_html_brings_the_report_itself(
    squares_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, lambda frame: [])
    values, _ = run_profile(tmp_path, squares_clip, STAGES)
    assert values["report"]["sampled_frames"] == 30


def test_report_html_warns_of_what_failed(
    squares_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(frame: int) -> list[Any]:
        raise RuntimeError("no <model>")

    plant(monkeypatch, failing)
    nodes = """
nodes:
  frames: {stage: sample_frames}
  planted: {stage: planted, on_error: skip}
  page: {stage: report_html}
"""
    _, tables = run_profile(tmp_path, squares_clip, nodes)
    found = Parsed(made(tmp_path, tables)["page.html"].read_bytes())
    assert any("planted failed" in text and "no <model>" in text for text in found.texts)


@pytest.mark.parametrize("kind", AWKWARD)
def test_report_html_takes_any_video(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, lambda frame: [("thing", 0.9, (10, 10, 40, 40))])
    _, tables = run_profile(tmp_path, awkward(kind, tmp_path), STAGES)
    assert "Timeline" in page_of(tmp_path, tables).texts


REPORT = {
    "video": {
        "name": "squares.mp4",
        "fingerprint": "0" * 64,
        "width": 320,
        "height": 240,
        "fps": 25.0,
        "duration_s": 6.0,
    },
    "sampled_frames": 12,
    "shots": [],
    "objects": [],
    "tracks": [],
    "texts": [],
    "speech": [],
    "transcript": [],
    "failures": [],
}


def shown(clip: Path, folder: Path, report: dict[str, Any] | None = None, **tables: Rows) -> Parsed:
    """The page of a report without findings of its own but these, and of these tables."""
    blobs = LocalBlobStore(folder / "blobs")
    services = Services(blobs, ModelStore(folder))
    media = services.media(services.open_video(str(clip)))
    state: Any = {"report": {**REPORT, **(report or {})}, **tables}
    config = get_stage("report_html").filled_config({})
    files = report_html(state, config=config, media=media, blobs=blobs)["files"]
    return Parsed(blobs.get(BlobRef.from_json(files.records()[0]["blob"])))


def test_report_html_sums_the_exposure_of_each_brand(squares_clip: Path, tmp_path: Path) -> None:
    stretch = {
        "node": "e",
        "pts": 0,
        "start_frame": 0,
        "end_frame": 1,
        "sights": 2,
        "area_share": 0.1,
        "prominence": 0.5,
        "confidence": 0.9,
        "peak_frame": 0,
    }
    rows = [
        {"label": "Acme", "start_s": 0.0, "end_s": 1.0, "seen_s": 1.0, **stretch},
        {"label": "Acme", "start_s": 3.0, "end_s": 5.0, "seen_s": 2.0, **stretch},
        {"label": "Zeta", "start_s": 2.0, "end_s": 2.5, "seen_s": 0.5, **stretch},
    ]
    found = shown(squares_clip, tmp_path, exposure=Exposure.from_records(rows))
    position = found.texts.index("Acme", found.texts.index("Exposure"))
    assert found.texts[position:][:7] == ["Acme", "0:03.0", "50.0 %", "2", "10.0 %", "0.50", "Zeta"]


def flag(label: str, start_s: float, level: int) -> dict[str, Any]:
    frame, severity = round(start_s * 25), ["mild", "severe"][level - 1]
    evidence = [{"frame_index": frame + 2, "score": 0.9}, {"frame_index": frame, "score": 0.1}]
    return {
        "node": "m",
        "kind": "flag",
        "label": label,
        "pts": frame * 512,
        "start_frame": frame,
        "end_frame": frame + 5,
        "start_s": start_s,
        "end_s": start_s + 0.2,
        "score": 0.9,
        "track_id": 0,
        "details": {"severity": severity, "level": level, "evidence": evidence},
    }


def test_report_html_shows_flagged_moments_the_gravest_first(
    squares_clip: Path, tmp_path: Path
) -> None:
    events = Events.from_records([flag("smoking", 1.0, 1), flag("weapon", 2.0, 2)])
    found = shown(squares_clip, tmp_path, events=events)
    assert [image["alt"] for image in found.all("img")] == [
        "Frame at 0:02.0, flagged as weapon",
        "Frame at 0:01.0, flagged as smoking",
    ]
    assert "weapon: severe, 0.90" in found.texts


def test_report_html_tells_totals_by_topic(squares_clip: Path, tmp_path: Path) -> None:
    values = {"in": 3, "by_class": {"car": 2}, "points": [[0, 0], [9, 9]]}
    row = {"node": "z", "topic": "line", "label": "gate", "values": values}
    found = shown(squares_clip, tmp_path, totals=Totals.from_records([row]))
    position = found.texts.index("Totals: line")
    assert [t for t in found.texts[position:] if t.strip()][:6] == [
        "Totals: line",
        "in",
        "by class",
        "gate",
        "3",
        "car: 2",
    ]


def test_report_html_tells_what_was_said(squares_clip: Path, tmp_path: Path) -> None:
    phrase = {"text": "Good evening", "language": "en", "confidence": 0.9}
    transcript = [{"node": "t", "start_s": 1.0, "end_s": 2.5, **phrase}]
    found = shown(squares_clip, tmp_path, {"transcript": transcript})
    position = found.texts.index("Good evening")
    assert found.texts[position:][:4] == ["Good evening", "0:01.0", "0:02.5", "en"]
