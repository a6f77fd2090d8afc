"""Putting encoded pieces together, with the sound of the source: ``render_video``, ``redact``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mediaproc.blobs import BlobRef, BlobStore
from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO
from mediaproc.detect.stages.channels import FILES, table_serializers
from mediaproc.detect.stages.rendering import render_pieces
from mediaproc.detect.state import DetectState, VideoSource
from mediaproc.detect.tables import Files


def join(
    state: DetectState, *, config: dict[str, Any], media: VideoSource, blobs: BlobStore
) -> dict[str, Any]:
    """One MP4 of all pieces. Where a part of the video has none, its last frame stays."""
    from mediaproc.media import Sound, join_pieces

    rows = sorted(state["pieces"].records(), key=lambda row: int(row["frame_index"]))
    index = media.index

    def pieces() -> Iterator[tuple[Path, Sequence[int]]]:
        for row in rows:
            with blobs.scratch(".mp4") as path:
                blobs.copy_to(BlobRef.from_json(row["blob"]), path)
                yield path, index.pts[row["frame_index"] : row["end_frame"]].tolist()

    last = rows[-1]["end_frame"] if rows else len(index)
    end = int(index.pts[-1]) + index.last_duration if last == len(index) else int(index.pts[last])
    with ExitStack() as stack:
        sound = None
        if config["sound"] == "keep":
            container, _ = stack.enter_context(media.opened())
            sound = Sound(container, end * index.time_base)
        path = stack.enter_context(blobs.scratch(".mp4"))
        join_pieces(
            path,
            pieces(),
            time_base=index.time_base,
            last_duration=end - int(index.pts[last - 1]),
            sound=sound,
        )
        ref = blobs.put_file(path)
    return {"files": Files.of("{node}.mp4", "video/mp4", ref)}


_SOUND = StageConfigField(
    "sound",
    "str",
    "keep",
    "Whether the source's sound is kept: as it is where browsers play it in MP4, else as AAC.",
    options=["keep", "none"],
)

_SERIALIZE, _DESERIALIZE = table_serializers("files", Files)


def joining_stage(
    name: str,
    label: str,
    description: str,
    planner: str,
    planner_fields: Sequence[StageConfigField],
) -> StageDefinition:
    """A stage that joins what ``render_pieces`` encodes of what ``planner`` plans."""
    return StageDefinition(
        name=name,
        label=label,
        description=description,
        io=StageIO(reads=["video", "pieces"], writes=["files"]),
        config_fields=[*planner_fields, *render_pieces.FIELDS, _SOUND],
        category="output",
        fn=join,
        serialize_fn=_SERIALIZE,
        deserialize_fn=_DESERIALIZE,
        scope="video",
        # Joining takes seconds, and a whole video would push much else out of the cache.
        cached=False,
        channels=[FILES],
        companions=(planner, render_pieces.STAGE.name),
    )
