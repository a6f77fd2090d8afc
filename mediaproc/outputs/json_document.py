"""All findings as one JSON document.

::

    {"format": "mediaproc-findings", "version": 1, "video": {...}, "failures": [...],
     "tables": {"detections": {"columns": {name: description}, "seen_frames": [index, ...],
                               "rows": [{...}, ...]}}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from mediaproc.outputs.exporter import Exporter
from mediaproc.outputs.tables import Findings, Table

VERSION = 1


def _write(path: Path, findings: Findings, options: Mapping[str, Any]) -> None:
    video = asdict(findings.video)
    for name in ("frame_rate", "time_base"):
        video[name] = [video[name].numerator, video[name].denominator]
    with path.open("w", encoding="utf-8") as file:
        file.write(f'{{"format": "mediaproc-findings", "version": {VERSION},\n')
        file.write(f'"video": {_json(video)},\n')
        file.write(f'"failures": {_json(list(findings.failures))},\n"tables": {{')
        for number, table in enumerate(findings.tables.values()):
            file.write(",\n" if number else "\n")
            _write_table(file, table)
        file.write("\n}}\n")


def _write_table(file: TextIO, table: Table) -> None:
    columns = {column.name: column.description for column in table.columns}
    file.write(f"{_json(table.name)}: {{")
    file.write(f'"columns": {_json(columns)},\n')
    file.write(f'"seen_frames": {_json(list(table.seen.indexes))},\n"rows": [')
    # A row a line: it reads well, and a long video's rows never stand in memory as one text.
    for number, row in enumerate(table.rows()):
        file.write(",\n" if number else "\n")
        file.write(_json(row))
    file.write("\n]}")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


EXPORTER = Exporter(
    name="json",
    description="All tables as one JSON document, exact values, a row a line.",
    shape="file",
    extension=".json",
    media_type="application/json",
    several=True,
    write=_write,
)
