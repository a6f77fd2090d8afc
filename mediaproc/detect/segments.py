"""Cutting a video into segments: unions of anchor blocks within a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mediaproc.detect.plan import Plan, SegmentSpec
from mediaproc.detect.stages.sampling.sample_frames import STAGE as SAMPLE_FRAMES
from mediaproc.detect.stages.sampling.sample_frames import sampled, scaled_size
from mediaproc.detect.state import Segment, Video
from mediaproc.errors import MediaError
from mediaproc.media import AnchorBlock, FrameIndex, anchors

Blocks = list[list[int]]


def cut(
    index: FrameIndex, video: Video, plan: Plan, span: Mapping[str, Any] | None
) -> list[Blocks]:
    """The segments of a job, each as ``[[first frame, frame after the last], ...]`` of its blocks.

    Args:
        index: the video's frames.
        video: the video.
        plan: whose sampling decides how much memory a segment takes.
        span: ``from_s`` and ``to_s`` bound what is looked at, to whole anchor blocks; ``sample``
            takes that many blocks, spread evenly. None means the whole video.

    Raises:
        MediaError: no frame lies in the span.
    """
    blocks = _chosen(anchors(index), index, video, span or {})
    sizes = _megabytes(blocks, index, video, plan)
    segments: list[Blocks] = []
    taken_s = taken_mb = 0.0
    for block, size_mb in zip(blocks, sizes, strict=True):
        length_s = index.end_s(block.end_frame - 1) - index.time_s(block.start_frame)
        adjacent = segments and segments[-1][-1][1] == block.start_frame
        if not adjacent or not _fits(taken_s + length_s, taken_mb + size_mb, plan.segment):
            segments.append([])
            taken_s = taken_mb = 0.0
        segments[-1].append([block.start_frame, block.end_frame])
        taken_s += length_s
        taken_mb += size_mb
    return segments


def segment_of(number: int, blocks: Blocks, index: FrameIndex) -> Segment:
    """The segment that stages see."""
    first, last = blocks[0][0], blocks[-1][1]
    pts = index.pts[first:last]
    return Segment(
        number=number,
        blocks=tuple((start, end) for start, end in blocks),
        pts=pts,
        time_s=np.array([index.time_s(i) for i in range(first, last)], dtype=np.float64),
        keyframes=index.keyframes[first:last],
        video_start_pts=int(index.pts[0]),
        pts_before=int(index.pts[first - 1]) if first else None,
    )


def _fits(seconds: float, megabytes: float, spec: SegmentSpec) -> bool:
    return seconds <= spec.max_s and megabytes <= spec.max_mb


def _chosen(
    blocks: Sequence[AnchorBlock], index: FrameIndex, video: Video, span: Mapping[str, Any]
) -> list[AnchorBlock]:
    from_s = span.get("from_s") or 0.0
    to_s = span.get("to_s")
    inside = [
        block
        for block in blocks
        if index.end_s(block.end_frame - 1) > from_s
        and (to_s is None or index.time_s(block.start_frame) < to_s)
    ]
    if not inside:
        raise MediaError(
            f"{video.path}: no frame between {from_s:g} s and "
            f"{'the end' if to_s is None else f'{to_s:g} s'}; the video lasts "
            f"{video.duration_s:.3f} s",
            path=video.path,
        )
    count = span.get("sample")
    if count is None or count >= len(inside):
        return inside
    # The middles of `count` equal parts.
    return [inside[(2 * i + 1) * len(inside) // (2 * count)] for i in range(count)]


def _megabytes(
    blocks: Sequence[AnchorBlock], index: FrameIndex, video: Video, plan: Plan
) -> list[float]:
    """Memory that each block's sampled frames take decoded, in MB, for the densest sampling."""
    sizes = [0.0] * len(blocks)
    for node in plan.nodes:
        if node.stage != SAMPLE_FRAMES.name:
            continue
        width, height = scaled_size(video.width, video.height, node.config["max_size"])
        for position, block in enumerate(blocks):
            segment = segment_of(0, [[block.start_frame, block.end_frame]], index)
            count = int(sampled(segment, video, node.config).sum())
            sizes[position] = max(sizes[position], count * width * height * 3 / 1e6)
    return sizes
