"""``mediaproc stages``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mediaproc.cli.common import show_json

if TYPE_CHECKING:
    from mediaproc.detect.stages.base import StageDefinition


def stages(
    name: Annotated[str | None, typer.Argument(help="Show this stage only.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the stages there are, or show one with its settings."""
    from mediaproc.detect.stages.base import get_palette, get_stage
    from mediaproc.errors import StageError

    if name is not None:
        try:
            stage = get_stage(name)
        except KeyError as error:
            raise StageError(str(error.args[0])) from None
        show_json(_described(stage)) if as_json else _print(stage)
        return
    palette = get_palette()
    if as_json:
        show_json({c: [_described(stage) for stage in found] for c, found in palette.items()})
        return
    for category, found in palette.items():
        print(category)
        for stage in found:
            print(f"  {stage.name:<16} {stage.description}")


def _described(stage: StageDefinition) -> dict[str, Any]:
    return {
        "name": stage.name,
        "label": stage.label,
        "description": stage.description,
        "category": stage.category,
        "scope": stage.scope,
        "version": stage.version,
        "reads": stage.io.reads,
        "optional_reads": stage.io.optional_reads,
        "writes": stage.io.writes,
        "companions": list(stage.companions),
        "licence": stage.needs.licence,
        "extra": stage.needs.extra,
        "config": [
            {
                "name": field.name,
                "type": field.type,
                "default": field.default,
                "description": field.description,
                "min": field.min,
                "max": field.max,
                "options": field.options,
            }
            for field in stage.config_fields
        ],
    }


def _print(stage: StageDefinition) -> None:
    print(f"{stage.name}: {stage.description}")
    print(f"  reads {', '.join(stage.io.all_reads())}; writes {', '.join(stage.io.writes)}")
    print(f"  runs per {stage.scope}")
    if stage.companions:
        print(f"  brings {', '.join(stage.companions)}, which work ahead of it")
    for field in stage.config_fields:
        bounds = [
            f"{label} {v:g}"
            for label, v in (("min", field.min), ("max", field.max))
            if v is not None
        ]
        if field.options:
            bounds.append("one of " + ", ".join(map(str, field.options)))
        more = f" ({'; '.join(bounds)})" if bounds else ""
        print(f"  {field.name}: {field.type} = {field.default!r}{more}")
        print(f"      {field.description}")
