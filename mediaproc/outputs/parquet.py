"""Tables as Parquet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mediaproc.outputs.exporter import Exporter
from mediaproc.outputs.files import replacing
from mediaproc.outputs.tables import Findings, TableColumn


def write_parquet(path: Path, columns: Sequence[TableColumn]) -> None:
    """Write a table, also one without rows; JSON values become text."""
    with replacing(path) as temporary:
        _put(temporary, columns)


def _put(path: Path, columns: Sequence[TableColumn]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"int": pa.int64(), "float": pa.float64(), "str": pa.string(), "json": pa.string()}
    arrays = [pa.array(_plain(column), types[column.kind]) for column in columns]
    fields = [
        pa.field(c.name, types[c.kind], metadata={"description": c.description}) for c in columns
    ]
    table = pa.Table.from_arrays(arrays, schema=pa.schema(fields))
    pq.write_table(table, path, compression="zstd")


def _plain(column: TableColumn) -> Sequence[Any]:
    if column.kind != "json":
        return column.values
    return [
        None if value is None else json.dumps(value, separators=(",", ":"))
        for value in column.values
    ]


def _write(path: Path, findings: Findings, options: Mapping[str, Any]) -> None:
    (table,) = findings.tables.values()
    _put(path, table.columns)


EXPORTER = Exporter(
    name="parquet",
    description="Apache Parquet, exact values; JSON columns as text.",
    shape="file per table",
    extension=".parquet",
    write=_write,
)
