"""What durability costs and what it saves, as ratios in one run.

Checkpoints: CPU time of a job through the command line (SQLite, a local blob folder, a lease, the
cache written) against the same graph without a checkpointer, a job or a cache, run by run in turn.
Cache: a job again after a change in its last stage, against the first one, on the clock.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from clips import WORK, repeated
from measure import Run, measured

from tests.clips import real_clip

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

BARE = """
import ctypes, sys
from pathlib import Path
ctypes.CDLL(None).mallopt(-8, 2)
from mediaproc.blobs import LocalBlobStore
from mediaproc.detect.graph import build_graph
from mediaproc.detect.models import ModelStore
from mediaproc.detect.profile import load_profile
profile, clip, folder = sys.argv[1:]
graph = build_graph(
    load_profile(profile), blobs=LocalBlobStore(Path(folder)), models=ModelStore(Path(folder))
)
assert graph.invoke({"video": clip})["report"]["objects"] is not None
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=180)
    arguments = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    profile = WORK / "overhead.yaml"
    profile.write_text(PROFILE)
    clip = repeated(real_clip("bikes"), arguments.seconds)
    detect = [Path(sys.executable).parent / "mediaproc", "detect", "-p", profile, clip]
    with_jobs: list[Run] = []
    bare: list[Run] = []
    warm: list[Run] = []
    for _ in range(arguments.runs):
        with tempfile.TemporaryDirectory() as name:
            home = Path(name) / "home"
            with_jobs.append(measured([*detect, "--out", WORK / "overhead"], home))
            change = ["--set", "report.max_gap_s=2"]
            warm.append(measured([*detect, "--out", WORK / "overhead", *change], home))
            bare.append(measured([sys.executable, "-c", BARE, profile, clip, Path(name) / "b"]))
    cost = statistics.median(a.cpu_s / b.cpu_s for a, b in zip(with_jobs, bare, strict=True)) - 1
    saved = statistics.median(a.wall_s / b.wall_s for a, b in zip(warm, with_jobs, strict=True))
    print("| run | CPU s | wall s |")
    print("|---|---|---|")
    for said, runs in (("job", with_jobs), ("graph alone", bare), ("job again", warm)):
        cpu, wall = (statistics.median(getattr(r, n) for r in runs) for n in ("cpu_s", "wall_s"))
        print(f"| {said} | {cpu:.1f} | {wall:.1f} |")
    print(f"\nJobs, checkpoints and writing the cache: {cost:+.1%} CPU time.")
    print(f"After a change in the last stage: {saved:.1%} of the first run's time.")


if __name__ == "__main__":
    main()
