"""The ``media`` service: the pixels of a job's video, decoded once for all nodes that look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mediaproc.blobs import BlobStore
from mediaproc.detect.plan import Plan
from mediaproc.detect.segments import segment_of
from mediaproc.detect.stages.sampling.sample_frames import STAGE as SAMPLE_FRAMES
from mediaproc.detect.stages.sampling.sample_frames import are_kept, sampled
from mediaproc.detect.state import Frame, Video
from mediaproc.errors import MediaError
from mediaproc.media import (
    FrameIndex,
    FramePool,
    Resample,
    SameVideo,
    Scaler,
    VideoInfo,
    decode_audio,
    open_video,
)

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream


@dataclass(frozen=True, slots=True)
class Sharing:
    """Which frames several nodes of a phase look at, so that they are decoded once.

    Attributes:
        readers: nodes that look at sampled frames.
        sampling: the configurations by which frames are sampled.
    """

    readers: int
    sampling: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, plan: Plan, phase: int, blobs: BlobStore) -> Sharing:
        """What the segment nodes of a phase share."""
        nodes = plan.in_phase(phase, "segment")
        # The pixels of kept frames are asked for once, to keep them.
        samplers = [n for n in nodes if n.stage == SAMPLE_FRAMES.name]
        kept = {n.id for n in samplers if are_kept(n.config, blobs)}
        readers = sum(not kept.issuperset(n.inputs.get("frames", ())) for n in nodes)
        return cls(readers + len(kept), tuple(n.config for n in samplers))

    def frames(self, index: FrameIndex, video: Video, start: int, end: int) -> frozenset[int]:
        """The sampled frames from ``start`` up to ``end``, which is left out."""
        if not self.readers or not self.sampling:
            return frozenset()
        segment = segment_of(0, [[start, end]], index)
        chosen = [sampled(segment, video, config) for config in self.sampling]
        return frozenset((np.flatnonzero(np.any(chosen, axis=0)) + start).tolist())


class VideoMedia:
    """The ``media`` service: the pixels and the sound of one video.

    Attributes:
        info: what is known of the video.
        index: its frames.
        video: what stages see of it.
    """

    def __init__(
        self,
        info: VideoInfo,
        index: FrameIndex,
        address: str,
        same: SameVideo,
        pool: FramePool,
        sharing: Sharing | None = None,
    ) -> None:
        self.info = info
        self.index = index
        self.video = _video(info)
        self._address = address
        self._same = same
        self._pool = pool
        self._sharing = sharing

    def shared(self, sharing: Sharing) -> VideoMedia:
        """The same pixels, for the nodes that share frames so."""
        return VideoMedia(self.info, self.index, self._address, self._same, self._pool, sharing)

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
        readers, shared = 1, frozenset[int]()
        if self._sharing is not None:
            readers = self._sharing.readers
            shared = self._sharing.frames(self.index, self.video, wanted[0], wanted[-1] + 1)
        scaler = Scaler(size_wh, resample)
        index = self.index
        for number, frame in self._pool.frames(wanted, readers=readers, shared=shared):
            yield Frame(number, int(index.pts[number]), index.time_s(number), scaler.image(frame))

    def opened(self) -> AbstractContextManager[tuple[InputContainer, VideoStream]]:
        """The file, open for reading its packets.

        Raises:
            MediaError: it cannot be opened, or is no longer the one that was indexed.
        """
        return open_video(self._address, self._same)

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


def _video(info: VideoInfo) -> Video:
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
