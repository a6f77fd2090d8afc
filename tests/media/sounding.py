"""Clips with a flash and a beep at the same moments, so that sync can be measured."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 48000
FPS = 25
# Seconds of the clip at which it flashes and beeps, for 80 ms.
BEATS = (0.4, 1.2, 2.0, 2.8)
_BEAT_S = 0.08


def write_clip(
    path: Path,
    codec: str,
    *,
    seconds: float = 3.2,
    size_wh: tuple[int, int] = (64, 48),
    start_s: float = 0.0,
    sound_from_s: float = 0.0,
    rate: int = RATE,
) -> None:
    """Write a clip in H.264 with sound in ``codec``, by the ending of ``path``.

    Args:
        path: the file.
        codec: an audio encoder of FFmpeg.
        seconds: how long.
        size_wh: of the picture.
        start_s: time stamp of the first frame.
        sound_from_s: where the sound begins, seconds from the first frame; negative is earlier.
        rate: samples per second.
    """
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"g": "20", "crf": "12"})
        video.width, video.height = size_wh
        video.pix_fmt = "yuv420p"
        sound = container.add_stream(codec, rate=rate)
        sound.codec_context.layout = "stereo"
        for number in range(round(seconds * FPS)):
            image = np.full((size_wh[1], size_wh[0], 3), 230 * beats(number / FPS), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.time_base = Fraction(1, FPS)
            frame.pts = number + round(start_s * FPS)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        count = round((seconds - sound_from_s) * rate)
        times = np.arange(count) / rate + sound_from_s
        tone = np.sin(2 * np.pi * 1000 * times) * np.array([beats(t) for t in times.tolist()]) * 0.5
        resampler = av.AudioResampler(sound.codec_context.format, "stereo", rate)
        size = sound.codec_context.frame_size or 1024
        for start in range(0, count, size):
            piece = np.repeat(tone[start : start + size].astype(np.float32)[:, None], 2, axis=1)
            block = av.AudioFrame.from_ndarray(piece.reshape(1, -1), format="flt", layout="stereo")
            block.sample_rate, block.time_base = rate, Fraction(1, rate)
            block.pts = start + round((start_s + sound_from_s) * rate)
            for converted in resampler.resample(block):
                container.mux(sound.encode(converted))
        container.mux(sound.encode(None))


def beats(time_s: float) -> bool:
    """Whether it flashes and beeps at a time."""
    return any(beat <= time_s + 1e-6 < beat + _BEAT_S for beat in BEATS)


def flashes(path: Path) -> list[float]:
    """When a clip begins to flash, seconds of its clock."""
    found = []
    with av.open(str(path)) as container:
        dark = True
        for frame in container.decode(video=0):
            bright = float(frame.to_ndarray(format="gray8").mean()) > 100
            if bright and dark:
                found.append(float(frame.time))
            dark = not bright
    return found


def beeps(path: Path) -> list[float]:
    """When a clip begins to beep, seconds of its clock."""
    found: list[float] = []
    last = -1.0
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("flt", "mono")
        for frame in container.decode(audio=0):
            start = float(frame.time)
            for block in resampler.resample(frame):
                loud = np.flatnonzero(np.abs(block.to_ndarray().ravel()) > 0.15)
                for moment in (start + loud / block.sample_rate).tolist():
                    if moment - last > 0.2:
                        found.append(moment)
                    last = moment
    return found
