"""CVAT for video 1.1: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/.

A box that is seen is a keyframe; CVAT moves it in a straight line up to the next. Where a track is
not seen in the next frame that was looked at, an ``outside`` box ends it there; a detection that
belongs to no track ends in the next frame.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mediaproc.outputs import boxes
from mediaproc.outputs.exporter import BOX_COLUMNS, Exporter
from mediaproc.outputs.tables import Findings, Row, Table

_DIGITS = 2
# What XML 1.0 cannot hold.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _write(path: Path, findings: Findings, options: Mapping[str, Any]) -> None:
    (table,) = findings.tables.values()
    names = boxes.labels([table], options["labels"])
    seen = [*boxes.frames([table])]
    with path.open("w", encoding="utf-8") as file:
        xml = _Xml(file)
        with xml.document("annotations"):
            xml.leaf("version", "1.1")
            with xml.element("meta"):
                _write_task(xml, findings, table, names)
            number = 0
            for rows in boxes.sights(table):
                if boxes.label(rows[0]) in names:
                    _write_track(xml, number, rows, table, seen, findings.video.frame_count)
                    number += 1


def _write_task(xml: _Xml, findings: Findings, table: Table, names: Sequence[str]) -> None:
    video = findings.video
    with xml.element("task"):
        xml.leaf("name", video.name)
        xml.leaf("size", video.frame_count)
        xml.leaf("mode", "interpolation")
        xml.leaf("start_frame", 0)
        xml.leaf("stop_frame", max(0, video.frame_count - 1))
        xml.leaf("frame_filter", "")
        with xml.element("labels"):
            for name in names:
                with xml.element("label"):
                    xml.leaf("name", name)
                    with xml.element("attributes"):
                        for attribute in _attributes(table):
                            with xml.element("attribute"):
                                xml.leaf("name", attribute)
                                xml.leaf("mutable", "True")
                                xml.leaf("input_type", "text")
                                xml.leaf("default_value", "")
                                xml.leaf("values", "")
        with xml.element("original_size"):
            xml.leaf("width", video.width)
            xml.leaf("height", video.height)


def _attributes(table: Table) -> list[str]:
    return [name for name in ("confidence", "text") if table.has(name)]


def _write_track(
    xml: _Xml, number: int, rows: Sequence[Row], table: Table, seen: Sequence[int], frames: int
) -> None:
    with xml.element("track", id=number, label=boxes.label(rows[0]), source="auto"):
        for row, following in zip(rows, [*rows[1:], None], strict=True):
            _write_box(xml, row, row["frame_index"], table, outside=0)
            frame: int = row["frame_index"]
            end = boxes.gone(frame, seen) if table.has("track_id") else frame + 1
            if end < frames and (following is None or following["frame_index"] > end):
                _write_box(xml, row, end, table, outside=1)


def _write_box(xml: _Xml, row: Row, frame: int, table: Table, *, outside: int) -> None:
    sides = {
        name: f"{row[side]:.{_DIGITS}f}"
        for name, side in (("xtl", "x1"), ("ytl", "y1"), ("xbr", "x2"), ("ybr", "y2"))
    }
    flags = {"frame": frame, "keyframe": 1, "outside": outside, "occluded": 0}
    with xml.element("box", **flags, **sides, z_order=0):
        for name in _attributes(table):
            value = f"{row[name]:.4f}" if name == "confidence" else row[name]
            xml.leaf("attribute", value, name=name)


class _Xml:
    """Writes elements as they come, so that hours of boxes never stand in memory as a tree."""

    def __init__(self, file: Any) -> None:
        from xml.sax.saxutils import XMLGenerator

        self._out = XMLGenerator(file, encoding="utf-8", short_empty_elements=True)
        self._depth = 0

    @contextmanager
    def document(self, name: str) -> Iterator[None]:
        self._out.startDocument()
        with self.element(name):
            yield
        self._out.ignorableWhitespace("\n")

    @contextmanager
    def element(self, name: str, /, **attributes: Any) -> Iterator[None]:
        self._line()
        self._out.startElement(name, _texts(attributes))
        self._depth += 1
        yield
        self._depth -= 1
        self._line()
        self._out.endElement(name)

    def leaf(self, element: str, value: Any, /, **attributes: Any) -> None:
        self._line()
        self._out.startElement(element, _texts(attributes))
        if text := _legal(value):
            self._out.characters(text)
        self._out.endElement(element)

    def _line(self) -> None:
        self._out.ignorableWhitespace("\n" + "  " * self._depth if self._depth else "")


def _texts(attributes: Mapping[str, Any]) -> Any:
    return {name: _legal(value) for name, value in attributes.items()}


def _legal(value: Any) -> str:
    return _ILLEGAL.sub("", str(value))


EXPORTER = Exporter(
    name="cvat",
    description="CVAT for video 1.1 (XML): a track for each track, or for each detection; "
    f"pixels with {_DIGITS} digits, confidences with 4.",
    shape="file",
    extension=".xml",
    media_type="application/xml",
    tables=("tracks", "detections", "texts"),
    columns=BOX_COLUMNS,
    options=(boxes.LABELS,),
    write=_write,
)
