"""The state that stages read and write: the video, its segments and its frames.

Times are seconds from the first frame (float), with the exact container PTS beside them; frame
indexes count displayed frames from 0. Pixels never sit in the state: ``Frames`` decodes on
demand, and the tables of findings (``mediaproc.detect.tables``) load from the blob store when
they are large.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

import numpy as np
import numpy.typing as npt

from mediaproc.detect.products import Crops, Overlays, Pieces
from mediaproc.detect.tables import (
    Answers,
    CameraMotion,
    Codes,
    Detections,
    Events,
    Exposure,
    Files,
    FrameLabels,
    FrameScores,
    Matches,
    Motion,
    Reviews,
    Shots,
    Speech,
    SpeechScores,
    Texts,
    Totals,
    Tracks,
    Transcript,
)

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from mediaproc.media import FrameIndex, Resample, VideoInfo


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded frame.

    Attributes:
        index: index of the frame, from 0.
        pts: presentation time stamp, in the video's time base.
        time_s: seconds from the first frame.
        image: shape (H, W, 3), uint8, BGR.
    """

    index: int
    pts: int
    time_s: float
    image: npt.NDArray[np.uint8]


class MediaSource(Protocol):
    """The ``media`` service: the pixels of the job's video."""

    def images(
        self,
        frame_indexes: Sequence[int],
        *,
        size_wh: tuple[int, int] | None = None,
        resample: Resample = "smooth",
    ) -> Iterator[Frame]:
        """Decode the given frames, ascending, scaled to ``size_wh`` where given."""
        ...

    def stored(self) -> list[dict[str, Any]]:
        """Where the frames are kept, as JSON values; empty where they come from the video."""
        ...

    def joined(self, pieces: Sequence[Any]) -> MediaSource:
        """One source of the frames of several of its kind."""
        ...


class VideoSource(MediaSource, Protocol):
    """The ``media`` service as a whole: every frame of the video, and the file itself."""

    @property
    def info(self) -> VideoInfo:
        """What is known of the file."""
        ...

    @property
    def index(self) -> FrameIndex:
        """When each of its frames is shown."""
        ...

    def opened(self) -> AbstractContextManager[tuple[InputContainer, VideoStream]]:
        """The file, open for reading its packets; MediaError where it is another one by now."""


class AudioSource(Protocol):
    """The ``media`` service as stages that listen see it.

    Only the video itself holds sound: kept frames do not.
    """

    @property
    def has_audio(self) -> bool:
        """Whether the video has an audio track."""
        ...

    def audio(self, start_s: float, end_s: float) -> npt.NDArray[np.float32]:
        """The sound between two times, in seconds from the first frame.

        Shape (N,), float32, -1..1, mono, ``mediaproc.media.AUDIO_HZ`` samples per second; silence
        where the track has nothing, N = 0 without a track.
        """
        ...

    def end_s(self, frame_index: int) -> float:
        """Seconds from the first frame to the end of a frame."""
        ...

    def frame_at(self, time_s: float) -> tuple[int, int]:
        """Index and PTS of the frame on screen at a time; the first or last one outside."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Frames chosen from a segment; their pixels are decoded when asked for.

    Attributes:
        indexes: frame indexes, ascending, shape (N,), int64.
        pts: presentation time stamps, shape (N,), int64.
        time_s: seconds from the first frame of the video, shape (N,), float64.
        size_wh: width and height of the images, in pixels.
        source_wh: width and height of the displayed source frame, in pixels.
    """

    indexes: npt.NDArray[np.int64]
    pts: npt.NDArray[np.int64]
    time_s: npt.NDArray[np.float64]
    size_wh: tuple[int, int]
    source_wh: tuple[int, int]
    media: MediaSource

    def __len__(self) -> int:
        return len(self.indexes)

    def __repr__(self) -> str:
        return f"Frames({len(self)} of {self.size_wh[0]}x{self.size_wh[1]})"

    def images(
        self, *, size_wh: tuple[int, int] | None = None, resample: Resample = "smooth"
    ) -> Iterator[Frame]:
        """The frames with their pixels, at ``size_wh`` or at their own size."""
        size = size_wh or self.size_wh
        return self.media.images(self.indexes.tolist(), size_wh=size, resample=resample)

    def within(self, start_frame: int, end_frame: int) -> Frames:
        """The frames from ``start_frame`` up to ``end_frame``, which is left out."""
        return self.only((self.indexes >= start_frame) & (self.indexes < end_frame))

    @classmethod
    def by_frame(cls) -> bool:
        """Frames can be cut by time."""
        return True

    def read_from(self, media: MediaSource) -> Frames:
        """The same frames, with their pixels from elsewhere."""
        return replace(self, media=media)

    @classmethod
    def concat(cls, pieces: Sequence[Frames]) -> Frames:
        """The frames of several pieces of one video, in the order given."""
        first = pieces[0]
        return cls(
            np.concatenate([piece.indexes for piece in pieces]),
            np.concatenate([piece.pts for piece in pieces]),
            np.concatenate([piece.time_s for piece in pieces]),
            first.size_wh,
            first.source_wh,
            first.media.joined([piece.media for piece in pieces]),
        )

    def only(self, keep: npt.NDArray[np.bool_]) -> Frames:
        """The frames where ``keep``, shape (N,), is true."""
        return Frames(
            self.indexes[keep],
            self.pts[keep],
            self.time_s[keep],
            self.size_wh,
            self.source_wh,
            self.media,
        )

    def to_json(self) -> dict[str, Any]:
        """Which frames, as JSON; no pixels."""
        return {
            "indexes": self.indexes.tolist(),
            "pts": self.pts.tolist(),
            "time_s": self.time_s.tolist(),
            "size_wh": list(self.size_wh),
            "source_wh": list(self.source_wh),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], media: MediaSource) -> Frames:
        """The frames that ``to_json`` gave, to be read through ``media``."""
        return cls(
            np.asarray(data["indexes"], dtype=np.int64),
            np.asarray(data["pts"], dtype=np.int64),
            np.asarray(data["time_s"], dtype=np.float64),
            (int(data["size_wh"][0]), int(data["size_wh"][1])),
            (int(data["source_wh"][0]), int(data["source_wh"][1])),
            media,
        )


