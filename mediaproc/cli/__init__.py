"""The command line: one file per command. Data goes to stdout, everything else to stderr.

Nothing heavy is imported before a command needs it: ``--help`` and ``validate`` load neither torch
nor LangGraph.
"""

from __future__ import annotations

import sys

import typer

from mediaproc.cli import detect, export, jobs, resume, review, schema, stages, validate
from mediaproc.cli.common import FAILED, INVALID, fail
from mediaproc.errors import MediaprocError, ProfileError, SettingsError

app = typer.Typer(
    name="mediaproc",
    help="Video files into structured findings, through a pipeline declared in YAML.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(detect.detect)
app.command()(resume.resume)
app.command()(review.review)
app.add_typer(jobs.app, name="jobs")
app.command()(export.export)
app.command()(validate.validate)
app.command()(stages.stages)
app.command()(schema.schema)


def main() -> None:
    """Run the command line; the exit code says how it went."""
    try:
        app()
    except ProfileError as error:
        for problem in error.problems:
            fail(str(problem))
        sys.exit(INVALID)
    except SettingsError as error:
        fail(str(error))
        sys.exit(INVALID)
    except MediaprocError as error:
        fail(f"mediaproc: error: {error}")
        sys.exit(FAILED)
