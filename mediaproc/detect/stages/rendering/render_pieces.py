"""``render_pieces``: every frame of a segment with what lies over it, encoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.blobs import BlobStore
from mediaproc.detect.products import Pieces
from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO
from mediaproc.detect.stages.channels import PIECES, table_serializers
from mediaproc.detect.state import DetectState, VideoSource


def render_pieces(
    state: DetectState,
    *,
    config: dict[str, Any],
    media: VideoSource,
    blobs: BlobStore,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Draw and encode; each anchor block by itself, so that segments make no difference."""
    from mediaproc.detect.stages.rendering.painting import Painter
    from mediaproc.media import Encoding, encode_piece

    segment, video = state["segment"], state["video"]
    size_wh = video.width, video.height
    encoding = Encoding(config["crf"], config["preset"])
    done, total = 0, sum(end - start for start, end in segment.blocks)
    rows = []
    for start, end in segment.blocks:
        painter = Painter(state["overlays"], start, end, size_wh)

        def painted(
            painter: Painter = painter, start: int = start, end: int = end
        ) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
            # Of one size, also where that of the source changes on the way.
            for frame in media.images(range(start, end), size_wh=size_wh):
                painter.paint(frame.image, frame.index, frame.time_s)
                yield frame.pts, frame.image

        with blobs.scratch(".mp4") as path:
            encode_piece(path, painted(), media.info, encoding)
            ref = blobs.put_file(path)
        rows.append({"node": "", "frame_index": start, "end_frame": end, "blob": ref.to_json()})
        done += end - start
        progress(done, total)
    return {"pieces": Pieces.from_records(rows)}


def identity() -> dict[str, Any]:
    """The release that draws letters; that of the encoder counts for every stage."""
    return {"pillow": version("pillow")}


_SERIALIZE, _DESERIALIZE = table_serializers("pieces", Pieces)

FIELDS = [
    StageConfigField(
        "crf",
        "int",
        20,
        "Quality of the video, as x264's constant rate factor. Lower is better and larger: 18 "
        "looks like the source, 28 is for previews.",
        min=0,
        max=51,
    ),
    StageConfigField(
        "preset",
        "str",
        "veryfast",
        "Time that x264 spends on a smaller file.",
        options=[
            "ultrafast",
            "superfast",
            "veryfast",
            "faster",
            "fast",
            "medium",
            "slow",
            "slower",
        ],
    ),
]

STAGE = StageDefinition(
    name="render_pieces",
    label="Render pieces",
    description="Works ahead of render_video and redact: draws and encodes the frames.",
    io=StageIO(reads=["video", "overlays"], writes=["pieces"]),
    config_fields=FIELDS,
    category="output",
    fn=render_pieces,
    identity_fn=identity,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    channels=[PIECES],
)
