"""Tables as Parquet, read back by pyarrow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from mediaproc.outputs import TableColumn, write_parquet


@pytest.mark.parametrize("rows", [0, 1, 9, 100])
def test_parquet_holds_the_rows_that_were_written(tmp_path: Path, rows: int) -> None:
    values: dict[str, list[Any]] = {
        "count": list(range(rows)),
        "score": [n / 7 for n in range(rows)],
        "text": [None if n % 3 == 1 else f"Zeile {n} ü" for n in range(rows)],
        "more": [None if n % 2 else {"n": [n]} for n in range(rows)],
    }
    kinds: Any = {"count": "int", "score": "float", "text": "str", "more": "json"}
    columns = [TableColumn(name, kinds[name], values[name], f"the {name}") for name in values]
    write_parquet(tmp_path / "table.parquet", columns)
    table = pq.read_table(tmp_path / "table.parquet")
    table.validate(full=True)
    found = table.to_pydict()
    expected = [None if v is None else f'{{"n":[{v["n"][0]}]}}' for v in values["more"]]
    assert found == {**values, "more": expected}
    assert table.schema.field("score").metadata == {b"description": b"the score"}


def test_parquet_is_written_without_pandas(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from mediaproc.outputs import *\n"
        "columns = [TableColumn('a', 'int', [1]), TableColumn('b', 'str', ['x'])]\n"
        f"write_parquet(Path({str(tmp_path / 'table.parquet')!r}), columns)\n"
        "sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
