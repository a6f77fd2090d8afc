"""Tables as Parquet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mediaproc.outputs.files import replacing


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column to write.

    Attributes:
        name: its name.
        kind: ``"int"`` (int64), ``"float"`` (float64), ``"str"``, or ``"json"`` (JSON as text).
        values: one per row.
        description: kept in the file's schema.
    """

    name: str
    kind: Literal["int", "float", "str", "json"]
    values: Sequence[Any]
    description: str = ""


def write_parquet(path: Path, columns: Sequence[TableColumn]) -> None:
    """Write a table, also one without rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"int": pa.int64(), "float": pa.float64(), "str": pa.string(), "json": pa.string()}
    arrays = [pa.array(_plain(column), types[column.kind]) for column in columns]
    fields = [
        pa.field(c.name, types[c.kind], metadata={"description": c.description}) for c in columns
    ]
    table = pa.Table.from_arrays(arrays, schema=pa.schema(fields))
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _plain(column: TableColumn) -> Sequence[Any]:
    if column.kind != "json":
        return column.values
    return [
        None if value is None else json.dumps(value, separators=(",", ":"))
        for value in column.values
    ]