@dataclass(frozen=True, slots=True)
class Video:
    """What is known of the video before a frame is decoded.

    Attributes:
        path: as it was given; of a URL, credentials and query are masked. Pixels come from the
            ``media`` service, which knows the whole of it.
        fingerprint: SHA-256 of all its bytes, hex.
        width: of the displayed frame (after rotation), pixels.
        height: of the displayed frame, pixels.
        fps: mean frame rate, Hz.
        duration_s: from the first frame to the end of the last, seconds.
        frame_count: number of displayed frames.
        time_base: seconds per PTS unit, as (numerator, denominator).
    """

    path: str
    fingerprint: str
    width: int
    height: int
    fps: float
    duration_s: float
    frame_count: int
    time_base: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A run of anchor blocks that is processed in one go.

    Attributes:
        number: of the segment within its phase, from 0.
        blocks: (first frame, frame after the last) of each anchor block. What carries state from
            frame to frame restarts at each block, so that results do not depend on segments.
        pts: PTS of each frame of the segment, ascending, int64.
        time_s: seconds of each frame of the segment, float64.
        keyframes: whether each frame of the segment is a keyframe, bool.
        video_start_pts: PTS of the video's first frame.
        pts_before: PTS of the frame ahead of the segment, or None at the start of the video.
    """

    number: int
    blocks: tuple[tuple[int, int], ...]
    pts: npt.NDArray[np.int64]
    time_s: npt.NDArray[np.float64]
    keyframes: npt.NDArray[np.bool_]
    video_start_pts: int
    pts_before: int | None

    @property
    def start_frame(self) -> int:
        """First frame."""
        return self.blocks[0][0]

    @property
    def end_frame(self) -> int:
        """Frame after the last one."""
        return self.blocks[-1][1]


@dataclass(frozen=True, slots=True)
class Span:
    """A run of frames that a job looks at: the whole video, or a part that was asked for.

    Attributes:
        start_frame: first frame.
        end_frame: frame after the last one.
        start_s: time of the first frame, seconds.
        end_s: time at which the last frame ends, seconds.
    """

    start_frame: int
    end_frame: int
    start_s: float
    end_s: float


class DetectState(TypedDict, total=False):
    """What a stage sees: the given values, and the channels that its node reads.

    The builder adds the channels of the profile's stages; those of the shipped stages stand here.
    ``segment`` is there in segment scope. In video scope there are ``spans``, ascending and apart
    from each other, and ``failures``: what failed so far and was skipped, because the profile says
    ``on_error: skip``.
    """

    video: Video
    segment: Segment
    spans: tuple[Span, ...]
    failures: list[dict[str, Any]]
    frames: Frames
    frame_scores: FrameScores
    detections: Detections
    texts: Texts
    shots: Shots
    tracks: Tracks
    events: Events
    crop_plan: Tracks
    crop_cuts: Crops
    crops: Crops
    overlays: Overlays
    pieces: Pieces
    files: Files
    matches: Matches
    exposure: Exposure
    totals: Totals
    speech_scores: SpeechScores
    speech: Speech
    frame_labels: FrameLabels
    codes: Codes
    motion: Motion
    phrases: Transcript
    transcript: Transcript
    answers: Answers
    reviews: Reviews
    camera: CameraMotion
    report: dict[str, Any]
