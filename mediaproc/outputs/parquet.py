"""Tables as Parquet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mediaproc.outputs.exporter import Exporter
from mediaproc.outputs.files import replacing
from mediaproc.outputs.tables import Findings, TableColumn

if TYPE_CHECKING:
    import pyarrow as pa


def write_parquet(path: Path, columns: Sequence[TableColumn]) -> None:
    """Write a table, also one without rows; JSON values become text."""
    with replacing(path) as temporary:
        _put(temporary, columns)


def _put(path: Path, columns: Sequence[TableColumn]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = [_array(column) for column in columns]
    fields = [
        pa.field(c.name, array.type, metadata={"description": c.description})
        for c, array in zip(columns, arrays, strict=True)
    ]
    table = pa.Table.from_arrays(arrays, schema=pa.schema(fields))
    pq.write_table(table, path, compression="zstd")


def _array(column: TableColumn) -> pa.Array:
    # Out of buffers, since `pyarrow.array` imports pandas where that is installed: 0.4 s.
    import numpy as np
    import pyarrow as pa

    if column.kind in ("int", "float"):
        numbers = np.ascontiguousarray(
            column.values, dtype=np.int64 if column.kind == "int" else np.float64
        )
        kind = pa.int64() if column.kind == "int" else pa.float64()
        return pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(numbers)])
    texts = [None if text is None else text.encode() for text in _texts(column)]
    offsets = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum([len(text or b"") for text in texts], out=offsets[1:])
    there = np.array([text is not None for text in texts], dtype=np.bool_)
    data = b"".join(text or b"" for text in texts)
    given = np.packbits(there, bitorder="little")
    buffers = [pa.py_buffer(given), pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.large_string(), len(texts), buffers)


def _texts(column: TableColumn) -> Sequence[str | None]:
    if column.kind == "str":
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
    media_type="application/vnd.apache.parquet",
    write=_write,
)
