"""Running commands in turn, what they took, and tables of it."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).parents[1]

Key = TypeVar("Key")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Run:
    """What a command took: seconds on the clock and of CPU, and its peak memory in MB (1e6).

    Attributes:
        said: what it wrote to stdout.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    said: str = ""


@dataclass(frozen=True)
class Both:
    """A command on a short clip and on a long one, in one turn: a start costs the same in both.

    Attributes:
        frames: how many frames are looked at in each.
    """

    short: Run
    long: Run
    frames: tuple[int, int]

    @property
    def frame_ms(self) -> float:
        """Milliseconds on the clock that a frame takes, without the start."""
        return (self.long.wall_s - self.short.wall_s) / self._more * 1000

    @property
    def frame_cpu_ms(self) -> float:
        """Milliseconds of CPU that a frame takes, without the start."""
        return (self.long.cpu_s - self.short.cpu_s) / self._more * 1000

    @property
    def start_s(self) -> float:
        """Seconds that a start takes."""
        return self.short.wall_s - self.frame_ms / 1000 * self.frames[0]

    @property
    def _more(self) -> int:
        return self.frames[1] - self.frames[0]


def measured(
    command: Sequence[str | Path],
    home: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Run:
    """Run a command to its end; its home is a fresh folder unless given."""
    with (
        tempfile.TemporaryDirectory() as fresh,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as errors,
    ):
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command],
            env=surroundings(home or Path(fresh), environment),
            stdout=out,
            stderr=errors,
            cwd=fresh,
        )
        peak = _Peak(process.pid)
        peak.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        peak.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            said = errors.read().decode()
            raise RuntimeError(f"{command} ended with {process.returncode}: {said}")
        out.seek(0)
        said = out.read().decode()
    cpu = usage.ru_utime + usage.ru_stime
    return Run(wall, cpu, peak.mb, said)


class _Peak(threading.Thread):
    """Follows the peak memory of a process. What ``wait4`` tells begins with that of its parent."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._status = Path(f"/proc/{pid}/status")
        self.mb = 0.0

    def run(self) -> None:
        while True:
            try:
                said = self._status.read_text()
            except OSError:
                return
            found = re.search(r"VmHWM:\s+(\d+) kB", said)
            if found is None:  # it has ended
                return
            self.mb = int(found[1]) * 1024 / 1e6
            time.sleep(0.02)


def surroundings(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a measured command: this checkout, and nothing fetched or installed."""
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path),
        "MEDIAPROC_HOME": str(home),
        "YOLO_AUTOINSTALL": "false",
        "YOLO_OFFLINE": "true",
        "YOLO_VERBOSE": "false",
        **(more or {}),
    }


def in_turn(times: int, cases: Mapping[Key, Callable[[], Result]]) -> dict[Key, list[Result]]:
    """The results of all cases, A B C A B C ..., so that what the machine does meets them all."""
    found: dict[Key, list[Result]] = {key: [] for key in cases}
    for _ in range(times):
        for key, run in cases.items():
            found[key].append(run())
    return found


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The median of the ratios, each of two values of one turn."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def stored(folder: Path) -> int:
    """Bytes of the files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def median(runs: Sequence[Result], what: str) -> float:
    """The median of one of their attributes."""
    return statistics.median(getattr(run, what) for run in runs)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
