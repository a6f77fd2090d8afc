"""SubRip captions. The format has no header: without a caption the file is empty."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mediaproc.outputs.cues import cues
from mediaproc.outputs.exporter import Exporter
from mediaproc.outputs.tables import Findings


def _write(path: Path, findings: Findings, options: Mapping[str, Any]) -> None:
    (table,) = findings.tables.values()
    blocks = [
        f"{number}\n{_time(cue.start_ms)} --> {_time(cue.end_ms)}\n{_text(cue.rows[0]['text'])}\n"
        for number, cue in enumerate(cues(table, findings.video), 1)
    ]
    path.write_text("\n".join(blocks), encoding="utf-8")


def _text(text: str) -> str:
    # An empty line ends a caption, and the format knows no way to write an arrow.
    lines = [line.strip() for line in text.replace("-->", "→").splitlines()]
    return "\n".join(line for line in lines if line)


def _time(ms: int) -> str:
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d},{ms % 1000:03d}"


EXPORTER = Exporter(
    name="srt",
    description="SubRip captions from transcript or texts; times in whole milliseconds.",
    shape="file",
    extension=".srt",
    media_type="application/x-subrip",
    tables=("transcript", "texts"),
    columns=("text",),
    write=_write,
)
