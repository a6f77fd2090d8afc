"""The findings of a finished graph, as exporters take them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.addresses import video_name
from mediaproc.blobs import BlobStore
from mediaproc.detect.graph import collect_tables
from mediaproc.detect.models import ModelStore
from mediaproc.detect.parts import Part, distinct
from mediaproc.detect.plan import Plan
from mediaproc.detect.rows import Rows
from mediaproc.detect.services import Services
from mediaproc.detect.stages.base import REGISTRY
from mediaproc.detect.state import Frames, MediaSource
from mediaproc.media import VideoInfo
from mediaproc.outputs import Findings, SeenFrames, Table, TableColumn, VideoFacts


def collect_findings(
    values: Mapping[str, Any], plan: Plan, blobs: BlobStore, *, nodes: Sequence[str] = ()
) -> Findings:
    """What a finished graph found. The video is not opened before pixels are asked for.

    Args:
        values: ``graph.get_state(config).values``.
        plan: what the graph was built from.
        blobs: where large tables and kept frames were put.
        nodes: take the rows of these nodes only; those of all where empty.

    Raises:
        DamageError: two results differ that are of the same node and segment.
    """
    parts = distinct(values.get("parts", ()))
    frames = _frames(values, parts, blobs)
    made: dict[str, list[Rows]] = {}
    makers: dict[str, list[str]] = {}
    for node in plan.nodes:
        own = [part for part in parts if part.node == node.id]
        if nodes and node.id not in nodes:
            continue
        for channel, rows in collect_tables({**values, "parts": own}, blobs).items():
            made.setdefault(channel, []).append(rows)
            makers.setdefault(channel, []).append(node.id)
    header = values["header"]
    return Findings(
        video=_facts(VideoInfo.from_json(header["info"])),
        tables={
            channel: _table(channel, type(tables[0]).concat(tables), _seen(plan, ids, frames))
            for channel, tables, ids in ((c, made[c], makers[c]) for c in sorted(made))
        },
        failures=values.get("failures", []),
        images=_Images(header, blobs, [*frames.values()]),
    )


def _table(name: str, rows: Rows, seen: SeenFrames) -> Table:
    columns = [
        TableColumn(c.name, c.kind, rows.column(c.name), c.description) for c in rows.columns
    ]
    return Table(name, tuple(columns), seen)


def _facts(info: VideoInfo) -> VideoFacts:
    return VideoFacts(
        name=video_name(info.path),
        fingerprint=info.fingerprint,
        width=info.display_width,
        height=info.display_height,
        frame_rate=Fraction(*info.avg_frame_rate),
        duration_s=info.duration_s,
        frame_count=info.frame_count,
        time_base=Fraction(*info.time_base),
    )


def _frames(
    values: Mapping[str, Any], parts: Iterable[Part], blobs: BlobStore
) -> dict[str, Frames]:
    """The frames that each node chose, by node."""
    services = Services(blobs, ModelStore(Path()))
    restore = services.restore(values["header"], {}, "-")
    found: dict[str, list[Frames]] = {}
    for part in sorted(parts, key=lambda p: (p.node, -1 if p.segment is None else p.segment)):
        for channel in REGISTRY.get(part.stage).io.writes:
            if issubclass(REGISTRY.channel(channel).type, Frames):
                found.setdefault(part.node, []).append(part.open(restore)[channel])
    return {node: Frames.concat(pieces) for node, pieces in found.items()}


def _seen(plan: Plan, makers: Sequence[str], frames: Mapping[str, Frames]) -> SeenFrames:
    """The frames that the makers of a table looked at, or the makers of what they read."""
    times: dict[int, float] = {}
    known: set[str] = set()
    todo = [*makers]
    while todo:
        node = plan.node(todo.pop())
        if node.id in known:
            continue
        known.add(node.id)
        choosers = [c for producers in node.inputs.values() for c in producers if c in frames]
        for chooser in choosers:
            chosen = frames[chooser]
            times.update(zip(chosen.indexes.tolist(), chosen.time_s.tolist(), strict=True))
        if not choosers:
            todo += [producer for producers in node.inputs.values() for producer in producers]
    ordered = sorted(times.items())
    return SeenFrames(tuple(f for f, _ in ordered), tuple(time_s for _, time_s in ordered))


class _Images:
    """The pixels of frames: from where those are kept that were chosen, else from the video."""

    def __init__(
        self, header: Mapping[str, Any], blobs: BlobStore, chosen: Sequence[Frames]
    ) -> None:
        self._header = header
        self._blobs = blobs
        self._chosen = chosen

    def __call__(self, wanted: Sequence[int]) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
        video = Services(self._blobs, ModelStore(Path())).media(self._header)
        holder: dict[int, MediaSource] = {}
        for frames in self._chosen:
            for index in frames.indexes.tolist():
                holder.setdefault(index, frames.media)
        size_wh = (video.info.display_width, video.info.display_height)
        for media, run in groupby(wanted, key=lambda index: holder.get(index, video)):
            for frame in media.images([*run], size_wh=size_wh):
                yield frame.index, frame.image
