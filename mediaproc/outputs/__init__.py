"""Writing results: plain values in, a file out. Equal values give equal bytes."""

from mediaproc.outputs.document import write_document
from mediaproc.outputs.files import replacing
from mediaproc.outputs.parquet import TableColumn, write_parquet

__all__ = ["TableColumn", "replacing", "write_document", "write_parquet"]
