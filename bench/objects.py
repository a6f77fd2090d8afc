"""Objects in a 1080p clip: mediaproc, Ultralytics' own streams, and the floor, run in turn.

    python bench/objects.py [--runs 3] [--short 20] [--long 60] [--every 5 12] [--weights FILE.pt]

Each run is a whole process. Two lengths of clip tell what a frame costs from what a start costs:
the difference of their times, by the difference of their frames, is the steady state.
"""

from __future__ import annotations

import argparse
import functools
import json
import logging
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as parquet
from clips import WORK, encoded, repeated, scaled
from measure import Both, Run, cores, in_turn, measured, median, ratio, stored, table
from weights import CONFIDENCE, exported, untrained

from tests.clips import real_clip
from tests.scenes import moving_shapes
from tests.weights import SHAPES

HERE = Path(__file__).parent
OURS = {"onnx": "mediaproc, onnx", "openvino": "mediaproc, openvino"}
PT, PT2, ONNX, OPENVINO = (
    "Ultralytics .pt",
    f"Ultralytics .pt, torch at {cores()} threads",
    "Ultralytics .onnx",
    "Ultralytics OpenVINO",
)
# Which of ours each is held against, and the ratio that is wanted, by N.
AGAINST = {
    PT: ("onnx", {5: 2.2}),
    PT2: ("onnx", {5: 1.8}),
    ONNX: ("onnx", {5: 1.5, 12: 1.8}),
    OPENVINO: ("openvino", {5: 1.1}),
}
OF_THE_FLOOR = 0.9

PROFILE = """
version: 1
name: objects
stages:
  - sample_frames: {{every: {every}, keep: {keep}}}
  - detect_objects:
      model: {model}
      image_size: {size}
      min_confidence: {confidence}
      engine: {engine}
      half: {half}
  - report
"""


