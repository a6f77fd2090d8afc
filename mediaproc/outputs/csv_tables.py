"""Tables as CSV (RFC 4180), in UTF-8."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mediaproc.outputs.exporter import Exporter
from mediaproc.outputs.tables import Findings


def _write(path: Path, findings: Findings, options: Mapping[str, Any]) -> None:
    (table,) = findings.tables.values()
    json_columns = [column.name for column in table.columns if column.kind == "json"]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([column.name for column in table.columns])
        for row in table.rows():
            for name in json_columns:
                if row[name] is not None:
                    row[name] = json.dumps(row[name], ensure_ascii=False, separators=(",", ":"))
            writer.writerow(row.values())


EXPORTER = Exporter(
    name="csv",
    description="CSV with a header, exact values; JSON columns as text, nothing for null.",
    shape="file per table",
    extension=".csv",
    media_type="text/csv",
    write=_write,
)
