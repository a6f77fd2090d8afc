"""Where the time of a job went, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mediaproc.timing import KINDS

if TYPE_CHECKING:
    from mediaproc.jobs import Job

_NOTE = (
    "decode: CPU time on threads beside the stages; wait, scale, inference, encode, store: parts "
    "of a node's seconds.\nNodes work side by side, so their seconds may add up to more than the "
    "total."
)


def timing_table(job: Job) -> str:
    """Seconds by node and kind of work, over all runs of a job."""
    nodes = {node: timing for node, timing in job.timings.items() if timing["calls"]}
    kinds = [k for k in KINDS if any(t.get("time", {}).get(k) for t in nodes.values())]
    rows = [["node", "calls", "reused", "seconds", *kinds]]
    rows += [
        [
            node,
            str(timing["calls"]),
            f"{timing['reused']}/{timing['blocks']}",
            f"{timing['seconds']:.2f}",
            *(f"{timing.get('time', {}).get(kind, 0.0):.2f}" for kind in kinds),
        ]
        for node, timing in nodes.items()
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]
    total, checkpoints = (job.elapsed.get(name, 0.0) for name in ("total", "checkpoints"))
    said = f"total {total:.2f} s, of which writing checkpoints {checkpoints:.2f} s"
    return "\n".join([*lines, said, _NOTE])
