"""Writing results: plain values in, a file out. Equal values give equal bytes."""

from mediaproc.outputs.document import write_document
from mediaproc.outputs.exporter import Exporter, ExportOption, write_export
from mediaproc.outputs.files import replacing, write_zip
from mediaproc.outputs.parquet import write_parquet
from mediaproc.outputs.tables import Findings, SeenFrames, Table, TableColumn, VideoFacts

__all__ = [
    "ExportOption",
    "Exporter",
    "Findings",
    "SeenFrames",
    "Table",
    "TableColumn",
    "VideoFacts",
    "replacing",
    "write_document",
    "write_export",
    "write_parquet",
    "write_zip",
]
