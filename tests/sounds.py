"""Rendered sound with exact ground truth: beeps, noise, and synthetic speech where there is any."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

Samples = npt.NDArray[np.float32]
RATE = 16_000

# Of espeak-ng's speak_lib.h.
_SYNCHRONOUS, _UTF8 = 2, 1


def silence(seconds: float, rate: int = RATE) -> Samples:
    return np.zeros(round(seconds * rate), dtype=np.float32)


def tone(seconds: float, rate: int = RATE, hz: float = 440.0) -> Samples:
    times = np.arange(round(seconds * rate)) / rate
    return (0.2 * np.sin(2 * np.pi * hz * times)).astype(np.float32)


def noise(seconds: float, rate: int = RATE, seed: int = 0) -> Samples:
    random = np.random.default_rng(seed)
    return random.normal(0, 0.1, round(seconds * rate)).astype(np.float32)


@lru_cache(maxsize=8)
def spoken(text: str) -> Samples:
    """A sentence said by eSpeak NG, without the silence around it; skips where it is not there."""
    loader = pytest.importorskip(
        "espeakng_loader", reason="needs espeakng-loader, which gives speech to find"
    )
    library = ctypes.CDLL(loader.get_library_path())
    said: list[bytes] = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    def heard(samples: object, count: int, _events: object) -> int:
        if count > 0:
            said.append(ctypes.string_at(samples, 2 * count))  # type: ignore[arg-type]
        return 0

    parent = str(Path(loader.get_data_path()).parent).encode()
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, parent, 0)
    library.espeak_SetSynthCallback(heard)
    library.espeak_SetVoiceByName(b"en-us")
    library.espeak_Synth(text.encode(), len(text) + 1, 0, 0, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    frame = np.frombuffer(b"".join(said), dtype="<i2").astype(np.float32) / 32768
    length = len(frame) * RATE // rate
    samples = np.interp(np.arange(length) * rate / RATE, np.arange(len(frame)), frame)
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    return samples[loud[0] : loud[-1] + 1].astype(np.float32)


def write_clip(
    path: Path,
    sound: Samples | None,
    *,
    rate: int = RATE,
    codec: str = "aac",
    channels: int = 1,
    fps: int = 25,
    frames: int | None = None,
    delay_s: float = 0.0,
    sound_at_s: float = 0.0,
    size_wh: tuple[int, int] = (96, 64),
) -> Path:
    """A small clip with ``sound``, shape (N,), -1..1; keyframes every second.

    Args:
        path: the file; its ending chooses the container.
        sound: None for a clip without an audio track.
        rate: samples per second of ``sound``.
        codec: FFmpeg's name of the audio encoder.
        channels: 1 or 2, equal ones.
        fps: frames per second.
        frames: how many; as long as the sound where None.
        delay_s: container time of the first frame.
        sound_at_s: container time of the first sample.
        size_wh: of the picture.
    """
    if frames is None:
        frames = 50 if sound is None else max(1, round(len(sound) / rate * fps))
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=fps, options={"g": str(fps), "crf": "30"})
        video.width, video.height = size_wh
        video.pix_fmt = "yuv420p"
        layout = "mono" if channels == 1 else "stereo"
        audio = container.add_stream(codec, rate=rate, layout=layout) if sound is not None else None
        for number in range(frames):
            image = np.full((size_wh[1], size_wh[0], 3), 60, dtype=np.uint8)
            cv2.circle(image, (10 + number % 70, 30), 8, (40, 40, 230), -1)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts = number + round(delay_s * fps)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None and sound is not None:
            _mux_sound(container, audio, sound, rate, layout, round(sound_at_s * rate))
    return path


def _mux_sound(
    container: av.container.OutputContainer,
    stream: av.AudioStream,
    sound: Samples,
    rate: int,
    layout: str,
    first: int,
) -> None:
    channels = np.repeat(sound[None], 1 if layout == "mono" else 2, axis=0)
    for start in range(0, channels.shape[1], 1024):
        piece = np.ascontiguousarray(channels[:, start : start + 1024])
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, first + start, Fraction(1, rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def joined(pieces: Sequence[Samples]) -> Samples:
    return np.concatenate(pieces)


def starts(samples: Samples, level: float = 0.05, gap_s: float = 0.2) -> list[float]:
    """Seconds at which sound begins after at least ``gap_s`` of silence."""
    loud = np.flatnonzero(np.abs(samples) > level)
    first = [
        int(now)
        for before, now in zip([-RATE * 9, *loud[:-1].tolist()], loud.tolist(), strict=True)
        if now - before > gap_s * RATE
    ]
    return [round(position / RATE, 4) for position in first]
