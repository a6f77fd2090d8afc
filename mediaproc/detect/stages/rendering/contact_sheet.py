"""``contact_sheet``: a whole video at a glance, as one picture."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from mediaproc.blobs import BlobStore
from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO
from mediaproc.detect.stages.channels import FILES, table_serializers
from mediaproc.detect.stages.rendering.thumbnails import (
    clock,
    evenly,
    event_pictures,
    shot_pictures,
    thumbnails,
)
from mediaproc.detect.state import DetectState, VideoSource
from mediaproc.detect.tables import Events, Files, Shots
from mediaproc.errors import StageError

Image = npt.NDArray[np.uint8]

_PAPER, _INK, _FAINT = (255, 255, 255), (20, 20, 20), (110, 110, 110)


def contact_sheet(
    state: DetectState, *, config: dict[str, Any], media: VideoSource, blobs: BlobStore
) -> dict[str, Any]:
    """Thumbnails of shots, events or even steps, each with its time."""
    cells = evenly(_cells(state, config, media), config["most"])
    width = config["width_px"]
    pictures = thumbnails(media, [frame for frame, _, _ in cells], (width, width))
    sheet = _drawn([(pictures[frame], *words) for frame, *words in cells], config["columns"], width)
    ending, data = _encoded(sheet, config)
    kind = "image/png" if ending == "png" else "image/jpeg"
    return {"files": Files.of(f"{{node}}.{ending}", kind, blobs.put(data))}


def _cells(
    state: DetectState, config: dict[str, Any], media: VideoSource
) -> list[tuple[int, str, str]]:
    """The frame of each cell, and what is written under it: the time, and what it is."""
    of = config["of"]
    if of == "auto":
        of = "shots" if len(state.get("shots", Shots.empty())) else "even"
    if of == "shots":
        return [
            (frame, clock(row["start_s"]), f"shot {row['shot'] + 1}")
            for frame, row in shot_pictures(state.get("shots", Shots.empty()))
        ]
    if of == "events":
        return [
            (frame, clock(row["start_s"]), f"{row['kind']}: {row['label']}")
            for frame, row in event_pictures(state.get("events", Events.empty()))
        ]
    index = media.index
    count = min(config["most"], len(index))
    frames = [(2 * i + 1) * len(index) // (2 * count) for i in range(count)]
    return [(frame, clock(index.time_s(frame)), "") for frame in frames]


def _drawn(cells: list[tuple[Image, str, str]], columns: int, width: int) -> Image:
    """The sheet, uint8, BGR; one that says so where there is nothing to show."""
    from PIL import Image as Pillow
    from PIL import ImageDraw, ImageFont

    gap, letters = max(4, width // 24), max(11, width // 16)
    font = ImageFont.load_default(letters)
    columns = max(1, min(columns, len(cells)))
    height = max((picture.shape[0] for picture, _, _ in cells), default=0)
    step_x, step_y = width + gap, height + round(letters * 1.6) + gap
    rows = -(-len(cells) // columns) or 1
    sheet = Pillow.new("RGB", (columns * step_x + gap, rows * step_y + gap), _PAPER)
    draw = ImageDraw.Draw(sheet)
    if not cells:
        draw.text((gap, gap), "nothing found", font=font, fill=_FAINT)
    for number, (picture, time, what) in enumerate(cells):
        x, y = gap + number % columns * step_x, gap + number // columns * step_y
        left = x + (width - picture.shape[1]) // 2
        sheet.paste(Pillow.fromarray(np.ascontiguousarray(picture[..., ::-1])), (left, y))
        below = y + height + letters // 4
        draw.text((x, below), time, font=font, fill=_INK)
        indent = x + font.getlength(time) + letters
        room = x + width - indent
        draw.text((indent, below), _fitted(what, font, room), font=font, fill=_FAINT)
    return np.ascontiguousarray(np.asarray(sheet)[..., ::-1])


def _fitted(text: str, font: Any, room: float) -> str:
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(f"{text}…") > room:
        text = text[:-1]
    return f"{text}…" if text else ""


def _encoded(sheet: Image, config: dict[str, Any]) -> tuple[str, bytes]:
    import cv2

    options = [cv2.IMWRITE_JPEG_QUALITY, config["quality"]] if config["format"] == "jpg" else []
    done, data = cv2.imencode(f".{config['format']}", sheet, options)
    if not done:
        height, width = sheet.shape[:2]
        raise StageError(
            f"contact_sheet: a picture of {width}x{height} pixels cannot be written as "
            f"{config['format']}; lower most or width_px"
        )
    return config["format"], bytes(data.tobytes())


def identity() -> dict[str, Any]:
    """The release that draws letters."""
    return {"pillow": version("pillow")}


_SERIALIZE, _DESERIALIZE = table_serializers("files", Files)

STAGE = StageDefinition(
    name="contact_sheet",
    label="Contact sheet",
    description="Thumbnails of all shots, events or even steps of a video in one picture.",
    io=StageIO(
        reads=["video"],
        writes=["files"],
        optional_reads=["shots", "events"],
        merges=["shots", "events"],
    ),
    config_fields=[
        StageConfigField(
            "of",
            "str",
            "auto",
            "What is shown; auto takes shots where a stage finds them, else even steps.",
            options=["auto", "shots", "events", "even"],
        ),
        StageConfigField(
            "most", "int", 60, "Most thumbnails; of more, some are taken evenly.", min=1, max=1000
        ),
        StageConfigField("columns", "int", 5, "Thumbnails side by side.", min=1, max=50),
        StageConfigField(
            "width_px", "int", 320, "Longest side of a thumbnail, pixels.", min=32, max=2048
        ),
        StageConfigField("format", "str", "jpg", "Kind of picture.", options=["jpg", "png"]),
        StageConfigField("quality", "int", 85, "JPEG quality.", min=1, max=100),
    ],
    category="output",
    fn=contact_sheet,
    identity_fn=identity,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    scope="video",
    channels=[FILES],
)
