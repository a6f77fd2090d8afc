"""Time and memory from 1 to 64 minutes of video, and from 10 to 3,000 segments.

    python bench/scaling.py [--minutes 1 4 16 64] [--segments 10 100 1000 3000]

Small frames (320x180, a keyframe a second), one frame a second looked at, so that an hour is soon
over: what is measured is the pipeline around the models. The segments are of one video, cut more
and more finely.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from clips import WORK, repeated, scaled
from measure import Run, measured, stored, table

from tests.clips import real_clip

PROFILE = """
version: 1
name: scaling
segment: {max_s: 20}
stages:
  - sample_frames: {fps: 1}
  - detect_objects: {model: "pkg:nudenet/320n.onnx", image_size: 320}
  - track_objects
  - report
"""


def run(clip: Path, *options: str) -> tuple[Run, int, int]:
    """A job; what it took, its segments, and the bytes that it stores."""
    profile = WORK / "scaling.yaml"
    profile.write_text(PROFILE)
    with tempfile.TemporaryDirectory() as folder:
        home, out = Path(folder) / "home", Path(folder) / "out"
        command = [sys.executable, "-m", "mediaproc", "detect", "-p", profile, clip, "--out", out]
        took = measured([*command, "--no-cache", *options], home)
        segments = json.loads((out / "run.json").read_text())["segments"]
        return took, segments, stored(home)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--segments", type=int, nargs="+", default=[10, 100, 1000, 3000])
    arguments = parser.parse_args()
    one = scaled(real_clip("bikes"), (320, 180), 25)
    print("One run of each; seconds a minute are without the start, which the first row bears.\n")
    rows, before = [], None
    for minutes in arguments.minutes:
        took, segments, size = run(repeated(one, minutes * 60))
        more = ["", ""]
        if before is not None:
            past, earlier = before
            step = minutes - past
            more = [
                f"{(took.wall_s - earlier.wall_s) / step:.2f}",
                f"{(took.cpu_s - earlier.cpu_s) / step:.2f}",
            ]
        before = (minutes, took)
        rows.append(
            [
                minutes,
                segments,
                f"{took.wall_s:.1f}",
                f"{took.cpu_s:.1f}",
                *more,
                f"{took.peak_mb:.0f}",
                f"{size / 1e6:.2f}",
            ]
        )
    head = [
        "minutes",
        "segments",
        "wall s",
        "CPU s",
        "wall s a minute more",
        "CPU s a minute more",
    ]
    print(table([*head, "peak MB", "stored MB"], rows), end="\n\n")
    longest = max(arguments.segments)  # blocks of a second, as many as segments
    clip = repeated(one, longest)
    rows = []
    for number in arguments.segments:
        # Half a second more, so that sums of whole seconds fit.
        bound = f"segment.max_s={longest // number + 0.5}"
        took, segments, size = run(clip, "--set", bound)
        rows.append(
            [
                segments,
                f"{took.wall_s:.1f}",
                f"{took.cpu_s:.1f}",
                f"{took.peak_mb:.0f}",
                f"{size / 1e6:.2f}",
            ]
        )
    head = [f"segments of {longest / 60:.0f} min", "wall s", "CPU s", "peak MB", "stored MB"]
    print(table(head, rows))


if __name__ == "__main__":
    main()
