"""Writing results: plain values in, a file out. Equal values give equal bytes."""

from mediaproc.outputs.document import write_document
from mediaproc.outputs.parquet import TableColumn, write_parquet

__all__ = ["TableColumn", "write_document", "write_parquet"]
