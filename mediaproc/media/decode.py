"""Decoding chosen frames, each the same however far before it the decoding began."""

from __future__ import annotations

import queue
import threading
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from mediaproc.errors import MediaError
from mediaproc.media.index import FrameIndex
from mediaproc.media.probe import open_container
from mediaproc.media.source import Source, open_source
from mediaproc.timing import timed

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


class Scaler:
    """Makes images of decoded frames; for one thread.

    Args:
        size_wh: width and height of the images as displayed; the frame's own where None.
        resample: how pixels are scaled; see ``Resample``.
    """

    def __init__(self, size_wh: tuple[int, int] | None, resample: Resample) -> None:
        self._size = size_wh
        self._resample = resample
        # One of our own: a frame's own is shared by all threads that look at the frame.
        self._reformatter = VideoReformatter()

    def image(self, frame: VideoFrame) -> npt.NDArray[np.uint8]:
        """The image of a frame, shape (H, W, 3), uint8, BGR, in display orientation."""
        with timed("scale"):
            if self._size is None or self._resample == "smooth":
                return self._converted(frame, self._size)
            whole = self._converted(frame, None)
            if self._size == (whole.shape[1], whole.shape[0]):
                return whole
            scaled: npt.NDArray[np.uint8] = cv2.resize(
                whole, self._size, interpolation=cv2.INTER_LINEAR
            )
            return scaled

    def _converted(
        self, frame: VideoFrame, size_wh: tuple[int, int] | None
    ) -> npt.NDArray[np.uint8]:
        turned = -frame.rotation % 360
        width, height = frame.width, frame.height
        if size_wh is not None:
            width, height = size_wh if turned % 180 == 0 else (size_wh[1], size_wh[0])
        converted = self._reformatter.reformat(
            frame, width, height, "bgr24", interpolation="BILINEAR"
        )
        image = cast(npt.NDArray[np.uint8], converted.to_ndarray())
        if turned:
            image = np.ascontiguousarray(np.rot90(image, -turned // 90))
        return image


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

    Args:
        address: a path, ``s3://`` or ``http(s)://``.
        index: its frames.
        wanted: frame indexes, ascending.
        size_wh: width and height of the images as displayed; the frame's own where None.
        resample: how pixels are scaled; see ``Resample``.
        check: called with the opened source; see ``SameVideo``.

    Raises:
        MediaError: see ``Decoder``.
    """
    if not len(wanted):
        return
    scaler = Scaler(size_wh, resample)
    with closing(Decoder(address, index, check)) as decoder:
        for number, frame in decoder.frames(wanted):
            pts, time_s = int(index.pts[number]), index.time_s(number)
            yield DecodedFrame(number, pts, time_s, scaler.image(frame))


class Decoder:
    """An open video that gives chosen frames, and goes on from where it stopped.

    For one thread at a time; no more to be used after an error.

    Args:
        address: a path, ``s3://`` or ``http(s)://``.
        index: its frames.
        check: called with the opened source; see ``SameVideo``.

    Raises:
        MediaError: the bytes cannot be had, or are others than ``check`` allows.
    """

    def __init__(
        self, address: str, index: FrameIndex, check: Callable[[Source], None] | None = None
    ) -> None:
        self._address = address
        self._index = index
        # Where frames come out under other stamps than they are shown at, nothing tells which of
        # them are still to come.
        self._ordered = bool(np.array_equal(index.labels, index.pts))
        with ExitStack() as opened:
            self._source = opened.enter_context(open_source(address))
            if check is not None:
                check(self._source)
            self._container, self._stream = opened.enter_context(open_container(self._source))
            self._close = weakref.finalize(self, _closed, opened.pop_all())
        # Frame threads would keep several packets in flight, each with its own idea of what to
        # skip.
        self._stream.codec_context.thread_count = 1
        self._packets: Iterator[Packet[VideoStream]] = iter(())
        self._out: deque[VideoFrame] = deque()
        self._next: int | None = None

    def close(self) -> None:
        """Let go of the file or the connection."""
        self._close()

    def goes_on_to(self, frame: int) -> bool:
        """Whether it gets to ``frame`` without seeking, and no later than by seeking."""
        return self._next is not None and self._index.keyframe_before(frame) <= self._next <= frame

    def unchanged(self) -> bool:
        """Whether what it has opened is still there, and did not fail."""
        try:
            self._source.check()
        except MediaError:
            return False
        return True

    def frames(self, wanted: Sequence[int]) -> Generator[tuple[int, VideoFrame]]:
        """The ``wanted`` frames, ascending, each with its number.

        Packets that no other frame refers to are skipped unless their frame is wanted, which
        leaves the wanted frames as they are, to the bit.

        Raises:
            MediaError: a wanted frame does not come out, the text names file, frame and time; or
                the bytes cannot be read or change meanwhile.
        """
        run = _Run(self._index, wanted, self._ordered)
        on = self.goes_on_to(wanted[0])
        self._next = None  # until this run has ended well
        done: set[int] = set()
        try:
            for label, frame in self._decoded(run) if on else self._from_keyframe(run):
                number = run.numbers.get(label)
                if number is None or number in done:
                    continue
                done.add(number)
                if len(done) == len(run.numbers):
                    self._source.check()
                    self._next = wanted[-1] + 1 if self._ordered else None
                    yield number, frame
                    return
                yield number, frame
            lost = next(i for i in wanted if i not in done)
            raise MediaError(
                f"{self._source.shown}: frame {lost} at {self._index.time_s(lost):.3f} s cannot "
                "be decoded: the file is damaged there",
                path=self._source.shown,
            )
        except Exception:
            # What FFmpeg makes of a read that failed is not the cause.
            self._source.check()
            raise

    def _from_keyframe(self, run: _Run) -> Iterator[tuple[int, VideoFrame]]:
        """Frames, with their labels, from a keyframe at or before the first wanted one."""
        keyframe = self._index.keyframe_before(run.first)
        while True:
            self._seek(keyframe)
            frames = self._decoded(run)
            first = next(frames, None)
            # Seeking in some containers lands too late, and not every frame that a container calls
            # a keyframe is one where decoding can begin: then it begins at an earlier one.
            if keyframe == 0 or (first is not None and self._is_ahead(first[0], run.first)):
                if first is not None:
                    yield first
                yield from frames
                return
            keyframe = self._index.keyframe_before(keyframe - 1)

    def _is_ahead(self, label: int, first: int) -> bool:
        """Whether a frame is shown no later than ``first``."""
        if self._ordered:
            return label <= int(self._index.labels[first])
        return bool(np.any(self._index.labels[: first + 1] == label))

    def _seek(self, keyframe: int) -> None:
        if keyframe == 0:
            self._container.seek(0, backward=True)
        else:
            stamp = int(self._index.labels[keyframe])
            self._container.seek(stamp, stream=self._stream, backward=True)
        self._packets = self._demuxed()
        self._out.clear()

    def _decoded(self, run: _Run) -> Iterator[tuple[int, VideoFrame]]:
        """Frames as they come out, which is in the order in which they are shown."""
        context = self._stream.codec_context
        while True:
            while self._out:
                frame = self._out.popleft()
                if frame.pts is None:
                    continue
                yield frame.pts, frame
                if frame.pts == run.after:
                    return
            packet = next(self._packets, None)
            if packet is None:
                return
            context.skip_frame = "DEFAULT" if run.needs(packet) else "NONREF"
            try:
                self._out.extend(packet.decode())
            except av.error.InvalidDataError:
                continue

    def _demuxed(self) -> Iterator[Packet[VideoStream]]:
        try:
            yield from self._container.demux(self._stream)
        except av.error.FFmpegError:
            # A damaged tail: the frames that are missing then are reported as such.
            return


def _closed(opened: ExitStack) -> None:
    # A source may say that it changed meanwhile, which is no news to who is done with it.
    with suppress(MediaError):
        opened.close()


class _Run:
    """Which packets a run of wanted frames needs."""

    def __init__(self, index: FrameIndex, wanted: Sequence[int], ordered: bool) -> None:
        self.first = wanted[0]
        # The stamp that the decoder puts on a frame -> the frame's number.
        self.numbers = {int(index.labels[i]): i for i in wanted}
        rest = index.labels[wanted[-1] + 1 :][:1]
        # When this one comes out, no wanted one is still to come.
        self.after = int(rest[0]) if len(rest) else None
        self._last = int(index.labels[wanted[-1]])
        self._ordered = ordered

    def needs(self, packet: Packet[VideoStream]) -> bool:
        stamp = packet.pts
        if not packet.size or stamp in self.numbers or stamp == self.after:
            return True
        # Decoders read some packets ahead; what lies behind the run may be wanted by the next one.
        return self._ordered and stamp is not None and stamp > self._last


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
        while True:
            with timed("wait"):
                item = items.get()
            if item is _END:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    within = copy_context()  # whose clock counts what the thread does
    thread = threading.Thread(target=within.run, args=(run,), name="mediaproc-decode", daemon=True)
    thread.start()
    try:
        yield read()
    finally:
        stop.set()
        thread.join()
