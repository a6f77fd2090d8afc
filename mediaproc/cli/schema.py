"""``mediaproc schema``."""

from __future__ import annotations

from mediaproc.cli.common import show_json


def schema() -> None:
    """Print the JSON Schema of profiles, for editors."""
    from mediaproc.detect.schema import profile_schema

    show_json(profile_schema())
