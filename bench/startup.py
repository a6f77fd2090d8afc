"""How long commands take to begin: ``--help``, ``validate``, and the first result of a job.

python bench/startup.py [--runs 5]
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from clips import ROOT, WORK
from measure import in_turn, measured, surroundings, table

from tests.clips import real_clip

# Each with the seconds that are wanted, or None.
COMMANDS: dict[str, tuple[list[str], float | None]] = {
    "mediaproc --help": (["--help"], 0.3),
    "mediaproc validate": (["validate", str(ROOT / "profiles" / "quickstart.yaml")], 0.5),
    "mediaproc stages": (["stages"], None),
    "mediaproc jobs list": (["jobs", "list"], None),
}
PROFILES = {
    "no model": "[sample_frames, report]",
    "an ONNX model": "[sample_frames, detect_objects: "
    "{model: 'pkg:nudenet/320n.onnx', image_size: 320}, report]",
}


def whole(arguments: list[str]) -> tuple[float, float]:
    run = measured([sys.executable, "-m", "mediaproc", *arguments])
    return run.wall_s, run.cpu_s


def first_result(name: str, stages: str) -> tuple[float, float]:
    """Seconds until the first segment of the last of the segment stages is done; no CPU time."""
    profile = WORK / f"startup-{name.split()[0]}.yaml"
    # The first segment is as short as it can be.
    profile.write_text(f"version: 1\nname: startup\nsegment: {{max_s: 1}}\nstages: {stages}\n")
    last = "detect_objects" if "detect_objects" in stages else "sample_frames"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "mediaproc", "detect", "-p", str(profile)]
        command += ["--progress", "jsonl", "--to", "1", str(real_clip("bikes"))]
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=surroundings(Path(folder)),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        assert process.stderr is not None
        took = None
        for line in process.stderr:
            event = json.loads(line)
            if took is None and event["type"] == "node" and event["node"] == last:
                took = time.perf_counter() - started
        if process.wait() or took is None:
            raise RuntimeError(f"{command} ended with {process.returncode}")
    return took, float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    cases: dict[str, Callable[[], tuple[float, float]]] = {
        name: functools.partial(whole, words) for name, (words, _) in COMMANDS.items()
    }
    for name, stages in PROFILES.items():
        cases[f"first result, {name}"] = functools.partial(first_result, name, stages)
    rows = []
    for name, found in in_turn(arguments.runs, cases).items():
        wall, cpu = (statistics.median(values) for values in zip(*found, strict=True))
        wanted = COMMANDS[name][1] if name in COMMANDS else None
        rows.append([name, f"{wall:.2f}", "" if cpu != cpu else f"{cpu:.2f}", wanted or ""])
    print(f"Medians of {arguments.runs} turns.\n")
    print(table(["start-up", "wall s", "CPU s", "wanted"], rows))


if __name__ == "__main__":
    main()
