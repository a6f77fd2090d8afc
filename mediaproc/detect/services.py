"""What stages are given besides the state: pixels, models and blobs."""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.blobs import BlobRef, BlobStore
from mediaproc.detect.cache import CacheStore, Keys
from mediaproc.detect.models import ModelStore
from mediaproc.detect.parts import Part
from mediaproc.detect.plan import Plan
from mediaproc.detect.stages.base import REGISTRY, StageDefinition, wanted_services
from mediaproc.detect.state import Frame, Video
from mediaproc.errors import CheckpointError, MediaError
from mediaproc.media import (
    FingerprintMemory,
    FrameIndex,
    Resample,
    SameVideo,
    VideoInfo,
    decode_audio,
    decode_frames,
    index_video,
    prefetch,
)

# Frames that a decoding thread may be ahead of its reader.
DECODE_AHEAD = 8
# Videos whose index stays in memory.
OPEN_VIDEOS = 8


class VideoMedia:
    """The ``media`` service: the pixels and the sound of one video.

    Attributes:
        info: what is known of the video.
        index: its frames.
    """

    def __init__(
        self,
        info: VideoInfo,
        index: FrameIndex,
        address: str,
        fingerprints: FingerprintMemory | None,
    ) -> None:
        self.info = info
        self.index = index
        self._address = address
        self._same = SameVideo(info, fingerprints)

    def images(
        self,
        frame_indexes: Sequence[int],
        *,
        size_wh: tuple[int, int] | None = None,
        resample: Resample = "smooth",
    ) -> Iterator[Frame]:
        """Decode the given frames, ascending, scaled to ``size_wh`` where given.

        Raises:
            MediaError: a frame cannot be decoded, the text names file, frame and time; or the
                video is no longer the one that was indexed.
        """
        wanted = [int(i) for i in frame_indexes]
        if not wanted:
            return
        decoded = decode_frames(
            self._address,
            self.index,
            wanted,
            size_wh=size_wh,
            resample=resample,
            check=self._same,
        )
        with prefetch(decoded, DECODE_AHEAD) as frames:
            for frame in frames:
                yield Frame(frame.frame_index, frame.pts, frame.time_s, frame.image)

    @property
    def has_audio(self) -> bool:
        """Whether the video has an audio track."""
        return self.info.has_audio

    def audio(self, start_s: float, end_s: float) -> npt.NDArray[np.float32]:
        """The sound between two times; see ``mediaproc.media.decode_audio``.

        Raises:
            MediaError: the video cannot be read, or is no longer the one that was indexed.
        """
        start_pts = int(self.index.pts[0])
        try:
            return decode_audio(
                self._address, start_pts, self.index.time_base, start_s, end_s, check=self._same
            )
        except MediaError as error:
            raise MediaError(
                f"{error}; its sound is read from the video itself, since kept frames hold none",
                path=self.info.path,
            ) from error

    def end_s(self, frame_index: int) -> float:
        """Seconds from the first frame to the end of a frame."""
        return self.index.end_s(frame_index)

    def frame_at(self, time_s: float) -> tuple[int, int]:
        """Index and PTS of the frame on screen at a time; the first or last one outside."""
        pts = int(self.index.pts[0]) + time_s / float(self.index.time_base)
        # Half a unit more, so that the time of a frame finds that frame however it was rounded.
        frame = max(0, int(np.searchsorted(self.index.pts, pts + 0.5, side="right")) - 1)
        return frame, int(self.index.pts[frame])

    def stored(self) -> list[dict[str, Any]]:
        """Nowhere: the frames come from the video."""
        return []

    def joined(self, pieces: Sequence[VideoMedia]) -> VideoMedia:
        """This source: all frames of a video come from one file."""
        return self


@dataclass
class Services:
    """What the nodes of a graph share.

    Attributes:
        blobs: where binary data goes.
        models: loaded model weights, one per process and device.
        stage_calls: bounds how many stages work at once.
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
    _videos: OrderedDict[str, VideoMedia] = field(default_factory=OrderedDict)
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
        self._keep(header, VideoMedia(info, index, address, self.fingerprints))
        return header

    def media(self, header: Mapping[str, Any]) -> VideoMedia:
        """The video behind a header that ``open_video`` gave, here or in an earlier process."""
        key = _key(header)
        with self._lock:
            if key in self._videos:
                self._videos.move_to_end(key)
                return self._videos[key]
        index = FrameIndex.from_bytes(self.blobs.get(BlobRef.from_json(header["index"])))
        info = VideoInfo.from_json(header["info"])
        media = VideoMedia(info, index, _address(header), self.fingerprints)
        self._keep(header, media)
        return media

    def video(self, header: Mapping[str, Any]) -> Video:
        """The ``video`` that stages see."""
        info = self.media(header).info
        return Video(
            path=info.path,
            fingerprint=info.fingerprint,
            width=info.display_width,
            height=info.display_height,
            fps=info.avg_frame_rate[0] / info.avg_frame_rate[1],
            duration_s=info.duration_s,
            frame_count=info.frame_count,
            time_base=info.time_base,
        )

    def bind(self, function: Callable[..., Any], **more: Any) -> dict[str, Any]:
        """The keyword arguments that ``function`` declares, out of the services and ``more``."""
        offered = {"blobs": self.blobs, "models": self.models, **more}
        return {name: offered[name] for name in wanted_services(function) if name in offered}

    def restore(self, header: Mapping[str, Any], config: Mapping[str, Any], job_id: str) -> Any:
        """A function that restores the writes of a part from its data."""

        def restore(part: Part, data: dict[str, Any]) -> dict[str, Any]:
            stage = REGISTRY.get(part.stage)
            data = migrated(part, stage, data)
            if stage.deserialize_fn is None:
                return data
            keywords = self.bind(
                stage.deserialize_fn, media=self.media(header), config=config.get(part.node, {})
            )
            restored: dict[str, Any] = stage.deserialize_fn(data, job_id, **keywords)
            return restored

        return restore

    def _keep(self, header: Mapping[str, Any], media: VideoMedia) -> None:
        with self._lock:
            self._videos[_key(header)] = media
            while len(self._videos) > OPEN_VIDEOS:
                self._videos.popitem(last=False)


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
