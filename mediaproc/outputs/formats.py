"""The export formats. An explicit list shows newcomers what there is."""

from __future__ import annotations

import difflib

from mediaproc.errors import OutputError
from mediaproc.outputs import (
    coco,
    csv_tables,
    cvat,
    json_document,
    label_studio,
    mot,
    parquet,
    rekognition,
    srt,
    webvtt,
    yolo,
)
from mediaproc.outputs.exporter import Exporter

EXPORTERS: tuple[Exporter, ...] = (
    json_document.EXPORTER,
    csv_tables.EXPORTER,
    parquet.EXPORTER,
    coco.EXPORTER,
    mot.EXPORTER,
    yolo.EXPORTER,
    cvat.EXPORTER,
    label_studio.EXPORTER,
    rekognition.EXPORTER,
    webvtt.EXPORTER,
    srt.EXPORTER,
)


def get_exporter(name: str) -> Exporter:
    """The format ``name``; OutputError names those there are."""
    for exporter in EXPORTERS:
        if exporter.name == name:
            return exporter
    names = [exporter.name for exporter in EXPORTERS]
    near = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}"
    raise OutputError(f"there is no export format {name!r}; {hint}")
