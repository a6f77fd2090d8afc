"""``export``: findings in another format, as a file among the results."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from mediaproc.blobs import BlobStore
from mediaproc.detect.exports import plain_findings, plain_table
from mediaproc.detect.rows import Rows
from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO
from mediaproc.detect.stages.channels import FILES, table_serializers
from mediaproc.detect.state import DetectState, Frames, MediaSource
from mediaproc.detect.tables import Files
from mediaproc.outputs import write_export, write_zip
from mediaproc.outputs.exporter import options_of
from mediaproc.outputs.formats import EXPORTERS, get_exporter

# What there is to export, besides the frames that it was found in.
_TABLES = [
    "detections",
    "tracks",
    "texts",
    "shots",
    "events",
    "matches",
    "exposure",
    "totals",
    "speech",
    "transcript",
    "frame_labels",
    "codes",
]


def export(
    state: DetectState, *, config: dict[str, Any], media: MediaSource, blobs: BlobStore
) -> dict[str, Any]:
    """Write the findings into a file; a format that makes a folder goes into a ZIP archive.

    Raises:
        OutputError: there is no table that the format takes.
    """
    exporter, asked = get_exporter(config["format"]), config["table"] or None
    seen: Any = state.get("frames", [])
    frames: list[Frames] = [seen] if isinstance(seen, Frames) else seen
    tables: dict[str, Rows] = {c: state[c] for c in _TABLES if c in state}  # type: ignore[literal-required]
    findings = plain_findings(
        state["video"],
        {channel: plain_table(channel, rows, frames) for channel, rows in sorted(tables.items())},
        chosen=frames,
        failures=state.get("failures", []),
        media=lambda: media,
    )
    folder = exporter.is_folder(asked)
    ending = ".zip" if folder else exporter.extension
    options = options_of(config["options"])
    with tempfile.TemporaryDirectory() as space, blobs.scratch(ending) as file:
        if folder:
            made = Path(space) / "made"
            write_export(exporter, made, findings, table=asked, options=options)
            write_zip(file, made)
        else:
            write_export(exporter, file, findings, table=asked, options=options, force=True)
        ref = blobs.put_file(file)
    media_type = "application/zip" if folder else exporter.media_type
    return {"files": Files.of(f"exports/{{node}}{ending}", media_type, ref)}


def prepare(*, config: dict[str, Any]) -> None:
    """See that the options are legal before there is anything to export."""
    get_exporter(config["format"]).filled(options_of(config["options"]))


_SERIALIZE, _DESERIALIZE = table_serializers("files", Files)

STAGE = StageDefinition(
    name="export",
    label="Export",
    description="Writes the findings in another format, into exports/ among the results.",
    io=StageIO(
        reads=["video"],
        writes=["files"],
        optional_reads=["frames", *_TABLES],
        merges=["frames", *_TABLES],
    ),
    config_fields=[
        StageConfigField(
            "format",
            "str",
            "json",
            "The format; one that makes a folder goes into a ZIP archive.",
            options=[exporter.name for exporter in EXPORTERS],
        ),
        StageConfigField(
            "table", "str", "", "The table to write. Empty: what the format takes by itself."
        ),
        StageConfigField(
            "options",
            "list[str]",
            [],
            "Options of the format as OPTION=VALUE; mediaproc export --list tells them.",
        ),
    ],
    category="output",
    fn=export,
    prepare_fn=prepare,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    scope="video",
    channels=[FILES],
)
