"""The quickstart profile as it ships, on a real clip: how much faster than it plays, and where.

python bench/quickstart.py [--runs 2] [--seconds 60]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from clips import ROOT, repeated
from measure import Run, in_turn, measured, median, stored, table

from tests.clips import real_clip

PROFILE = ROOT / "profiles" / "quickstart.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    clip = repeated(real_clip("bikes"), arguments.seconds)
    said: dict[str, dict] = {}
    sizes: dict[str, int] = {}

    def job() -> Run:
        with tempfile.TemporaryDirectory() as folder:
            home, out = Path(folder) / "home", Path(folder) / "out"
            command = [sys.executable, "-m", "mediaproc", "detect", "-p", PROFILE, clip]
            run = measured([*command, "--out", out], home)
            said["nodes"] = json.loads((out / "run.json").read_text())["nodes"]
            sizes["home"] = stored(home)
        return run

    runs = in_turn(arguments.runs, {"job": job})["job"]
    wall = median(runs, "wall_s")
    row = [
        f"quickstart, {arguments.seconds} s of 640x272",
        f"{wall:.1f}",
        f"{median(runs, 'cpu_s'):.1f}",
        f"{arguments.seconds / wall:.1f}x",
        f"{max(run.peak_mb for run in runs):.0f}",
        f"{sizes['home'] / 1000:.0f}",
    ]
    print(f"Medians of {arguments.runs} turns.\n")
    head = ["profile", "wall s", "CPU s", "of playing time", "peak MB", "stored KB"]
    print(table(head, [row]), end="\n\n")
    nodes = sorted(said["nodes"].items(), key=lambda item: -item[1]["seconds"])
    spent = ", ".join(f"{node} {took['seconds']:.1f} s" for node, took in nodes)
    print(f"In its stages, two at a time: {spent}.")


if __name__ == "__main__":
    main()
