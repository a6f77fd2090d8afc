"""A stage of another package: how bright each sampled frame is.

The module that the entry point names should be light: it is imported when stages are listed.
"""

from __future__ import annotations

from typing import Any

from mediaproc.detect.stages.base import StageDefinition, StageIO


def brightness(state: Any) -> dict[str, Any]:
    """Mean brightness of each frame, 0..255; plain JSON values need no serialisers."""
    return {
        "brightness": [
            {"time_s": frame.time_s, "mean": round(float(frame.image.mean()), 3)}
            for frame in state["frames"].images(size_wh=(64, 36))
        ]
    }


STAGES = [
    StageDefinition(
        name="brightness",
        label="Brightness",
        description="How bright each sampled frame is.",
        io=StageIO(reads=["frames"], writes=["brightness"]),
        category="analysis",
        fn=brightness,
    )
]
