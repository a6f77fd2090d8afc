"""Shots: mediaproc, PySceneDetect's own command and decoding alone, run in turn.

    python bench/shots.py [--runs 2] [--short 40] [--long 80]

Speed on a 1080p clip, all its frames. Each method is also held against the known cuts of a
rendered scene and of a real clip.
"""

from __future__ import annotations

import argparse
import csv
import functools
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import av
import pyarrow.parquet as parquet
from clips import WORK, repeated, scaled
from measure import Both, Run, cores, in_turn, measured, median, ratio, table

from tests.clips import real_clip
from tests.scenes import cuts_and_captions

HERE = Path(__file__).parent
# First frames of the shots of the real clip, after the first one.
BIKES = (30, 76, 137, 187, 242)
PROFILE = """
version: 1
name: shots
stages:
  - score_frames
  - detect_shots: {method: %s}
  - report
"""
METHODS = ("adaptive", "content")
OURS, THEIRS = "mediaproc, {}", "PySceneDetect detect-{}"

Case = Callable[[Path], tuple[Run, list[int]]]


def ours(method: str, clip: Path) -> tuple[Run, list[int]]:
    """A run of the command line, and the frames at which it cuts."""
    profile = WORK / f"shots-{method}.yaml"
    profile.write_text(PROFILE % method)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "mediaproc", "detect", "--no-cache", clip]
        run = measured([*command, "-p", profile, "--out", folder])
        found = parquet.read_table(Path(folder) / "shots.parquet")["start_frame"].to_pylist()
    return run, found[1:]


def theirs(method: str, clip: Path) -> tuple[Run, list[int]]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "scenedetect", "-q", "-i", clip, "-o", folder]
        run = measured([*command, f"detect-{method}", "list-scenes", "-s"])
        with next(Path(folder).glob("*.csv")).open() as file:
            found = [int(row["Start Frame"]) - 1 for row in csv.DictReader(file)]
    return run, found[1:]


def decoding_ms(clip: Path) -> float:
    """Milliseconds of CPU that decoding one frame takes, and nothing else."""
    said = measured([sys.executable, HERE / "floor.py", clip, "--every", "1"]).said
    return float(json.loads(said)["decode_ms"])


def on_both(case: Case, clips: tuple[Path, Path]) -> Both:
    runs = [case(clip)[0] for clip in clips]
    return Both(runs[0], runs[1], tuple(frames_of(clip) for clip in clips))


def frames_of(clip: Path) -> int:
    with av.open(str(clip)) as container:
        return container.streams.video[0].frames


def f1(found: list[int], cuts: list[int]) -> float:
    """Of cuts that lie within a frame of a known one."""
    hits = sum(any(abs(frame - cut) <= 1 for frame in found) for cut in cuts)
    return 2 * hits / (len(found) + len(cuts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--short", type=int, default=40, help="seconds of the short clip")
    parser.add_argument("--long", type=int, default=80, help="seconds of the long clip")
    arguments = parser.parse_args()
    one = scaled(real_clip("bikes"), (1920, 1080), 250)
    clips = (repeated(one, arguments.short), repeated(one, arguments.long))
    scene, rendered = cuts_and_captions(), WORK / "cuts.mp4"
    scene.render(rendered)
    known = {rendered: list(scene.cuts), real_clip("bikes"): list(BIKES)}
    cases: dict[str, Case] = {}
    for method in METHODS:
        cases[THEIRS.format(method)] = functools.partial(theirs, method)
        cases[OURS.format(method)] = functools.partial(ours, method)
    todo: dict[str, Callable[[], object]] = {
        name: functools.partial(on_both, case, clips) for name, case in cases.items()
    }
    todo["decoding"] = functools.partial(decoding_ms, clips[0])
    found: dict = in_turn(arguments.runs, todo)
    decoding = found.pop("decoding")
    rows = []
    for name, both in found.items():
        scores = [f1(cases[name](clip)[1], cuts) for clip, cuts in known.items()]
        rows.append(
            [
                name,
                f"{median(both, 'frame_ms'):.2f}",
                f"{median(both, 'frame_cpu_ms'):.2f}",
                f"{median(both, 'start_s'):.1f}",
                f"{median([b.long for b in both], 'wall_s'):.1f}",
                f"{max(b.long.peak_mb for b in both):.0f}",
                *(f"{score:.2f}" for score in scores),
            ]
        )
    least = sorted(decoding)[len(decoding) // 2]
    rows.append(["decoding alone", f"{least / cores():.2f}", f"{least:.2f}", *[""] * 5])
    print(
        f"All frames of {arguments.long} s of 1080p H.264; medians of {arguments.runs} turns; "
        "decoding alone on all cores at once.\n"
    )
    head = ["shots", "ms a frame", "CPU ms a frame", "start s", "whole s", "peak MB"]
    print(table([*head, "F1 rendered", "F1 real"], rows), end="\n\n")
    for method in METHODS:
        mine = found[OURS.format(method)]
        clock = ratio([b.frame_ms for b in mine], [ms / cores() for ms in decoding])
        cpu = ratio([b.frame_cpu_ms for b in mine], decoding)
        other = found[THEIRS.format(method)]
        steady = ratio([b.frame_ms for b in other], [b.frame_ms for b in mine])
        whole = ratio([b.long.wall_s for b in other], [b.long.wall_s for b in mine])
        print(
            f"- {OURS.format(method)}: {clock:.2f}x decoding alone on the clock, {cpu:.2f}x of CPU "
            f"(wanted: at most 1.10x). PySceneDetect takes {steady:.2f}x its time a frame, "
            f"{whole:.2f}x for the whole clip (wanted: at least 1x)."
        )


if __name__ == "__main__":
    main()
