"""Time as it was sampled: what is seen in a frame holds until the next one that was looked at.

With that, something on screen from a to b is found to begin and to end at most one sampled
interval after the truth, and its length is right within one sampled interval.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mediaproc.detect.state import DetectState, Frames, Span

# Times that differ by less are one.
SAME_S = 1e-6


@dataclass(frozen=True, slots=True)
class Sight:
    """A frame in which something was seen.

    Attributes:
        frame: index of the frame.
        pts: its presentation time stamp.
        time_s: seconds from the first frame.
        row: whatever tells the caller what was seen.
    """

    frame: int
    pts: int
    time_s: float
    row: Any = None


@dataclass(slots=True)
class Stretch:
    """Sights that follow each other.

    Attributes:
        sights: in the order of their frames, several of one frame together.
        held_s: for each sight, the seconds until the next frame that was looked at; 0 for all but
            the first of a frame.
        end_frame: frame after the last one.
        end_s: time at which the last sight ends.
    """

    sights: list[Sight]
    held_s: list[float]
    end_frame: int
    end_s: float

    @property
    def start_frame(self) -> int:
        """First frame."""
        return self.sights[0].frame

    @property
    def start_s(self) -> float:
        """Time of the first frame."""
        return self.sights[0].time_s

    @property
    def seen_s(self) -> float:
        """Seconds in which there was a sight; bridged gaps are left out."""
        return sum(self.held_s)

    def lasts(self, least_s: float) -> bool:
        """Whether it is at least so long, in seconds."""
        return self.end_s - self.start_s >= least_s - SAME_S


@dataclass(frozen=True)
class SampledTime:
    """The frames of a job that were looked at.

    Attributes:
        frames: their indexes, ascending.
        times: seconds of each.
        spans: the runs of frames that the job is about.
    """

    frames: Sequence[int]
    times: Sequence[float]
    spans: Sequence[Span]

    @classmethod
    def of(cls, state: DetectState) -> SampledTime:
        """The ``frames`` and ``spans`` that a video-scope stage sees."""
        seen: Any = state.get("frames", [])
        frames: list[int] = []
        times: list[float] = []
        for piece in [seen] if isinstance(seen, Frames) else seen:
            frames += piece.indexes.tolist()
            times += piece.time_s.tolist()
        return cls(frames, times, state["spans"])

    def end_of(self, frame: int) -> tuple[int, float]:
        """When a sight ends: the next frame that was looked at, or the end of the span."""
        span = self.spans[bisect.bisect_right([s.start_frame for s in self.spans], frame) - 1]
        after = bisect.bisect_right(self.frames, frame)
        if after < len(self.frames) and self.frames[after] < span.end_frame:
            return self.frames[after], self.times[after]
        return span.end_frame, span.end_s

    def stretches(
        self,
        sights: Iterable[Sight],
        max_gap_s: float,
        cuts: Sequence[tuple[int, float]] = (),
    ) -> list[Stretch]:
        """Sights as stretches of time.

        Args:
            sights: in any order.
            max_gap_s: longest time without a sight that is bridged, from the end of one sight to
                the next one, seconds.
            cuts: (frame, time) at which a stretch ends in any case, ascending.
        """
        ordered = sorted(sights, key=lambda sight: sight.frame)
        cut_frames = [frame for frame, _ in cuts]
        found: list[Stretch] = []
        passed = -1
        for sight in ordered:
            last = found[-1] if found else None
            if last is not None and last.sights[-1].frame == sight.frame:
                last.sights.append(sight)
                last.held_s.append(0.0)
                continue
            end_frame, end_s = self.end_of(sight.frame)
            before, passed = passed, bisect.bisect_right(cut_frames, sight.frame)
            if passed < len(cuts) and cuts[passed][0] < end_frame:
                end_frame, end_s = cuts[passed]
            held_s = end_s - sight.time_s
            bridged = last is not None and sight.time_s - last.end_s <= max_gap_s + SAME_S
            if last is None or not bridged or before != passed:
                found.append(Stretch([sight], [held_s], end_frame, end_s))
                continue
            last.sights.append(sight)
            last.held_s.append(held_s)
            last.end_frame, last.end_s = end_frame, end_s
        return found
