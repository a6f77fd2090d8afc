"""``report_html``: the findings as one page that anybody can open."""

from __future__ import annotations

from typing import Any

from mediaproc.blobs import BlobStore
from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO
from mediaproc.detect.stages.channels import FILES, table_serializers
from mediaproc.detect.stages.rendering.thumbnails import clock
from mediaproc.detect.stages.reporting.report_view import ReportView
from mediaproc.detect.state import DetectState, VideoSource
from mediaproc.detect.tables import Files
from mediaproc.outputs.page import Page, page_bytes

# Marks of the timeline: steps in seconds, and most that can be read.
_TICKS_S = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
_MOST_TICKS = 9


def report_html(
    state: DetectState, *, config: dict[str, Any], media: VideoSource, blobs: BlobStore
) -> dict[str, Any]:
    """Put together what the report and the tables hold."""
    report = state["report"]
    view = ReportView(state, report, config, media, blobs)
    video = report["video"]
    page = Page(
        title=config["title"] or video["name"],
        subtitle=(
            f"{clock(video['duration_s'])}, {video['width']}×{video['height']}, "
            f"{video['fps']:g} frames a second" + (f", {video['name']}" if config["title"] else "")
        ),
        facts=view.facts(),
        duration_s=max(video["duration_s"], 1e-3),
        ticks=_ticks(video["duration_s"]),
        lanes=view.lanes(),
        sections=[
            section
            for make in (
                view.moments,
                view.exposure,
                view.shots,
                view.crops,
                view.texts,
                view.said,
                view.totals,
            )
            for section in make()
        ],
        warnings=[
            f"{clock(f['start_s'])} to {clock(f['end_s'])}: {f['node']} failed: {f['error']}"
            for f in report["failures"]
        ],
        footer=f"Made by mediaproc. SHA-256 of the video: {video['fingerprint']}",
    )
    ref = blobs.put(page_bytes(page))
    return {"files": Files.of("{node}.html", "text/html", ref)}


def _ticks(duration_s: float) -> list[tuple[float, str]]:
    """Marks at round times, few enough to be read."""
    step = next((s for s in _TICKS_S if duration_s / s <= _MOST_TICKS), _TICKS_S[-1])
    ends = [i * step for i in range(int(duration_s / step) + 1) if i * step < duration_s - step / 2]
    return [(s, clock(s)) for s in [*ends, duration_s]]


_SERIALIZE, _DESERIALIZE = table_serializers("files", Files)

STAGE = StageDefinition(
    name="report_html",
    label="Report as a page",
    description="The findings as one HTML file: timeline, exposure, flagged moments, pictures.",
    io=StageIO(
        reads=["report"],
        writes=["files"],
        optional_reads=["shots", "events", "exposure", "totals", "crops"],
        merges=["shots", "events", "exposure", "totals", "crops"],
    ),
    config_fields=[
        StageConfigField("title", "str", "", "Heading of the page; empty for the video's name."),
        StageConfigField(
            "most",
            "int",
            60,
            "Most pictures of each kind; of more shots, some are taken evenly.",
            min=1,
            max=1000,
        ),
        StageConfigField(
            "width_px", "int", 240, "Longest side of a picture, pixels.", min=32, max=2048
        ),
    ],
    category="output",
    fn=report_html,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    scope="video",
    channels=[FILES],
    implies=("report",),
)
