"""``mediaproc export``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mediaproc.cli.common import DONE, fail, open_workspace, show_json
from mediaproc.errors import OutputError

if TYPE_CHECKING:
    from mediaproc.outputs import Exporter


def _list_formats(wanted: bool) -> None:
    from mediaproc.outputs.formats import EXPORTERS

    if wanted:
        for exporter in EXPORTERS:
            _print(exporter)
        raise typer.Exit(DONE)


def export(
    job_id: Annotated[str, typer.Argument(help="The job's id; it must be done.")],
    format: Annotated[
        str, typer.Option("--format", "-f", help="The format: coco, csv, ...; --list tells all.")
    ],
    out: Annotated[str, typer.Option(help="The file or folder to make.")],
    table: Annotated[
        str | None, typer.Option(help="The table to write [default: what the format takes].")
    ] = None,
    nodes: Annotated[
        list[str] | None, typer.Option("--node", help="Take the rows of this node only.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="OPTION=VALUE", help="An option of the format."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace what an earlier export made.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = (
        False
    ),
    formats: Annotated[
        bool,
        typer.Option(
            "--list", is_eager=True, callback=_list_formats, help="List the formats, and exit."
        ),
    ] = False,
) -> None:
    """Write what a finished job found in another format."""
    from mediaproc.jobs.exports import export_job
    from mediaproc.outputs.exporter import options_of
    from mediaproc.outputs.formats import get_exporter

    try:
        exporter = get_exporter(format)
        options = exporter.filled(options_of(settings or []))
    except OutputError as error:
        raise typer.BadParameter(str(error)) from None
    workspace = open_workspace()
    written = export_job(
        workspace,
        job_id,
        format,
        out,
        table=table,
        nodes=nodes or (),
        options=options,
        force=force,
    )
    if as_json:
        show_json({"job": job_id, "format": format, "path": out, "tables": written})
    else:
        found = ", ".join(f"{count} {name}" for name, count in written.items())
        print(f"{job_id}: {found} in {out}")
    if said := workspace.job(job_id).error:
        fail(f"mediaproc: {job_id} {said}")


def _print(exporter: Exporter) -> None:
    print(f"{exporter.name}: {exporter.description}")
    makes = f"a {exporter.shape}"
    if exporter.extension:
        makes += f" ({exporter.extension})"
    if exporter.shape == "file per table":
        makes += ", or with --table a file"
    first = ", ".join(exporter.tables)
    takes = "every table" if not first else first if exporter.several else f"the first of: {first}"
    others = " with ".join(["any other", ", ".join(exporter.columns)]) if exporter.columns else ""
    print(f"  makes {makes}; takes {takes}" + (f"; --table: {others}" if others else ""))
    for option in exporter.options:
        choices = f" ({', '.join(option.choices)})" if option.choices else ""
        default = ",".join(option.default) if option.type == "list" else option.default
        shown = str(default).lower() if option.type == "bool" else str(default)
        print(f"  --set {option.name}={shown}{choices}")
        print(f"      {option.description}")
