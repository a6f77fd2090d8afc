"""``sample_frames``: which frames of a segment the other stages look at."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.blobs import BlobStore
from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO
from mediaproc.detect.stages.channels import FRAMES
from mediaproc.detect.state import DetectState, Frames, MediaSource, Segment, Video


def sampled(segment: Segment, video: Video, config: dict[str, Any]) -> npt.NDArray[np.bool_]:
    """Which frames of a segment are chosen, shape (N,).

    The choice for a frame rests on the whole video's time grid and never on the segment, so that
    results do not depend on how a video is cut.
    """
    if config["only_keyframes"]:
        return segment.keyframes
    numbers = np.arange(segment.start_frame, segment.end_frame)
    if config["every"] > 0:
        chosen: npt.NDArray[np.bool_] = numbers % config["every"] == 0
        return chosen
    # The first frame at or after each tick of the grid, in exact arithmetic on the PTS: floats
    # would drift at 23.976 fps.
    step = Fraction(*video.time_base) * Fraction(config["fps"]).limit_denominator(100_000)

    def tick(pts: int) -> int:
        return (pts - segment.video_start_pts) * step.numerator // step.denominator

    ticks = np.array([tick(pts) for pts in segment.pts.tolist()])
    last = -1 if segment.pts_before is None else tick(segment.pts_before)
    fresh: npt.NDArray[np.bool_] = np.diff(ticks, prepend=last) > 0
    return fresh


def scaled_size(width: int, height: int, longest: int) -> tuple[int, int]:
    """Size with the longer side at most ``longest`` (0: as it is), even, aspect kept."""
    if longest <= 0 or max(width, height) <= longest:
        return width, height
    scale = longest / max(width, height)
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def sample_frames(
    state: DetectState, *, config: dict[str, Any], media: MediaSource, blobs: BlobStore
) -> dict[str, Any]:
    """Choose frames of the segment; they are decoded here only where they are kept."""
    chosen = sampled(state["segment"], state["video"], config)
    return {"frames": picked(state, chosen, config, media, blobs)}


def picked(
    state: DetectState,
    chosen: npt.NDArray[np.bool_],
    config: dict[str, Any],
    media: MediaSource,
    blobs: BlobStore,
) -> Frames:
    """The frames of the segment where ``chosen``, shape (N,), is true; kept where that is set."""
    segment, video = state["segment"], state["video"]
    frames = Frames(
        indexes=np.arange(segment.start_frame, segment.end_frame, dtype=np.int64)[chosen],
        pts=segment.pts[chosen],
        time_s=segment.time_s[chosen],
        size_wh=scaled_size(video.width, video.height, config["max_size"]),
        source_wh=(video.width, video.height),
        media=media,
    )
    if are_kept(config, blobs):
        from mediaproc.detect.kept import keep

        frames = keep(frames, blobs, config["quality"])
    return frames


def are_kept(config: dict[str, Any], blobs: BlobStore) -> bool:
    """Whether frames go into the blob store under this configuration."""
    return blobs.shared if config["keep"] == "auto" else config["keep"] == "all"


def identity(*, config: dict[str, Any], blobs: BlobStore) -> dict[str, Any]:
    """Whether frames are kept, since kept ones are seen through JPEG."""
    return {"kept": are_kept(config, blobs)}


def serialize(state: dict[str, Any], job_id: str) -> dict[str, Any]:
    """Which frames, and where they are kept; others are decoded again from the video."""
    frames: Frames = state["frames"]
    data: dict[str, Any] = {"frames": frames.to_json()}
    if packs := frames.media.stored():
        data["packs"] = packs
    return data


def deserialize(
    data: dict[str, Any], job_id: str, *, media: MediaSource, blobs: BlobStore
) -> dict[str, Any]:
    """The frames, to be read from where they are kept or through ``media``."""
    if "packs" not in data:
        return {"frames": Frames.from_json(data["frames"], media)}
    from mediaproc.detect.kept import frames_from_json

    return {"frames": frames_from_json(data["frames"], data["packs"], blobs)}


MAX_SIZE_FIELD = StageConfigField(
    "max_size",
    "int",
    0,
    "Longer side of the images in pixels; 0 means the video's own size.",
    min=0,
    max=16384,
)

KEEP_FIELDS = (
    StageConfigField(
        "keep",
        "str",
        "auto",
        "all: store the frames, as JPEG, so that a job goes on without its video; none: decode "
        "them from the video; auto: all in S3, none in a local folder.",
        options=["auto", "all", "none"],
    ),
    StageConfigField(
        "quality",
        "int",
        90,
        "JPEG quality of kept frames. More is larger, and nearer to the video.",
        min=1,
        max=100,
    ),
)

STAGE = StageDefinition(
    name="sample_frames",
    label="Sample frames",
    description="Chooses the frames that the other stages look at.",
    io=StageIO(reads=["video"], writes=["frames"]),
    config_fields=[
        StageConfigField(
            "fps",
            "float",
            2.0,
            "Frames per second of video. More finds briefer things and takes longer.",
            min=0.01,
            max=240.0,
        ),
        StageConfigField(
            "every",
            "int",
            0,
            "Take every Nth frame instead of a number per second; 0 means by fps.",
            min=0,
        ),
        StageConfigField(
            "only_keyframes",
            "bool",
            False,
            "Take only the video's keyframes, which are the cheapest to decode.",
        ),
        MAX_SIZE_FIELD,
        *KEEP_FIELDS,
    ],
    category="sampling",
    fn=sample_frames,
    identity_fn=identity,
    serialize_fn=serialize,
    deserialize_fn=deserialize,
    channels=[FRAMES],
)
