"""What stages are given besides the state: pixels, models and blobs."""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from mediaproc.blobs import BlobRef, BlobStore
from mediaproc.detect.cache import CacheStore, Keys
from mediaproc.detect.models import ModelStore
from mediaproc.detect.parts import Part
from mediaproc.detect.pixels import Sharing, VideoMedia
from mediaproc.detect.plan import Plan, PlanNode, SegmentSpec
from mediaproc.detect.stages.base import REGISTRY, StageDefinition, wanted_services
from mediaproc.detect.state import Video
from mediaproc.errors import CheckpointError, MediaError
from mediaproc.media import (
    Decoder,
    FingerprintMemory,
    FrameIndex,
    FramePool,
    SameVideo,
    VideoInfo,
    index_video,
)

# What decoded frames take (YUV 4:2:0) of what ``max_mb`` counts for them (BGR).
POOLED_SHARE = 0.5
# Videos whose index stays in memory.
OPEN_VIDEOS = 8


@dataclass
class Services:
    """What the nodes of a graph share.

    Attributes:
        blobs: where binary data goes.
        models: loaded model weights, one per process and device.
        stage_calls: bounds how many stages work at once.
        plan: the graph's, where frames are shared among its nodes.
        segments_open: how many segments are worked at, at once.
        cache: results of earlier jobs, or None to do without.
        reuse: whether to take results over from the cache; new ones are kept either way.
        fingerprints: those of videos that were seen before.
    """

    blobs: BlobStore
    models: ModelStore
    stage_calls: AbstractContextManager[Any] = field(default_factory=nullcontext)
    cache: CacheStore | None = None
    reuse: bool = True
    fingerprints: FingerprintMemory | None = None
    plan: Plan | None = None
    segments_open: int = 1
    _videos: OrderedDict[str, VideoMedia] = field(default_factory=OrderedDict)
    _sharing: dict[int, Sharing] = field(default_factory=dict)
    _keys: dict[int, Keys] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def keys(self, plan: Plan) -> Keys:
        """The cache keys of a plan's nodes."""
        with self._lock:
            return self._keys.setdefault(id(plan), Keys(plan, self.models, self.blobs))

    def open_video(self, address: str) -> dict[str, Any]:
        """Index a video; the header, as JSON, from which ``media`` opens it again.

        The header holds the whole address, with what is masked elsewhere.
        """
        info, index = index_video(address, self.fingerprints)
        if info.frame_count == 0:
            raise MediaError(f"{info.path}: the video has no frame", path=info.path)
        header = {
            "info": info.to_json(),
            "index": self.blobs.put(index.to_bytes()).to_json(),
            "address": address,
        }
        self._keep(header, info, index)
        return header

    def media(self, header: Mapping[str, Any], node: PlanNode | None = None) -> VideoMedia:
        """The video behind a header that ``open_video`` gave, here or in an earlier process.

        Args:
            header: what ``open_video`` gave.
            node: who asks.
        """
        media = self._media(header)
        if node is None or node.scope == "video" or self.plan is None:
            return media
        if node.phase not in self._sharing:
            self._sharing[node.phase] = Sharing.of(self.plan, node.phase, self.blobs)
        return media.shared(self._sharing[node.phase])

    def _media(self, header: Mapping[str, Any]) -> VideoMedia:
        key = _key(header)
        with self._lock:
            if key in self._videos:
                self._videos.move_to_end(key)
                return self._videos[key]
        index = FrameIndex.from_bytes(self.blobs.get(BlobRef.from_json(header["index"])))
        info = VideoInfo.from_json(header["info"])
        return self._keep(header, info, index)

    def video(self, header: Mapping[str, Any]) -> Video:
        """The ``video`` that stages see."""
        return self._media(header).video

    def bind(self, function: Callable[..., Any], **more: Any) -> dict[str, Any]:
        """The keyword arguments that ``function`` declares, out of the services and ``more``."""
        offered = {"blobs": self.blobs, "models": self.models, **more}
        return {name: offered[name] for name in wanted_services(function) if name in offered}

    def restore(
        self,
        header: Mapping[str, Any],
        config: Mapping[str, Any],
        job_id: str,
        node: PlanNode | None = None,
    ) -> Any:
        """A function that restores the writes of a part from its data, for the node that reads."""

        def restore(part: Part, data: dict[str, Any]) -> dict[str, Any]:
            stage = REGISTRY.get(part.stage)
            data = migrated(part, stage, data)
            if stage.deserialize_fn is None:
                return data
            keywords = self.bind(
                stage.deserialize_fn,
                media=self.media(header, node),
                config=config.get(part.node, {}),
            )
            restored: dict[str, Any] = stage.deserialize_fn(data, job_id, **keywords)
            return restored

        return restore

    def _keep(self, header: Mapping[str, Any], info: VideoInfo, index: FrameIndex) -> VideoMedia:
        address, same = _address(header), SameVideo(info, self.fingerprints)
        budget = SegmentSpec() if self.plan is None else self.plan.segment
        most_bytes = int(self.segments_open * budget.max_mb * POOLED_SHARE * 1e6)
        pool = FramePool(lambda: Decoder(address, index, same), most_bytes)
        media = VideoMedia(info, index, address, same, pool)
        with self._lock:
            self._videos[_key(header)] = media
            while len(self._videos) > OPEN_VIDEOS:
                self._videos.popitem(last=False)
        return media


def _address(header: Mapping[str, Any]) -> str:
    # Headers of older checkpoints hold paths only.
    return str(header.get("address", header["info"]["path"]))


def migrated(part: Part, stage: StageDefinition, data: dict[str, Any]) -> dict[str, Any]:
    """A part's data in the version that ``stage`` has now.

    Raises:
        CheckpointError: a newer version wrote it, or no migration leads from there to here.
    """
    wrote = f"node {part.node!r}: the checkpoint was written by version {part.version} of stage"
    if part.version > stage.version:
        raise CheckpointError(
            f"{wrote} {part.stage!r}, and this is version {stage.version}: update the package of "
            "that stage to go on, or start a new job"
        )
    for version in range(part.version, stage.version):
        if version not in stage.migrate:
            raise CheckpointError(
                f"{wrote} {part.stage!r}, which is now at {stage.version} and cannot read it: go "
                "on with the version that wrote it, or start a new job"
            )
        data = stage.migrate[version](copy.deepcopy(data))  # the part keeps what was stored
    return data


def _key(header: Mapping[str, Any]) -> str:
    return f"{header['info']['fingerprint']} {_address(header)}"
