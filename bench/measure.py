"""Running a command and what it took."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """What a command took: seconds on the clock and of CPU, and its peak memory in MB (1e6)."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def measured(command: Sequence[str | Path], home: Path | None = None) -> Run:
    """Run a command to its end; its home is a fresh folder unless given."""
    with tempfile.TemporaryDirectory() as fresh, tempfile.TemporaryFile() as said:
        environment = {**os.environ, "MEDIAPROC_HOME": str(home or fresh)}
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command], env=environment, stdout=said, stderr=said, cwd=fresh
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{command} ended with {process.returncode}: {said.read().decode()}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)
