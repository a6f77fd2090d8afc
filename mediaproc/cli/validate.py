"""``mediaproc validate``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mediaproc.cli.common import DONE, INVALID, fail, show_json

if TYPE_CHECKING:
    from mediaproc.detect.plan import Plan


def validate(
    profiles: Annotated[list[str], typer.Argument(metavar="PROFILE...", help="YAML profiles.")],
    graph: Annotated[bool, typer.Option("--graph", help="Print the graph as Mermaid.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the problems as JSON.")] = False,
) -> None:
    """Say everything that is wrong with a profile, before a frame is decoded."""
    from mediaproc.detect.analysis import analyze
    from mediaproc.detect.profile import Problem, load_profile
    from mediaproc.errors import ProfileError

    problems: list[Problem] = []
    for path in profiles:
        try:
            analysis = analyze(load_profile(path))
        except ProfileError as error:
            problems += error.problems
            continue
        problems += analysis.problems
        if analysis.plan and graph:
            print(mermaid(analysis.plan))
        elif analysis.plan and not as_json:
            print(f"{path}: valid, {len(analysis.plan.nodes)} nodes")
    if as_json:
        show_json([asdict(problem) for problem in problems])
    else:
        for problem in problems:
            fail(str(problem))
    wrong = any(problem.severity == "error" for problem in problems)
    raise typer.Exit(INVALID if wrong else DONE)


def mermaid(plan: Plan) -> str:
    """The plan as a Mermaid flowchart, a box for each segment phase."""
    lines = ["flowchart TD"]
    for phase in range(1, plan.last_phase + 1):
        lines.append(f"  subgraph phase{phase} [segments, phase {phase}]")
        lines += [f"    {node.id}" for node in plan.in_phase(phase, "segment")]
        lines.append("  end")
    for node in plan.nodes:
        if node.scope == "video":
            lines.append(f"  {node.id}")
        lines += [f"  {before} --> {node.id}" for before in node.predecessors]
    return "\n".join(lines)
