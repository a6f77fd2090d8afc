"""``mediaproc schema``."""

from __future__ import annotations

from typing import Annotated

import typer

from mediaproc.cli.common import show_json


def schema(
    report: Annotated[bool, typer.Option("--report", help="That of report.json instead.")] = False,
) -> None:
    """Print the JSON Schema of profiles, for editors."""
    if report:
        from mediaproc.detect.findings import report_schema

        show_json(report_schema())
        return
    from mediaproc.detect.schema import profile_schema

    show_json(profile_schema())
