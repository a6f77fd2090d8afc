"""Peak memory of a 30-minute video beside that of a 3-minute one, over every kind of stage."""

from __future__ import annotations

import sys
from pathlib import Path

from clips import WORK, repeated
from measure import measured

from tests.clips import real_clip

PROFILE = """
version: 1
name: memory
nodes:
  frames: {stage: sample_frames, config: {fps: 2}}
  few: {stage: sample_frames, config: {fps: 0.2}}
  scores: {stage: score_frames}
  shots: {stage: detect_shots}
  boxes:
    stage: detect_objects
    config: {model: "pkg:nudenet/320n.onnx", image_size: 320, min_confidence: 0.1}
    from: {frames: [frames]}
  track: {stage: track_objects, from: {frames: [frames]}}
  texts: {stage: detect_text, from: {frames: [few]}}
  report: {stage: report}
"""


def main() -> None:
    WORK.mkdir(exist_ok=True)
    profile = WORK / "memory.yaml"
    profile.write_text(PROFILE)
    command = Path(sys.executable).parent / "mediaproc"
    rows = []
    for minutes in (3, 30):
        clip = repeated(real_clip("bikes"), minutes * 60)
        out = WORK / f"out-{minutes}"
        run = measured([command, "detect", "--profile", profile, "--out", out, clip])
        rows.append((minutes, run))
    print("| minutes of video | wall s | CPU s | peak MB | against the first |")
    print("|---|---|---|---|---|")
    for minutes, run in rows:
        ratio = run.peak_mb / rows[0][1].peak_mb
        print(
            f"| {minutes} | {run.wall_s:.0f} | {run.cpu_s:.0f} | {run.peak_mb:.0f} | {ratio:.2f} |"
        )


if __name__ == "__main__":
    main()
