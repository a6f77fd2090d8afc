"""Encoding images and videos."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from mediaproc.errors import MediaError


def encode_jpeg(image: npt.NDArray[np.uint8], quality: int = 90) -> bytes:
    """JPEG bytes of an image, shape (H, W, 3), uint8, BGR; ``quality`` is 1..100."""
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise MediaError(f"an image of shape {image.shape} cannot be encoded as JPEG")
    return bytes(data.tobytes())


def decode_jpeg(data: bytes) -> npt.NDArray[np.uint8]:
    """The image of JPEG bytes, shape (H, W, 3), uint8, BGR."""
    image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise MediaError(f"{len(data)} bytes are not a JPEG image")
    decoded: npt.NDArray[np.uint8] = image.astype(np.uint8, copy=False)
    return decoded


def write_video(
    path: Path | str,
    frames: Iterable[npt.NDArray[np.uint8]],
    *,
    fps: Fraction,
    size_wh: tuple[int, int],
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    options: dict[str, str] | None = None,
) -> None:
    """Write frames as H.264.

    Args:
        path: the file; its ending chooses the container.
        frames: images of ``size_wh``, uint8, BGR.
        fps: frame rate, Hz.
        size_wh: width and height, even.
        pts: time stamps of the frames in ``time_base``, for a variable frame rate.
        time_base: seconds per unit of ``pts``; one frame where None.
        options: options of libx264, such as ``{"g": "48", "bf": "2", "crf": "18"}``.
    """
    base = time_base or 1 / fps
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "18", **(options or {})})
        stream.width, stream.height = size_wh
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = base
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts = number if pts is None else pts[number]
            frame.time_base = base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
