"""``report``: all findings of the other stages in one document."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mediaproc.addresses import video_name
from mediaproc.detect.findings import (
    EventFinding,
    ExposureFinding,
    Failure,
    Interval,
    LabelFinding,
    MatchFinding,
    Moment,
    Report,
    ShotFinding,
    TextFinding,
    TotalFinding,
    TrackFinding,
    VideoFacts,
)
from mediaproc.detect.rows import Rows
from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO
from mediaproc.detect.stages.channels import REPORT
from mediaproc.detect.stages.reporting.report_voices import READS as VOICES
from mediaproc.detect.stages.reporting.report_voices import voices
from mediaproc.detect.state import DetectState, Frames

Row = dict[str, Any]

_READS = (
    "frames",
    "shots",
    "detections",
    "tracks",
    "texts",
    "matches",
    "exposure",
    "events",
    "totals",
)


def report(state: DetectState, *, config: dict[str, Any]) -> dict[str, Any]:
    """Sum up what the other stages found."""
    video = state["video"]
    gap = config["max_gap_s"]
    document = Report(
        video=VideoFacts(
            name=video_name(video.path),
            fingerprint=video.fingerprint,
            width=video.width,
            height=video.height,
            fps=round(video.fps, 4),
            duration_s=round(video.duration_s, 3),
            frame_count=video.frame_count,
        ),
        sampled_frames=_sampled(state),
        shots=[
            ShotFinding(
                shot=row["shot"],
                start_s=round(row["start_s"], 3),
                end_s=round(row["end_s"], 3),
                start_frame=row["start_frame"],
                end_frame=row["end_frame"],
                transition=row["transition"],
            )
            for row in _records(state, "shots")
        ],
        objects=[
            LabelFinding(
                node=node,
                label=label,
                detections=len(rows),
                frames=len({row["frame_index"] for row in rows}),
                max_confidence=_max_confidence(rows),
                on_screen=_intervals(rows, gap),
            )
            for (node, label), rows in _grouped(state, "detections", lambda row: row["label"])
        ],
        tracks=[
            TrackFinding(
                node=node,
                track_id=number,
                label=rows[0]["label"],
                start_s=round(rows[0]["time_s"], 3),
                end_s=round(rows[-1]["time_s"], 3),
                sights=len(rows),
                mean_confidence=round(sum(r["confidence"] for r in rows) / len(rows), 4),
            )
            for (node, number), rows in _grouped(state, "tracks", lambda row: row["track_id"])
        ],
        texts=_texts(state, gap),
        matches=_matches(state, gap),
        exposure=[
            ExposureFinding(
                node=row["node"],
                label=row["label"],
                start_s=round(row["start_s"], 3),
                end_s=round(row["end_s"], 3),
                seen_s=round(row["seen_s"], 3),
                area_share=round(row["area_share"], 4),
                prominence=round(row["prominence"], 4),
            )
            for row in _records(state, "exposure")
        ],
        events=[
            EventFinding(
                node=node,
                kind=kind,
                label=label,
                count=len(rows),
                max_score=round(max(row["score"] for row in rows), 4),
                moments=[_moment(row) for row in rows[: config["max_moments"]]],
            )
            for (node, (kind, label)), rows in _grouped(
                state, "events", lambda row: (row["kind"], row["label"])
            )
        ],
        totals=[
            TotalFinding(
                node=row["node"], topic=row["topic"], label=row["label"], values=row["values"]
            )
            for row in _records(state, "totals")
        ],
        **voices(state),
        failures=[
            Failure(
                node=failure["node"],
                start_s=round(failure["start_s"], 3),
                end_s=round(failure["end_s"], 3),
                error=failure["error"],
            )
            for failure in state.get("failures", [])
        ],
    )
    return {"report": document.model_dump(mode="json")}


def _records(state: DetectState, channel: str) -> list[Row]:
    table: Rows | None = state.get(channel)  # type: ignore[assignment]
    return [] if table is None else table.records()


def _grouped(
    state: DetectState, channel: str, key: Callable[[Row], Any]
) -> list[tuple[tuple[str, Any], list[Row]]]:
    groups: dict[tuple[str, Any], list[Row]] = {}
    for row in _records(state, channel):
        groups.setdefault((row["node"], key(row)), []).append(row)
    return sorted(groups.items())


def _texts(state: DetectState, gap: float) -> list[TextFinding]:
    """Lines of one wording, earliest first; readings that differ in space and case are one."""
    findings = []
    for (node, _), rows in _grouped(state, "texts", lambda row: _plain(row["text"])):
        best = max(rows, key=lambda row: (row["confidence"], -row["frame_index"]))
        findings.append(
            TextFinding(
                node=node,
                text=best["text"],
                frames=len({row["frame_index"] for row in rows}),
                max_confidence=_max_confidence(rows),
                xyxy=tuple(round(best[side], 1) for side in ("x1", "y1", "x2", "y2")),
                on_screen=_intervals(rows, gap),
            )
        )
    return sorted(findings, key=lambda f: (f.on_screen[0].start_s, f.node, f.text))


def _matches(state: DetectState, gap: float) -> list[MatchFinding]:
    """Each brand or word by where it was found, earliest first."""
    findings = [
        MatchFinding(
            node=node,
            label=label,
            source=source,
            spellings=sorted({row["alias"] for row in rows}),
            frames=len({row["frame_index"] for row in rows}),
            max_score=round(max(row["score"] for row in rows), 4),
            when=_intervals(rows, gap),
        )
        for (node, (label, source)), rows in _grouped(
            state, "matches", lambda row: (row["label"], row["source"])
        )
    ]
    return sorted(findings, key=lambda f: (f.when[0].start_s, f.node, f.label))


def _moment(row: Row) -> Moment:
    return Moment(
        start_s=round(row["start_s"], 3),
        end_s=round(row["end_s"], 3),
        start_frame=row["start_frame"],
        end_frame=row["end_frame"],
        score=round(row["score"], 4),
        track_id=row["track_id"],
        details=row["details"],
    )


def _plain(text: str) -> str:
    return "".join(text.split()).casefold()


def _max_confidence(rows: Iterable[Row]) -> float:
    return float(round(max(row["confidence"] for row in rows), 4))


def _intervals(rows: list[Row], gap: float) -> list[Interval]:
    """Stretches in which sights follow each other by at most ``gap`` seconds."""
    times = sorted({row["time_s"] for row in rows})
    spans = [[times[0], times[0]]]
    for time_s in times[1:]:
        if time_s - spans[-1][1] > gap:
            spans.append([time_s, time_s])
        spans[-1][1] = time_s
    return [Interval(start_s=round(a, 3), end_s=round(b, 3)) for a, b in spans]


def _sampled(state: DetectState) -> int:
    seen: Any = state.get("frames", [])
    return sum(len(frames) for frames in ([seen] if isinstance(seen, Frames) else seen))


STAGE = StageDefinition(
    name="report",
    label="Report",
    description="Sums up what the other stages found in one JSON document.",
    io=StageIO(
        reads=["video"],
        writes=["report"],
        optional_reads=[*_READS, *VOICES],
        merges=[*_READS, *VOICES],
    ),
    config_fields=[
        StageConfigField(
            "max_gap_s",
            "float",
            1.0,
            "Sights at most this many seconds apart are one stretch on screen.",
            min=0.0,
        ),
        StageConfigField(
            "max_moments",
            "int",
            1000,
            "Most events of one kind and label that are listed one by one; all are counted, and "
            "all are in the table of events.",
            min=0,
        ),
    ],
    category="output",
    fn=report,
    scope="video",
    channels=[REPORT],
)
