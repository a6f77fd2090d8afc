"""Decoding chosen frames, each the same however far before it the decoding began."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from mediaproc.addresses import shown
from mediaproc.errors import MediaError
from mediaproc.media.index import FrameIndex
from mediaproc.media.probe import open_video
from mediaproc.media.source import Source

# "smooth" weighs all pixels that become one (swscale, in one step with the conversion to BGR);
# "linear" takes the nearest two each way (OpenCV's INTER_LINEAR, after the conversion), which is
# what detection models were trained on: their boxes move where it is done otherwise. Linear is the
# cheaper one when large frames shrink, smooth when hardly anything is left of them.
Resample = Literal["smooth", "linear"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """A decoded frame.

    Attributes:
        frame_index: index of the frame, from 0.
        pts: presentation time stamp, in the video's time base.
        time_s: seconds from the first frame.
        image: shape (H, W, 3), uint8, BGR, in display orientation.
    """

    frame_index: int
    pts: int
    time_s: float
    image: npt.NDArray[np.uint8]


def decode_frames(
    address: str,
    index: FrameIndex,
    wanted: Sequence[int],
    *,
    size_wh: tuple[int, int] | None = None,
    resample: Resample = "smooth",
    check: Callable[[Source], None] | None = None,
) -> Iterator[DecodedFrame]:
    """Decode the ``wanted`` frames, in one run from the keyframe before the first of them.

    Packets that no other frame refers to are skipped unless their frame is wanted, which leaves
    the wanted frames as they are, to the bit.

    Args:
        address: a path, ``s3://`` or ``http(s)://``.
        index: its frames.
        wanted: frame indexes, ascending.
        size_wh: width and height of the images as displayed; the frame's own where None.
        resample: how pixels are scaled; see ``Resample``.
        check: called with the opened source; see ``SameVideo``.

    Raises:
        MediaError: a wanted frame does not come out, the text names file, frame and time; or the
            bytes cannot be had, or are others than ``check`` allows.
    """
    if not len(wanted):
        return
    numbers = {int(index.labels[i]): i for i in wanted}
    done: set[int] = set()
    with open_video(address, check) as (container, stream):
        for label, frame in _forward(container, stream, index, wanted, numbers):
            number = numbers.get(label)
            if number is None or number in done:
                continue
            done.add(number)
            pts, time_s = int(index.pts[number]), index.time_s(number)
            yield DecodedFrame(number, pts, time_s, _image(frame, size_wh, resample))
            if len(done) == len(numbers):
                return
    path = shown(address)
    lost = next(i for i in wanted if i not in done)
    raise MediaError(
        f"{path}: frame {lost} at {index.time_s(lost):.3f} s cannot be decoded: the file is "
        "damaged there",
        path=path,
    )


def _forward(
    container: InputContainer,
    stream: VideoStream,
    index: FrameIndex,
    wanted: Sequence[int],
    numbers: dict[int, int],
) -> Iterator[tuple[int, Any]]:
    """Frames, with their labels, from a keyframe at or before the first wanted one to the last."""
    keyframe = index.keyframe_before(wanted[0])
    ahead = {int(label) for label in index.labels[: wanted[0] + 1]}
    after = {int(label) for label in index.labels[wanted[-1] + 1 :][:1]}
    while True:
        frames = _from_keyframe(container, stream, index, keyframe, numbers, after)
        first = next(frames, None)
        # Seeking in some containers lands too late, and not every frame that a container calls a
        # keyframe is one where decoding can begin: then it begins at an earlier one.
        if keyframe == 0 or (first is not None and first[0] in ahead):
            if first is not None:
                yield first
            yield from frames
            return
        keyframe = index.keyframe_before(keyframe - 1)


def _from_keyframe(
    container: InputContainer,
    stream: VideoStream,
    index: FrameIndex,
    keyframe: int,
    numbers: dict[int, int],
    after: set[int],
) -> Iterator[tuple[int, Any]]:
    context = stream.codec_context
    if not context.is_open:
        # Frame threads would keep several packets in flight, each with its own idea of what to
        # skip.
        context.thread_count = 1
    if keyframe == 0:
        container.seek(0, backward=True)
    else:
        container.seek(int(index.labels[keyframe]), stream=stream, backward=True)
    for packet in _until_error(container, stream):
        keep = not packet.size or packet.pts in numbers or packet.pts in after
        context.skip_frame = "DEFAULT" if keep else "NONREF"
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue
        for frame in frames:
            if frame.pts is None:
                continue
            yield frame.pts, frame
            # Frames come out in the order in which they are shown.
            if frame.pts in after:
                return


def _until_error(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    try:
        yield from container.demux(stream)
    except av.error.FFmpegError:
        # A damaged tail: the frames that are missing then are reported as such.
        return


def _image(
    frame: Any, size_wh: tuple[int, int] | None, resample: Resample
) -> npt.NDArray[np.uint8]:
    turned = -frame.rotation % 360
    width, height = (frame.width, frame.height)
    if size_wh is not None and resample == "linear":
        whole = _image(frame, None, resample)
        scaled: npt.NDArray[np.uint8] = cv2.resize(whole, size_wh, interpolation=cv2.INTER_LINEAR)
        return scaled
    if size_wh is not None:
        width, height = size_wh if turned % 180 == 0 else (size_wh[1], size_wh[0])
    image: npt.NDArray[np.uint8] = frame.to_ndarray(
        format="bgr24", width=width, height=height, interpolation="BILINEAR"
    )
    if turned:
        image = np.ascontiguousarray(np.rot90(image, -turned // 90))
    return image


_END = object()


@contextmanager
def prefetch(source: Iterator[T], depth: int) -> Iterator[Iterator[T]]:
    """Run ``source`` on a thread, at most ``depth`` frames ahead of the reader.

    Decoding then overlaps with what the reader does. An error of the source is raised in the
    reader; leaving the block early stops the thread.
    """
    items: queue.Queue[Any] = queue.Queue(maxsize=max(1, depth))
    stop = threading.Event()

    def put(item: Any) -> None:
        while not stop.is_set():
            try:
                items.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def run() -> None:
        try:
            for frame in source:
                put(frame)
                if stop.is_set():
                    return
            put(_END)
        except BaseException as error:
            put(error)
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()

    def read() -> Iterator[T]:
        while (item := items.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            yield item

    thread = threading.Thread(target=run, name="mediaproc-decode", daemon=True)
    thread.start()
    try:
        yield read()
    finally:
        stop.set()
        thread.join()