class Bench:
    """The cases of one N, on a short clip and on a long one."""

    def __init__(
        self, clips: tuple[Path, Path], weights: Path, every: int, size: int = 640
    ) -> None:
        self.clips = clips
        self.size = size
        self.every = every
        self.model = weights
        self.onnx = exported(weights, "onnx")
        self.openvino = exported(weights, "openvino")
        self.stored: dict[str, int] = {}
        self.half = has_bfloat16()

    def cases(self) -> dict[str, Callable[[], Both]]:
        """By name."""
        names = [n for n in AGAINST if n != PT2 or self.every in AGAINST[n][1]]
        theirs = {name: functools.partial(self._peer, name) for name in names}
        return theirs | {n: functools.partial(self._ours, e) for e, n in OURS.items()}

    def floor_ms(self, engine: str) -> tuple[float, float]:
        """Milliseconds of CPU per frame: decoding, and inference."""
        command = [sys.executable, HERE / "floor.py", self.clips[0], "--every", self.every]
        command += ["--size", "640x360", "--model", self.onnx, "--engine", engine]
        command += ["--half"] if self.half and engine == "openvino" else []
        said = json.loads(measured([str(word) for word in command]).said)
        return said["decode_ms"], said["inference_ms"]

    def profile(self, engine: str, keep: str = "none") -> Path:
        path = WORK / f"{self.model.stem}-{engine}-{self.every}-{keep}.yaml"
        text = PROFILE.format(
            every=self.every,
            keep=keep,
            model=self.onnx,
            size=self.size,
            confidence=CONFIDENCE,
            engine=engine,
            half=str(self.half and engine == "openvino").lower(),
        )
        path.write_text(text)
        return path

    def peer(self, name: str, clip: Path, *more: str | Path) -> Run:
        """One of Ultralytics' streams over a clip."""
        models = {ONNX: self.onnx, OPENVINO: self.openvino}
        command = [sys.executable, HERE / "peer_objects.py", models.get(name, self.model), clip]
        command += ["--every", str(self.every), "--confidence", str(CONFIDENCE)]
        command += ["--size", str(self.size), *more]
        return measured([*command, *(["--threads", str(cores())] if name == PT2 else [])])

    def _peer(self, name: str) -> Both:
        runs = [self.peer(name, clip) for clip in self.clips]
        return Both(runs[0], runs[1], (int(runs[0].said), int(runs[1].said)))

    def ours(self, engine: str, clip: Path) -> tuple[Run, npt.NDArray[np.float64]]:
        """A job over a clip, and what it found."""
        with tempfile.TemporaryDirectory() as folder:
            home, out = Path(folder) / "home", Path(folder) / "out"
            command = [sys.executable, "-m", "mediaproc", "detect", "--no-cache"]
            command += ["-p", str(self.profile(engine)), "--out", str(out), str(clip)]
            run = measured(command, home)
            self.stored[OURS[engine]] = stored(home)
            return run, boxes_of(out / "detections.parquet")

    def _ours(self, engine: str) -> Both:
        runs = [self.ours(engine, clip)[0] for clip in self.clips]
        frames = [-(-frames_of(clip) // self.every) for clip in self.clips]
        return Both(runs[0], runs[1], (frames[0], frames[1]))


def agreement() -> str:
    """How many of Ultralytics' boxes on the very same frames are mediaproc's, and the other way.

    With trained weights, on rendered shapes in 1080p: what untrained ones find turns on the last
    digit of a pixel. A stream with ``vid_stride`` begins with the Nth frame, so the frames are
    given to Ultralytics one by one.
    """
    images = (cv2.resize(image, (1920, 1080)) for image in moving_shapes(125).images())
    clip = encoded("shapes-1920x1080", images, (1920, 1080), 250)
    bench = Bench((clip, clip), SHAPES, every=5, size=320)
    ours = {engine: bench.ours(engine, clip)[1] for engine in OURS}
    rows = []
    for name, (engine, _) in AGAINST.items():
        with tempfile.TemporaryDirectory() as folder:
            boxes = Path(folder) / "boxes.npz"
            bench.peer(name, clip, "--same", "--boxes", boxes)
            theirs = np.load(boxes)["boxes"].astype(np.float64)
        share = matched(ours[engine], theirs)
        rows.append([name, OURS[engine], len(theirs), len(ours[engine]), f"{share:.1%}"])
    head = ["the same boxes, at IoU 0.95", "and", "its boxes", "mediaproc's", "in both"]
    return table(head, rows)


def has_bfloat16() -> bool:
    """Whether this CPU computes in bfloat16, which OpenVINO then takes by itself."""
    flags = Path("/proc/cpuinfo").read_text().split("flags", 1)[-1].splitlines()[0].split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def boxes_of(path: Path) -> npt.NDArray[np.float64]:
    """Rows of (frame, class, confidence, x1, y1, x2, y2)."""
    found = parquet.read_table(path)
    names = ("frame_index", "class_id", "confidence", "x1", "y1", "x2", "y2")
    return np.stack([found[name].to_numpy().astype(np.float64) for name in names], axis=1)


def matched(ones: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> float:
    """Share of the boxes of both that the other side has too, of their class, at IoU 0.95."""
    return (_hits(ones, others) + _hits(others, ones)) / max(1, len(ones) + len(others))


def _hits(ones: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> int:
    hits = 0
    for row in ones:
        mine = others[(others[:, 0] == row[0]) & (others[:, 1] == row[1]), 3:]
        low, high = np.maximum(row[3:5], mine[:, :2]), np.minimum(row[5:], mine[:, 2:])
        overlap = (high - low).clip(0).prod(axis=1)
        areas = (row[5:] - row[3:5]).prod() + (mine[:, 2:] - mine[:, :2]).prod(axis=1)
        hits += bool((overlap / (areas - overlap) >= 0.95).any())
    return hits


def shown(bench: Bench, runs: dict[str, list[Both]], floors: dict[str, list[float]]) -> str:
    """The table of one N, and the ratios that are wanted."""
    reference = {engine: runs[name] for engine, name in OURS.items()}
    rows = []
    for name, both in runs.items():
        whole = statistics.median(one.long.wall_s for one in both)
        rows.append(
            [
                name,
                f"{median(both, 'frame_ms'):.1f}",
                f"{median(both, 'frame_cpu_ms'):.1f}",
                f"{median(both, 'start_s'):.1f}",
                f"{whole:.1f}",
                f"{max(one.long.peak_mb for one in both):.0f}",
                f"{bench.stored[name] / 1000:.0f}" if name in bench.stored else "nothing",
            ]
        )
    for engine, values in floors.items():
        least = statistics.median(values)
        rows.append([f"floor, {engine}", f"{least:.1f}", f"{least * cores():.1f}", *[""] * 4])
    head = ["1 frame in " + str(bench.every), "ms a frame", "CPU ms a frame", "start s", "whole s"]
    head += ["peak MB", "stored KB"]
    lines = [table(head, rows), ""]
    for name, (engine, wanted) in AGAINST.items():
        if name not in runs:
            continue
        steady = ratio([b.frame_ms for b in runs[name]], [b.frame_ms for b in reference[engine]])
        whole = ratio(
            [b.long.wall_s for b in runs[name]], [b.long.wall_s for b in reference[engine]]
        )
        want = f" (wanted: {wanted[bench.every]}x)" if bench.every in wanted else ""
        lines.append(
            f"- {name} takes {steady:.2f}x the time of {OURS[engine]} a frame{want}, "
            f"{whole:.2f}x for the whole clip."
        )
    for engine, values in floors.items():
        share = ratio(values, [b.frame_ms for b in reference[engine]])
        lines.append(f"- {OURS[engine]}: {share:.0%} of the floor (wanted: {OF_THE_FLOOR:.0%}).")
    return "\n".join(lines)


def frames_of(clip: Path) -> int:
    with av.open(str(clip)) as container:
        return container.streams.video[0].frames


def on_s3(bench: Bench) -> str:
    """What a job with its blobs in S3 asks of the server."""
    import boto3

    from tests.s3 import FaultyProxy, moto_place, moto_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with moto_server() as url, FaultyProxy(url).running() as proxy:
        place = moto_place(proxy.url)
        client = boto3.client(
            "s3",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="TESTACCESSKEY",
            aws_secret_access_key="test-secret-key",
        )
        client.create_bucket(Bucket=place.bucket)
        rows = []
        for keep in ("none", "all"):
            proxy.count.clear()
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, "-m", "mediaproc", "detect", "--no-cache"]
                command += ["-p", str(bench.profile("onnx", keep)), "--out", f"{folder}/out"]
                place_url = f"s3://{place.bucket}/{keep}"
                measured(
                    [*command, str(bench.clips[1])],
                    Path(folder) / "home",
                    {**place.env, "MEDIAPROC_BLOBS": place_url},
                )
            pages = client.get_paginator("list_objects_v2").paginate(
                Bucket=place.bucket, Prefix=f"{keep}/"
            )
            sizes = [found["Size"] for page in pages for found in page.get("Contents", [])]
            counted = [str(proxy.count[method]) for method in ("PUT", "GET", "HEAD", "POST")]
            rows.append([f"keep: {keep}", *counted, str(len(sizes)), f"{sum(sizes) / 1e6:.2f}"])
    head = [f"blobs in S3, 1 frame in {bench.every}", "PUT", "GET", "HEAD", "POST", "objects", "MB"]
    return table(head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--short", type=int, default=20, help="seconds of the short clip")
    parser.add_argument("--long", type=int, default=60, help="seconds of the long clip")
    parser.add_argument("--every", type=int, nargs="+", default=[5, 12])
    parser.add_argument("--weights", type=Path, help="trained ones, such as yolo11n.pt")
    arguments = parser.parse_args()
    one = scaled(real_clip("bikes"), (1920, 1080), 250)
    clips = (repeated(one, arguments.short), repeated(one, arguments.long))
    weights = arguments.weights or untrained(real_clip("bikes"))
    said = "trained" if arguments.weights else "made by bench/weights.py, which trains nothing"
    precision = "bfloat16 in OpenVINO, as Ultralytics takes there, else " if has_bfloat16() else ""
    print(
        f"YOLO11n at 640 (weights {said}) on {arguments.long} s of 1080p H.264: 25 frames a "
        f"second, a keyframe in 250, 2 B-frames; {precision}float32; medians of "
        f"{arguments.runs} turns.\n"
    )
    for every in arguments.every:
        bench = Bench(clips, weights, every)
        cases: dict[str, Callable[[], object]] = dict(bench.cases())
        for engine in OURS:
            cases[f"floor {engine}"] = functools.partial(bench.floor_ms, engine)
        found = in_turn(arguments.runs, cases)
        runs: dict = {name: found[name] for name in bench.cases()}
        floors = {e: [sum(pair) / cores() for pair in found[f"floor {e}"]] for e in OURS}
        print(shown(bench, runs, floors), end="\n\n")
    print(agreement(), end="\n\n")
    print(on_s3(Bench(clips, weights, arguments.every[0])))


if __name__ == "__main__":
    main()
