"""MOTChallenge: https://motchallenge.net/instructions and Dendorfer et al., 2020
(https://arxiv.org/abs/2003.09003).

Frames, ids and pixels count from 1. Tables with tracks go into ``gt/gt.txt`` (frame, id, left,
top, width, height, 1, class, visibility), others into ``det/det.txt`` (frame, -1, left, top, width,
height, confidence, -1, -1, -1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mediaproc.outputs import boxes
from mediaproc.outputs.exporter import BOX_COLUMNS, Exporter, ExportOption
from mediaproc.outputs.tables import Findings, Row, Table

_DIGITS = 3


def _write(path: Path, findings: Findings, options: Mapping[str, Any]) -> None:
    tables = [*findings.tables.values()]
    names = boxes.labels(tables, options["labels"])
    for table in tables:
        if not table.has("track_id"):
            _put(path / "det" / "det.txt", _detections(table, names))
        elif options["tracks_as"] == "gt":
            _put(path / "gt" / "gt.txt", _tracks(table, names, truth=True))
            _put(path / "gt" / "labels.txt", names)
        else:
            _put(path / f"{boxes.stem(findings.video)}.txt", _tracks(table, names, truth=False))
    _put(path / "seqinfo.ini", _sequence(findings))
    if options["images"]:
        boxes.write_images(
            path / "img1", findings, [*boxes.frames(tables)], lambda frame: f"{frame + 1:06d}"
        )


def _detections(table: Table, names: Sequence[str]) -> list[str]:
    known = set(names)
    return [
        f"{row['frame_index'] + 1},-1,{_box(row)},{_confidence(row)},-1,-1,-1"
        for row in table.rows()
        if boxes.label(row) in known
    ]


def _tracks(table: Table, names: Sequence[str], *, truth: bool) -> list[str]:
    classes = {name: number for number, name in enumerate(names, 1)}
    tracks = boxes.track_numbers(table)
    lines = []
    for row in table.rows():
        if boxes.label(row) in classes:
            track = tracks[row["node"], row["track_id"]]
            kind = classes[boxes.label(row)]
            tail = f"1,{kind},1" if truth else f"{_confidence(row)},-1,-1,-1"
            lines.append(f"{row['frame_index'] + 1},{track},{_box(row)},{tail}")
    return lines


def _box(row: Row) -> str:
    sides = (row["x1"] + 1, row["y1"] + 1, row["x2"] - row["x1"], row["y2"] - row["y1"])
    return ",".join(f"{side:.{_DIGITS}f}" for side in sides)


def _confidence(row: Row) -> str:
    return f"{row.get('confidence', 1.0):.6f}"


def _sequence(findings: Findings) -> list[str]:
    video = findings.video
    return [
        "[Sequence]",
        f"name={boxes.stem(video)}",
        "imDir=img1",
        # Its readers take whole numbers only.
        f"frameRate={max(1, round(video.frame_rate))}",
        f"seqLength={video.frame_count}",
        f"imWidth={video.width}",
        f"imHeight={video.height}",
        "imExt=.jpg",
    ]


def _put(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


EXPORTER = Exporter(
    name="mot",
    description="MOTChallenge sequence: tracks as gt/gt.txt, detections as det/det.txt, "
    f"seqinfo.ini; pixels with {_DIGITS} digits, the frame rate as a whole number.",
    shape="folder",
    tables=("tracks", "detections"),
    several=True,
    columns=BOX_COLUMNS,
    options=(
        boxes.LABELS,
        ExportOption(
            "tracks_as",
            "str",
            "gt",
            "gt: tracks as ground truth, gt/gt.txt; results: as a tracker's results, VIDEO.txt.",
            choices=("gt", "results"),
        ),
        boxes.IMAGES,
    ),
    write=_write,
)
