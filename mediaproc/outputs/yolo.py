"""YOLO labels as Ultralytics reads them: https://docs.ultralytics.com/datasets/detect/."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mediaproc.outputs import boxes
from mediaproc.outputs.exporter import BOX_COLUMNS, Exporter
from mediaproc.outputs.tables import Findings

_DIGITS = 6


def _write(path: Path, findings: Findings, options: Mapping[str, Any]) -> None:
    video = findings.video
    (table,) = findings.tables.values()
    names = boxes.labels([table], options["labels"])
    number = {name: position for position, name in enumerate(names)}
    # A frame in which nothing was found has an empty file: it is an example of nothing.
    lines: dict[int, list[str]] = {frame: [] for frame in boxes.frames([table])}
    for row in table.rows():
        if boxes.label(row) not in number:
            continue
        x1, y1, x2, y2 = boxes.clipped(row, video)
        sides = (
            (x1 + x2) / 2 / video.width,
            (y1 + y2) / 2 / video.height,
            (x2 - x1) / video.width,
            (y2 - y1) / video.height,
        )
        box = " ".join(f"{side:.{_DIGITS}f}" for side in sides)
        lines[row["frame_index"]].append(f"{number[boxes.label(row)]} {box}\n")
    folder = path / "labels"
    folder.mkdir()
    for frame, found in lines.items():
        (folder / f"{boxes.image_name(video, frame)}.txt").write_text("".join(found))
    # JSON texts are YAML texts.
    listed = "".join(f"  {n}: {json.dumps(name)}\n" for n, name in enumerate(names))
    data = f"train: images\nval: images\nnames:{' {}' if not names else ''}\n{listed}"
    (path / "data.yaml").write_text(data, encoding="utf-8")
    if options["images"]:
        boxes.write_images(
            path / "images", findings, list(lines), lambda frame: boxes.image_name(video, frame)
        )


EXPORTER = Exporter(
    name="yolo",
    description="YOLO data set: labels/*.txt for every frame that was looked at, and data.yaml; "
    f"boxes within the frame, as shares of it with {_DIGITS} digits.",
    shape="folder",
    tables=("detections", "tracks", "texts"),
    columns=BOX_COLUMNS,
    options=(boxes.LABELS, boxes.IMAGES),
    write=_write,
)
