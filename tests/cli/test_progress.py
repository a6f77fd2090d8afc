"""What is shown of a job's events."""

from __future__ import annotations

from typing import Any

import pytest

from mediaproc.cli.common import ProgressMode
from mediaproc.cli.progress import display
from mediaproc.jobs import Job

JOB = Job("j", "v.mp4", "p", {}, {}, "out")
EVENTS: list[tuple[dict[str, Any], str]] = [
    ({"type": "elsewhere", "changes": ["cpu: a -> b"]}, "last digits may differ: cpu: a -> b"),
    ({"type": "without_video", "why": "it is gone"}, "without its video, with kept frames: it is"),
    ({"type": "failure", "node": "faces", "error": "boom"}, "faces failed and is skipped: boom"),
]


@pytest.mark.parametrize("mode", [ProgressMode.BAR, ProgressMode.LOG])
@pytest.mark.parametrize(("event", "said"), EVENTS)
def test_progress_tells_what_a_person_should_know(
    mode: ProgressMode,
    event: dict[str, Any],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with display(mode, JOB) as show:
        show({"job": "j", **event})
    assert said in " ".join(capsys.readouterr().err.split())
