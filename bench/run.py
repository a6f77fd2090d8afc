"""All benchmarks, one after the other; Markdown into ``bench/results.md``.

    python bench/run.py [objects shots ...] [--quick]

``--quick`` takes short clips and single turns: whether everything works, not how fast it is.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import subprocess
import sys
import time
from pathlib import Path

from measure import cores

HERE = Path(__file__).parent
# Each with its heading, and its options for a quick run.
PARTS: dict[str, tuple[str, list[str]]] = {
    "startup": ("Start-up", ["--runs", "1"]),
    "objects": ("Objects", ["--runs", "1", "--short", "10", "--long", "20", "--every", "12"]),
    "shots": ("Shots", ["--runs", "1", "--short", "10", "--long", "20"]),
    "text": ("Text", ["--runs", "1", "--seconds", "20"]),
    "quickstart": ("The quickstart profile", ["--runs", "1", "--seconds", "10"]),
    "overhead": ("Checkpoints, cache and resume", ["--runs", "1", "--seconds", "40"]),
    "scaling": ("Long videos and many segments", ["--minutes", "1", "2", "--segments", "10", "60"]),
}
PACKAGES = ("ultralytics", "torch", "onnxruntime", "openvino", "av", "rapidocr", "scenedetect")


def machine() -> str:
    """Cores and kind of CPU."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if "model name" in line), "")
    return f"{cores()} cores, {model}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar="PART")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, default=HERE / "results.md")
    arguments = parser.parse_args()
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    text = f"# Results\n\nMade by `make bench`; {machine()}; {versions}.\n"
    started = time.monotonic()
    for part in arguments.parts or PARTS:
        heading, quick = PARTS[part]
        print(f"{part} ...", file=sys.stderr, flush=True)
        command = [sys.executable, HERE / f"{part}.py", *(quick if arguments.quick else [])]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        text += f"\n## {heading}\n\n{said.strip()}\n"
        arguments.out.write_text(text)  # what is done is kept, should a later part fail
    minutes = (time.monotonic() - started) / 60
    print(f"{arguments.out}: {minutes:.0f} minutes", file=sys.stderr)


if __name__ == "__main__":
    main()
