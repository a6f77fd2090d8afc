"""Paid answers on disk until the stage that asked has ended, so that a kill does not pay twice."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any


class AnswerJournal:
    """The answers to one set of questions, a JSON line for each.

    It serves this machine: elsewhere, a job asks anew what no checkpoint holds yet.

    Args:
        folder: where journals are.
        about: all that the answers follow from, as JSON: other questions have another journal.
    """

    def __init__(self, folder: Path, about: Any) -> None:
        text = json.dumps(about, sort_keys=True)
        self._path = folder / f"{hashlib.sha256(text.encode()).hexdigest()}.jsonl"
        self._lock = threading.Lock()

    def answers(self) -> dict[str, dict[str, Any]]:
        """What was answered before, by key; a line that was cut short by a kill does not count."""
        if not self._path.exists():
            return {}
        found = {}
        for line in self._path.read_text().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            found[entry["key"]] = entry["answer"]
        return found

    def add(self, key: str, answer: dict[str, Any]) -> None:
        """Write an answer down; it is on disk when this returns."""
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as file:
                # A line that a kill cut short must not swallow this one.
                file.write(f"\n{json.dumps({'key': key, 'answer': answer})}\n")
                file.flush()
                os.fsync(file.fileno())

    def close(self) -> None:
        """Delete it: the stage hands its results on."""
        self._path.unlink(missing_ok=True)
