"""Label Studio video object tracking: https://labelstud.io/tags/videorectangle.

A folder with ``tasks.json``, to be imported, and ``label_config.xml``, the labelling interface that
it fits. Frames count from 1; boxes are in percent of the frame. ``enabled`` is false in the last
sight ahead of a gap, so that nothing is drawn in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mediaproc.outputs import boxes
from mediaproc.outputs.exporter import BOX_COLUMNS, Exporter, ExportOption
from mediaproc.outputs.tables import Findings, Row, VideoFacts

_DIGITS = 6


def _write(path: Path, findings: Findings, options: Mapping[str, Any]) -> None:
    video = findings.video
    (table,) = findings.tables.values()
    names = boxes.labels([table], options["labels"])
    seen = [*boxes.frames([table])]
    result = [
        _region(number, rows, seen if table.has("track_id") else [], video)
        for number, rows in enumerate(boxes.sights(table), 1)
        if boxes.label(rows[0]) in names
    ]
    made: dict[str, Any] = {"result": result}
    if options["kind"] == "predictions":
        made["model_version"] = "mediaproc"
    task = {"data": {"video": options["video_url"] or video.name}, options["kind"]: [made]}
    with (path / "tasks.json").open("w", encoding="utf-8") as file:
        for piece in json.JSONEncoder(ensure_ascii=False, allow_nan=False).iterencode([task]):
            file.write(piece)
        file.write("\n")
    (path / "label_config.xml").write_text(_config(names, video), encoding="utf-8")


def _region(
    number: int, rows: Sequence[Row], seen: Sequence[int], video: VideoFacts
) -> dict[str, Any]:
    sequence = []
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        goes_on = following is not None and following["frame_index"] <= boxes.gone(
            row["frame_index"], seen
        )
        x1, y1, x2, y2 = boxes.clipped(row, video)
        sequence.append(
            {
                "frame": row["frame_index"] + 1,
                "time": row["time_s"],
                "enabled": goes_on,
                "rotation": 0,
                "x": round(100 * x1 / video.width, _DIGITS),
                "y": round(100 * y1 / video.height, _DIGITS),
                "width": round(100 * (x2 - x1) / video.width, _DIGITS),
                "height": round(100 * (y2 - y1) / video.height, _DIGITS),
            }
        )
    region: dict[str, Any] = {
        "id": f"r{number}",
        "type": "videorectangle",
        "from_name": "box",
        "to_name": "video",
        "value": {
            "framesCount": video.frame_count,
            "duration": video.duration_s,
            "sequence": sequence,
            "labels": [boxes.label(rows[0])],
        },
    }
    if "confidence" in rows[0]:
        region["score"] = sum(row["confidence"] for row in rows) / len(rows)
    if "text" in rows[0]:
        region["meta"] = {"text": [rows[0]["text"]]}
    return region


def _config(names: Sequence[str], video: VideoFacts) -> str:
    from xml.sax.saxutils import quoteattr

    labels = "".join(f"    <Label value={quoteattr(name)}/>\n" for name in names)
    return (
        "<View>\n"
        f'  <Labels name="labels" toName="video" allowEmpty="true">\n{labels}  </Labels>\n'
        f'  <Video name="video" value="$video" frameRate="{float(video.frame_rate):.6g}"/>\n'
        '  <VideoRectangle name="box" toName="video"/>\n'
        "</View>\n"
    )


EXPORTER = Exporter(
    name="label-studio",
    description="Label Studio video object tracking: tasks.json and label_config.xml; boxes "
    f"within the frame, in percent with {_DIGITS} digits.",
    shape="folder",
    tables=("tracks", "detections", "texts"),
    columns=BOX_COLUMNS,
    options=(
        boxes.LABELS,
        ExportOption(
            "kind",
            "str",
            "predictions",
            "predictions: to be looked through; annotations: as if a person had drawn them.",
            choices=("predictions", "annotations"),
        ),
        ExportOption(
            "video_url", "str", "", "Where Label Studio finds the video. Empty: its file name."
        ),
    ),
    write=_write,
)
