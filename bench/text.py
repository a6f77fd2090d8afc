"""Text that stays over a moving picture: mediaproc's detect_text beside a plain RapidOCR loop.

    python bench/text.py [--runs 2] [--seconds 60] [--set skip_unchanged=false]

Both look at the same frames. A line is the same where its letters and digits are and the boxes
overlap by half; lost are the loop's lines that mediaproc has not, invented the other way round.
An interval is the same line in frames that follow each other; it is lost where the other side has
none of its text that shares half of the time of both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as parquet
from captioned import captioned, truth
from clips import FPS, WORK
from measure import Run, in_turn, measured, ratio, table

HERE = Path(__file__).parent
EVERY = 12
CONFIDENCE = 0.7
WANTED = 5.0
# mediaproc's own defaults, which the loop's lines are held to as well.
FEWEST_CHARACTERS, LOWEST_PX = 2, 8

PROFILE = """
version: 1
name: text
stages:
  - sample_frames: {{every: {every}, keep: none}}
  - detect_text: {{min_confidence: {confidence}}}
  - report
"""

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Seen:
    """A line in a frame."""

    frame: int
    text: str
    box: Box

    def same(self, other: Seen) -> bool:
        return self.text == other.text and _overlap(self.box, other.box) >= 0.5


@dataclass(frozen=True)
class Interval:
    """A line in frames that follow each other, the first and the last of them."""

    first: Seen
    last: int

    def same(self, other: Interval) -> bool:
        shared = min(self.last, other.last) - max(self.first.frame, other.first.frame) + EVERY
        both = max(self.last, other.last) - min(self.first.frame, other.first.frame) + EVERY
        return self.first.same(other.first) and shared / both >= 0.5


def plain(text: str) -> str:
    """Letters and digits alone, in small letters."""
    return "".join(character for character in text.casefold() if character.isalnum())


def intervals(lines: Sequence[Seen]) -> list[Interval]:
    done: list[Interval] = []
    going: list[Interval] = []
    for line in sorted(lines, key=lambda line: line.frame):
        going, ended = (
            [i for i in going if i.last >= line.frame - EVERY],
            [i for i in going if i.last < line.frame - EVERY],
        )
        done += ended
        mine = next((i for i in going if i.first.same(line)), None)
        if mine is not None:
            going.remove(mine)
        going.append(Interval(mine.first if mine else line, line.frame))
    return done + going


def without(ones: Sequence, others: Sequence) -> list:
    """Those of ``ones`` that ``others`` do not hold."""
    return [one for one in ones if not any(one.same(other) for other in others)]


def missing(ones: Sequence[Seen], others: Sequence[Seen]) -> list[Seen]:
    """``without``, frame by frame."""
    by_frame: dict[int, list[Seen]] = {}
    for line in others:
        by_frame.setdefault(line.frame, []).append(line)
    return [line for line in ones if without([line], by_frame.get(line.frame, []))]


def known(lines: Sequence[Seen], frames: int) -> float:
    """Share of the written lines, frame by frame, that were read to the letter."""
    read = {(line.frame, line.text) for line in lines}
    written = [
        (frame, plain(text))
        for frame in range(0, frames, EVERY)
        for text in truth(float(frame / FPS))
    ]
    return sum(line in read for line in written) / len(written)


def lines_of_ours(path: Path) -> list[Seen]:
    found = parquet.read_table(path).to_pylist()
    return [
        Seen(row["frame_index"], plain(row["text"]), (row["x1"], row["y1"], row["x2"], row["y2"]))
        for row in found
    ]


def lines_of_loop(path: Path) -> list[Seen]:
    found = []
    for frame, text, _, x1, y1, x2, y2 in json.loads(path.read_text()):
        if len(plain(text)) >= FEWEST_CHARACTERS and y2 - y1 >= LOWEST_PX:
            found.append(Seen(frame, plain(text), (x1, y1, x2, y2)))
    return found


def _overlap(one: Box, other: Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, across) * max(0.0, down)
    areas = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (one, other))
    return shared / (areas - shared) if areas > shared else 0.0


def told(lines: Sequence[Seen]) -> str:
    counted: dict[str, int] = {}
    for line in lines:
        counted[line.text] = counted.get(line.text, 0) + 1
    most = sorted(counted.items(), key=lambda item: -item[1])[:8]
    return ", ".join(f"{text} ({count})" for text, count in most) or "none"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--set", action="append", default=[], help="of detect_text: FIELD=VALUE")
    arguments = parser.parse_args()
    clip = captioned(arguments.seconds)
    frames = round(arguments.seconds * FPS)
    profile = WORK / "text.yaml"
    profile.write_text(PROFILE.format(every=EVERY, confidence=CONFIDENCE))
    found: dict[str, list[Seen]] = {}

    def ours() -> Run:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "mediaproc", "detect", "--no-cache", clip]
            for setting in arguments.set:
                command += ["--set", f"detect_text.{setting}"]
            run = measured([*command, "-p", profile, "--out", folder])
            found["ours"] = lines_of_ours(Path(folder) / "texts.parquet")
        return run

    def loop() -> Run:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "lines.json"
            command = [sys.executable, HERE / "peer_text.py", clip, "--every", str(EVERY)]
            run = measured([*command, "--confidence", str(CONFIDENCE), "--lines", path])
            found["loop"] = lines_of_loop(path)
        return run

    names = {"loop": "RapidOCR loop", "ours": "mediaproc detect_text"}
    runs = in_turn(arguments.runs, {"loop": loop, "ours": ours})
    spans = {name: intervals(lines) for name, lines in found.items()}
    rows = [
        [
            names[name],
            f"{statistics.median(run.wall_s for run in runs[name]):.1f}",
            f"{statistics.median(run.cpu_s for run in runs[name]):.1f}",
            f"{max(run.peak_mb for run in runs[name]):.0f}",
            len(found[name]),
            len(spans[name]),
            f"{known(found[name], frames):.1%}",
        ]
        for name in names
    ]
    print(
        f"{arguments.seconds} s of 1280x720 with captions of 3-8 s, every {EVERY}th frame of "
        f"{FPS} a second; medians of {arguments.runs} turns.\n"
    )
    head = ["text", "wall s", "CPU s", "peak MB", "lines", "intervals", "written lines read"]
    print(table(head, rows), end="\n\n")
    lost, invented = missing(found["loop"], found["ours"]), missing(found["ours"], found["loop"])
    wall = ratio([run.wall_s for run in runs["loop"]], [run.wall_s for run in runs["ours"]])
    cpu = ratio([run.cpu_s for run in runs["loop"]], [run.cpu_s for run in runs["ours"]])
    print(f"- The loop takes {wall:.2f}x the time (wanted: {WANTED:g}x), {cpu:.2f}x the CPU time.")
    print(f"- Lines lost: {len(lost)} of {len(found['loop'])}: {told(lost)}.")
    print(f"- Lines invented: {len(invented)} of {len(found['ours'])}: {told(invented)}.")
    for what, ones, others in (("lost", "loop", "ours"), ("invented", "ours", "loop")):
        gone = without(spans[ones], spans[others])
        print(
            f"- Intervals {what}: {len(gone)} of {len(spans[ones])}: "
            f"{told([interval.first for interval in gone])}."
        )


if __name__ == "__main__":
    main()
