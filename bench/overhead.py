"""What durability costs and what it saves, as ratios in one run.

    python bench/overhead.py [--runs 2] [--seconds 120]

Checkpoints: CPU time of a job through the command line (SQLite, a local blob folder, a lease, the
cache written) against the same graph without a checkpointer, a job or a cache; and of a naive
LangGraph graph against itself without its checkpointer. Cache: a job again as it was, and after a
change in its last stage, against the first one, on the clock. Resume: a job killed half-way. Ways
in: the command line, the Python API, and a node of a host graph.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clips import WORK, repeated
from measure import Run, in_turn, measured, median, ratio, stored, surroundings, table

from tests.clips import real_clip

HERE = Path(__file__).parent
PROFILE = """
version: 1
name: overhead
stages:
  - sample_frames: {fps: 2}
  - detect_shots
  - detect_objects: {model: "pkg:nudenet/320n.onnx", image_size: 320}
  - track_objects
  - report
"""


@dataclass(frozen=True)
class Stopped:
    """A job that was killed half-way, and resumed.

    Attributes:
        before_s: from its start to the kill.
        done: share of its objects that were found by then.
        after_s: from the resume to its end.
    """

    before_s: float
    done: float
    after_s: float

    @property
    def wall_s(self) -> float:
        return self.before_s + self.after_s


class Bench:
    def __init__(self, clip: Path, folder: Path) -> None:
        self.profile = WORK / "overhead.yaml"
        self.profile.write_text(PROFILE)
        self.clip = clip
        self.folder = folder
        self.stored: dict[str, int] = {}
        self.jobs = 0

    def first(self) -> Run:
        """A job in a home of its own, which those after it in the turn share."""
        self.jobs += 1
        run = self.again()
        self.stored["job"] = stored(self.home)
        return run

    @property
    def home(self) -> Path:
        return self.folder / f"home-{self.jobs}"

    def again(self, *settings: str) -> Run:
        command = [sys.executable, "-m", "mediaproc", "detect", "-p", self.profile, self.clip]
        return measured([*command, "--out", self.folder / "out", *settings], self.home)

    def way(self, name: str) -> Run:
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            home = Path(folder) / "home"
            run = measured([sys.executable, HERE / "ways.py", name, self.profile, self.clip], home)
            self.stored[name] = stored(home)
        return run

    def stopped(self) -> Stopped:
        """Killed when half of the objects' calls have ended, without a word."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            home = Path(folder) / "home"
            command = [sys.executable, "-m", "mediaproc", "detect", "-p", str(self.profile)]
            command += ["--out", f"{folder}/out", "--job-id", "stopped", "--progress", "jsonl"]
            started = time.perf_counter()
            process = subprocess.Popen(
                [*command, str(self.clip)],
                env=surroundings(home),
                cwd=folder,
                stderr=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                text=True,
            )
            done = _half(process)
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            before = time.perf_counter() - started
            after = measured([sys.executable, "-m", "mediaproc", "resume", "stopped"], home)
        return Stopped(before, done, after.wall_s)


def _half(process: subprocess.Popen[str]) -> float:
    """Wait until half of the objects' calls have ended; the share that have."""
    assert process.stderr is not None
    for line in process.stderr:
        event = json.loads(line)
        if event["type"] == "node" and event["node"] == "detect_objects":
            share = float(event["done"] / event["total"])
            if share >= 0.5:
                return share
    raise RuntimeError("the job ended before half of its objects were found")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=120)
    arguments = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(repeated(real_clip("bikes"), arguments.seconds), Path(name))
        change = ("--set", "report.max_gap_s=2")
        cases: dict[str, Callable[[], object]] = {
            "job": bench.first,
            "unchanged": bench.again,
            "changed": functools.partial(bench.again, *change),
            "bare": functools.partial(bench.way, "bare"),
            "api": functools.partial(bench.way, "api"),
            "agent": functools.partial(bench.way, "agent"),
            "unsaved": functools.partial(bench.way, "unsaved"),
            "naive": functools.partial(bench.way, "naive"),
            "stopped": bench.stopped,
        }
        found: dict = in_turn(arguments.runs, cases)
    stopped: list[Stopped] = found.pop("stopped")
    names = {
        "job": "command line: job, checkpoints, cache written",
        "unchanged": "the same job again, warm cache",
        "changed": "after a change in its last stage",
        "bare": "graph alone, no checkpoints",
        "api": "Python API with checkpoints",
        "agent": "node of a host graph",
        "unsaved": "naive graph (objects alone), no checkpoints",
        "naive": "naive graph (objects alone), frames in its checkpoints",
    }
    rows = [
        [
            names[way],
            f"{median(runs, 'wall_s'):.1f}",
            f"{median(runs, 'cpu_s'):.1f}",
            f"{max(run.peak_mb for run in runs):.0f}",
            f"{bench.stored[way] / 1e6:.1f}" if way in bench.stored else "",
        ]
        for way, runs in found.items()
    ]
    print(
        f"{arguments.seconds} s of 640x272 with shots, objects and tracks; medians of "
        f"{arguments.runs} turns.\n"
    )
    print(table(["run", "wall s", "CPU s", "peak MB", "stored MB"], rows), end="\n\n")

    def cpu(way: str) -> list[float]:
        return [run.cpu_s for run in found[way]]

    def wall(way: str) -> list[float]:
        return [run.wall_s for run in found[way]]

    cost, naive = ratio(cpu("job"), cpu("bare")) - 1, ratio(cpu("naive"), cpu("unsaved")) - 1
    print(f"- Jobs, checkpoints and writing the cache: {cost:+.1%} CPU time.")
    print(f"- Naive checkpoints: {naive:+.1%} CPU time.")
    again = ratio(wall("unchanged"), wall("job"))
    print(f"- Again, unchanged: {again:.1%} of the first run's time.")
    print(f"- After a change in the last stage: {ratio(wall('changed'), wall('job')):.1%} of it.")
    for way in ("api", "agent"):
        more, spent = ratio(wall(way), wall("job")) - 1, ratio(cpu(way), cpu("job")) - 1
        print(
            f"- {names[way]}: {more:+.1%} of the command line's time, {spent:+.1%} of its CPU time "
            "(wanted: within 5%)."
        )
    print(
        f"- Killed when {median(stopped, 'done'):.0%} of the objects were found, after "
        f"{median(stopped, 'before_s'):.1f} s; the resume took {median(stopped, 'after_s'):.1f} s: "
        f"both together {ratio([one.wall_s for one in stopped], wall('job')):.2f}x an unbroken run."
    )


if __name__ == "__main__":
    main()
