"""WebVTT: https://www.w3.org/TR/webvtt1/.

Chapters from shots, captions from what was said or read, and from every other table a metadata
track, whose cues hold JSON: ``{"tracks": [row, ...]}``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mediaproc.errors import OutputError
from mediaproc.outputs.cues import FRAME_COLUMNS, SPAN_COLUMNS, Cue, cues, frame_cues
from mediaproc.outputs.exporter import Exporter, ExportOption
from mediaproc.outputs.tables import Findings, Row, Table, VideoFacts

_KINDS = {"shots": "chapters", "transcript": "captions", "texts": "captions"}


def _write(path: Path, findings: Findings, options: Mapping[str, Any]) -> None:
    (table,) = findings.tables.values()
    kind = options["kind"]
    if kind == "auto":
        kind = _KINDS.get(table.name, "metadata")
    lines = ["WEBVTT", ""]
    for cue in _cues(table, kind, findings.video):
        lines.append(f"{_time(cue.start_ms)} --> {_time(cue.end_ms)}")
        if kind == "metadata":
            lines.append(_data({table.name: cue.rows}))
        else:
            row = cue.rows[0]
            lines.append(_escaped(_title(row) if kind == "chapters" else row["text"]))
        lines.append("")
    path.write_text("\n".join(lines), encoding="utf-8")


def _cues(table: Table, kind: str, video: VideoFacts) -> list[Cue]:
    needs = {"chapters": SPAN_COLUMNS, "captions": ("text",), "metadata": ()}[kind]
    if not table.has(*needs):
        raise OutputError(
            f"format webvtt cannot make {kind} of {table.name}, which has no {' and '.join(needs)}"
        )
    if kind == "metadata" and table.has(*FRAME_COLUMNS):
        return frame_cues(table, video)
    return cues(table, video)


def _title(row: Row) -> str:
    if "shot" in row:
        return f"Shot {row['shot'] + 1}"
    return str(row["label"] if "label" in row else row["text"])


def _data(value: Any) -> str:
    # An arrow in a text would end the cue.
    return json.dumps(value, ensure_ascii=False, allow_nan=False).replace(">", "\\u003e")


def _escaped(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    text = "\n".join(lines)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(ms: int) -> str:
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"


EXPORTER = Exporter(
    name="webvtt",
    description="WebVTT: chapters from shots, captions from transcript or texts, a metadata track "
    "of JSON from any other table; times in whole milliseconds.",
    shape="file",
    extension=".vtt",
    media_type="text/vtt",
    tables=("shots", "transcript", "texts", "events", "tracks", "detections"),
    options=(
        ExportOption(
            "kind",
            "str",
            "auto",
            "What to make of the table; auto: what suits it.",
            choices=("auto", "chapters", "captions", "metadata"),
        ),
    ),
    write=_write,
)
