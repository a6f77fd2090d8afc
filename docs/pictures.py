"""The pictures of docs/profiles, each drawn from what a run of the profile found.

``python -m docs.pictures [NAME ...]``, or ``make pictures``: renders the footage that a page names,
runs the shipped profile on it as a user would, and draws frames and a time line from the files that
it leaves. Only what has to differ from the profile is set by ``--set``, and the page says so.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageDraw, ImageFont

from mediaproc.media import write_video
from tests.clips import real_clip
from tests.scenes import Caption, Picture, traffic, written
from tests.weights import SHAPES

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "profiles"
WIDTH, LANE, GUTTER = 960, 22, 150
FPS = Fraction(25)  # of all footage here
PAPER, INK, FAINT = (255, 255, 255), (34, 40, 49), (222, 226, 230)
COLOURS = ("#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed", "#0891b2")

Run = dict[str, Any]
Stretches = list[tuple[float, float]]
Lane = tuple[str, str, Stretches]


@dataclass(frozen=True)
class Box:
    """A box to draw: ``xyxy`` in pixels of the source, a caption and a colour."""

    xyxy: tuple[float, float, float, float]
    text: str
    colour: str


# ---- footage


def images(clip: Path) -> Iterator[Picture]:
    """All frames of a video, shape (H, W, 3), uint8, BGR."""
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="bgr24")


# A broadcast's sponsors, written into the clip ``bikes``.
SPONSORS = (
    Caption("ACME COLA", 20, 110, (470, 20), 24),
    Caption("Powered by Nordwind", 90, 190, (40, 215), 26),
    Caption("GLOBEX", 150, 245, (500, 20), 30),
    Caption("Acme Cola Zero", 205, 250, (40, 215), 22),
)
# Subtitles, one of which is not nice, for ``carphone`` and ``bikes``.
SUBTITLES = (
    Caption("Mind how you go", 20, 80, (220, 225), 22),
    Caption("What a moron!", 150, 210, (220, 225), 22),
    Caption("Good morning, madam", 240, 300, (190, 225), 22),
)


def captioned(path: Path, clips: Sequence[str], captions: Sequence[Caption]) -> None:
    """Clips one after the other, 640x272, with captions over them."""

    def frames() -> Iterator[Picture]:
        number = 0
        for name in clips:
            for image in images(real_clip(name)):
                image = fitted(image, (640, 272))
                for caption in captions:
                    if caption.start_frame <= number < caption.end_frame:
                        image = written(image, caption)
                number += 1
                yield image

    write_video(path, frames(), fps=FPS, size_wh=(640, 272))


def fitted(image: Picture, size_wh: tuple[int, int]) -> Picture:
    """A picture scaled into a frame of that size, on black."""
    width, height = size_wh
    scale = min(width / image.shape[1], height / image.shape[0])
    inner = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    canvas = np.zeros((height, width, 3), dtype=np.uint8)
    canvas[top : top + inner[1], left : left + inner[0]] = cv2.resize(image, inner)
    return canvas


def reel(path: Path) -> None:
    """Three clips one after the other, each under its title, at 640x360."""
    titles = {"carphone": "REEL 7  IN THE CAR", "bigbuckbunny": "ANIMATION", "bikes": "CITY, 1998"}

    def frames() -> Iterator[Picture]:
        for name, title in titles.items():
            for number, image in enumerate(images(real_clip(name))):
                canvas = fitted(image, (640, 360))
                if number < 70:
                    canvas = written(canvas, Caption(title, 0, 0, (40, 310), 24))
                yield canvas

    write_video(path, frames(), fps=FPS, size_wh=(640, 360))


# ---- runs


def run(folder: Path, profile: str, clip: Path, *settings: str) -> Run:
    """What the command line finds: the report and every table, by name, as rows."""
    out = folder / "out"
    command = [sys.executable, "-m", "mediaproc", "detect", "--profile", profile, str(clip)]
    command += ["--out", str(out)]
    for setting in settings:
        command += ["--set", setting]
    home = {**os.environ, "MEDIAPROC_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)}
    subprocess.run(command, check=True, cwd=ROOT, env=home)
    found: Run = {"clip": clip, "report": json.loads((out / "report.json").read_text())}
    for file in out.glob("*.parquet"):
        found[file.stem] = pq.read_table(file).to_pylist()
    return found


# ---- drawing


def font(size: int) -> Any:
    """The font of the pictures."""
    return ImageFont.load_default(size)


def frame_with(found: Run, number: int, boxes: Sequence[Box], width: int) -> Image.Image:
    """A frame of the video, as wide as asked for, with boxes."""
    image = next(itertools.islice(images(found["clip"]), number, None))
    scale = width / image.shape[1]
    picture = Image.fromarray(np.ascontiguousarray(image[..., ::-1]))
    picture = picture.resize((width, round(image.shape[0] * scale)), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(picture)
    for box in boxes:
        x1, y1, x2, y2 = (value * scale for value in box.xyxy)
        draw.rectangle((x1, y1, x2, y2), outline=box.colour, width=2)
        if box.text:
            tag(draw, x1, y1 if y1 < 18 else y1 - 18, box.text, box.colour)
    tag(draw, 4, 4, f"{float(number / FPS):.1f} s", "#222831")
    return picture


def tag(draw: Any, x: float, y: float, text: str, colour: str) -> None:
    """White words on a patch of colour."""
    left, _, right, bottom = draw.textbbox((x + 4, y + 2), text, font=font(12))
    draw.rectangle((left - 4, y, right + 4, max(bottom + 2, y + 17)), fill=colour)
    draw.text((x + 4, y + 2), text, font=font(12), fill="white")


def timeline(
    lanes: Sequence[Lane],
    duration_s: float,
    cuts: Sequence[float] = (),
    truths: Sequence[Stretches] = (),
) -> Image.Image:
    """Stretches of time, a lane for each subject; known truths as dark lines."""
    picture = Image.new("RGB", (WIDTH, LANE * len(lanes) + 40), PAPER)
    draw = ImageDraw.Draw(picture)
    reach = WIDTH - GUTTER - 20

    def at(time_s: float) -> float:
        return GUTTER + reach * time_s / duration_s

    bottom = 10 + LANE * len(lanes)
    for cut in cuts:
        draw.line((at(cut), 4, at(cut), bottom), fill=FAINT, width=2)
    for row, (name, colour, stretches) in enumerate(lanes):
        top = 8 + row * LANE
        draw.text((GUTTER - 10, top + LANE / 2 - 1), name, font=font(13), fill=INK, anchor="rm")
        for start_s, end_s in stretches:
            right = max(at(end_s), at(start_s) + 3)
            draw.rectangle((at(start_s), top + 3, right, top + LANE - 7), fill=colour)
        for start_s, end_s in truths[row] if truths else ():
            draw.rectangle((at(start_s), top + LANE - 5, at(end_s), top + LANE - 4), fill=INK)
    draw.line((GUTTER, bottom, GUTTER + reach, bottom), fill=INK)
    step = next(s for s in (1, 2, 5, 10, 30, 60) if duration_s / s <= 14)
    for second in range(0, int(duration_s) + 1, step):
        draw.line((at(second), bottom, at(second), bottom + 5), fill=INK)
        draw.text((at(second), bottom + 8), f"{second} s", font=font(12), fill=INK, anchor="ma")
    return picture


def stacked(path: Path, rows: Sequence[Sequence[Image.Image]]) -> None:
    """Rows of pictures under each other, as a JPEG."""
    heights = [max(picture.height for picture in row) for row in rows]
    sheet = Image.new("RGB", (WIDTH, sum(heights) + 8 * (len(rows) - 1)), PAPER)
    y = 0
    for row, height in zip(rows, heights, strict=True):
        x = 0
        for picture in row:
            sheet.paste(picture, (x, y))
            x += picture.width + 8
        y += height + 8
    sheet.save(path, quality=82, optimize=True)


def xyxy(row: Run) -> tuple[float, float, float, float]:
    """The box of a row."""
    return row["x1"], row["y1"], row["x2"], row["y2"]


def colours(names: Sequence[str]) -> dict[str, str]:
    """A colour for each name."""
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(dict.fromkeys(names))}


def spread(stretches: Sequence[Run], start: str = "start_s", end: str = "end_s") -> list[Any]:
    """Stretches as pairs of seconds."""
    return [(stretch[start], stretch[end]) for stretch in stretches]


# ---- the pages


def brand_exposure(folder: Path) -> None:
    """Two frames with what matched, and the exposure of each brand."""
    captioned(folder / "broadcast.mp4", ["bikes"], SPONSORS)
    found = run(folder, "profiles/brand_exposure.yaml", folder / "broadcast.mp4")
    colour = colours([row["label"] for row in found["exposure"]])
    frames = []
    for number in (100, 225):
        boxes = [
            Box(xyxy(row), f"{row['label']} {row['score']:.2f}", colour[row["label"]])
            for row in found["matches"]
            if row["frame_index"] == number
        ]
        frames.append(frame_with(found, number, boxes, (WIDTH - 8) // 2))
    totals = {row["label"]: row["values"] for row in found["report"]["totals"]}
    lanes = [
        (
            f"{brand}  {totals[brand]['seconds']:.1f} s",
            colour[brand],
            spread([row for row in found["exposure"] if row["label"] == brand]),
        )
        for brand in colour
    ]
    cuts = [row["start_s"] for row in found["shots"][1:]]
    truths = [
        [
            (float(caption.start_frame / FPS), float(caption.end_frame / FPS))
            for caption in SPONSORS
            if brand.casefold() in caption.text.casefold()
        ]
        for brand in colour
    ]
    whole = timeline(lanes, found["report"]["video"]["duration_s"], cuts, truths)
    stacked(PAGES / "brand_exposure.jpg", [frames, [whole]])


def moderation(folder: Path) -> None:
    """The evidence of what was flagged, and when it was."""
    captioned(folder / "subtitled.mp4", ["carphone", "bikes"], SUBTITLES)
    found = run(
        folder,
        "profiles/moderation.yaml",
        folder / "subtitled.mp4",
        'moderate.rules=["matches.insults >= 0.6: moderate", "FACE_MALE >= 0.5: mild"]',
    )
    events = found["report"]["events"]
    colour = colours([event["label"] for event in events])
    frames = []
    for event in events[:2]:
        best = max(event["moments"], key=lambda moment: moment["score"])
        shown = max(best["details"]["evidence"], key=lambda sight: sight["score"])
        text = f"{event['label']} {shown['score']:.2f} ({best['details']['severity']})"
        boxes = [Box(tuple(shown["xyxy"]), text, colour[event["label"]])]
        frames.append(frame_with(found, shown["frame_index"], boxes, (WIDTH - 8) // 2))
    lanes = [(e["label"], colour[e["label"]], spread(e["moments"])) for e in events]
    whole = timeline(lanes, found["report"]["video"]["duration_s"])
    stacked(PAGES / "moderation.jpg", [frames, [whole]])


def people_counting(folder: Path) -> None:
    """Rendered traffic with its line, its area, its tracks, and its events."""
    traffic().render(folder / "traffic.mp4")
    shapes = (
        'zones.lines=["gate: 320,0 320,300"]',
        ('zones.areas=["yard: 420,200 560,200 560,340 420,340"]'),
    )
    found = run(
        folder,
        "profiles/people_counting.yaml",
        folder / "traffic.mp4",
        f"detect_objects.model={SHAPES}",
        "detect_objects.classes=[]",
        "sample_frames.fps=12.5",
        "zones.anchor=center",
        *shapes,
    )
    frames = []
    for number in (74, 226):
        boxes = [
            Box(xyxy(row), f"#{row['track_id']}", COLOURS[row["track_id"] % len(COLOURS)])
            for row in found["tracks"]
            if row["frame_index"] == number
        ]
        picture = frame_with(found, number, boxes, (WIDTH - 8) // 2)
        draw, scale = ImageDraw.Draw(picture), picture.width / 640
        draw.line((320 * scale, 0, 320 * scale, 300 * scale), fill="white", width=3)
        draw.rectangle([v * scale for v in (420, 200, 560, 340)], outline="white", width=3)
        frames.append(picture)
    totals = {row["label"]: row["values"] for row in found["report"]["totals"]}
    lanes: list[Lane] = []
    for way in ("in", "out"):
        moments = [
            row
            for row in found["events"]
            if row["kind"] == "crossing" and json.loads(row["details"])["direction"] == way
        ]
        lanes.append((f"gate, {way}: {totals['gate'][way]}", COLOURS[len(lanes)], spread(moments)))
    for row in found["events"]:
        if row["kind"] == "dwell":
            name = f"yard, #{row['track_id']}: {row['end_s'] - row['start_s']:.2f} s"
            lanes.append((name, COLOURS[row["track_id"] % len(COLOURS)], spread([row])))
    whole = timeline(lanes, found["report"]["video"]["duration_s"])
    stacked(PAGES / "people_counting.jpg", [frames, [whole]])


def archive_index(folder: Path) -> None:
    """A frame of each shot with what is in it, and the whole on a time line."""
    reel(folder / "reel.mp4")
    found = run(folder, "profiles/archive_index.yaml", folder / "reel.mp4")
    report = found["report"]
    frames = []
    for shot in [s for s in found["shots"] if s["end_s"] - s["start_s"] >= 1.0][:3]:
        sampled = [
            row["frame_index"]
            for row in [*found["texts"], *found["detections"]]
            if shot["start_frame"] <= row["frame_index"] < shot["end_frame"]
        ]
        number = sampled[0] if sampled else shot["start_frame"]
        boxes = [
            Box(xyxy(row), row.get("label") or row["text"], COLOURS["label" in row])
            for row in [*found["texts"], *found["detections"]]
            if row["frame_index"] == number
        ]
        frames.append(frame_with(found, number, boxes, (WIDTH - 16) // 3))
    cuts = [row["start_s"] for row in found["shots"][1:]]
    lanes: list[Lane] = [
        (row["text"][:20], COLOURS[0], spread(row["on_screen"])) for row in report["texts"][:6]
    ]
    lanes += [
        (label, COLOURS[1], spread([row for row in found["exposure"] if row["label"] == label]))
        for label in sorted({row["label"] for row in found["exposure"]})
    ]
    whole = timeline(lanes, report["video"]["duration_s"], cuts)
    stacked(PAGES / "archive_index.jpg", [frames, [whole]])


SHEET = """version: 1
name: sheet
stages: [contact_sheet: {of: even, most: 5, columns: 5, width_px: 182}, report]
"""


def privacy_redaction(folder: Path) -> None:
    """Five moments of the source, and below them what became of them."""
    source, rows = real_clip("carphone"), []
    run(folder, "profiles/privacy_redaction.yaml", source)
    (folder / "sheet.yaml").write_text(SHEET)
    for name, clip in (("before", source), ("after", folder / "out" / "redact.mp4")):
        run(folder / name, str(folder / "sheet.yaml"), clip)
        rows.append([Image.open(folder / name / "out" / "contact_sheet.jpg")])
    stacked(PAGES / "privacy_redaction.jpg", rows)


PICTURES = {
    "archive_index": archive_index,
    "brand_exposure": brand_exposure,
    "moderation": moderation,
    "people_counting": people_counting,
    "privacy_redaction": privacy_redaction,
}


def main() -> None:
    """Draw the pictures named on the command line, or all."""
    for name in sys.argv[1:] or PICTURES:
        with tempfile.TemporaryDirectory() as folder:
            PICTURES[name](Path(folder))
        print(PAGES / f"{name}.jpg")


if __name__ == "__main__":
    main()
