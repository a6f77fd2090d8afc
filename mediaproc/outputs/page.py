"""A report as one HTML file that needs nothing else: plain values in, a document out.

Everything goes through an element tree, which escapes what it is given. There is no script in it,
and nothing that a browser would fetch: pictures and charts stand in the file.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree as Tree  # builds only: nothing is parsed

from mediaproc.outputs.page_style import STYLE

# Widths in a chart are counted in thousandths of its time.
_STEPS = 1000
# Bars narrower than this, in those thousandths, would not be seen.
_THINNEST = 3.0

# Characters that no document may hold.
_NOT_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time.

    Attributes:
        start_s: seconds from the beginning.
        end_s: seconds from the beginning.
        title: what is told of it.
    """

    start_s: float
    end_s: float
    title: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """A line of the timeline.

    Attributes:
        name: what it shows.
        spans: in the order of time.
        colour: of its bars, as CSS has it.
        other: colour of every second bar, where neighbours are to be told apart.
    """

    name: str
    spans: Sequence[Span]
    colour: str
    other: str | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the chart.

    Attributes:
        name: whose it is.
        value: how long it is, where 1 fills the chart.
        cells: what stands beside it, for the columns of the chart.
    """

    name: str
    value: float
    cells: Sequence[str]


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars with numbers beside them.

    Attributes:
        title: of the section.
        note: what the numbers mean.
        columns: names of the cells of each bar.
        bars: from top to bottom.
    """

    title: str
    note: str
    columns: Sequence[str]
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture with a line or two under it.

    Attributes:
        jpeg: its bytes.
        alt: what it shows, for those who cannot see it.
        time: when.
        text: what else is told of it.
    """

    jpeg: bytes
    alt: str
    time: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Gallery:
    """Pictures side by side.

    Attributes:
        title: of the section.
        note: how many there are in all, and the like.
        pictures: in their order.
        flagged: whether they are a reason to look closer.
        cell_px: width that each is given.
    """

    title: str
    note: str
    pictures: Sequence[Picture]
    flagged: bool = False
    cell_px: int = 190


@dataclass(frozen=True, slots=True)
class Listing:
    """A table.

    Attributes:
        title: of the section.
        note: what stands in it.
        columns: names; those that end in a space and a unit hold numbers.
        rows: texts, one for each column.
        numbers: positions of the columns that hold numbers.
    """

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Page:
    """A report.

    Attributes:
        title: its heading.
        subtitle: the line below it.
        facts: the numbers at the top, each with its name.
        duration_s: length of the timeline, seconds.
        ticks: marks of the timeline: seconds, and how they are written.
        lanes: of the timeline.
        sections: what follows it.
        warnings: what a reader must know first, such as parts that could not be looked at.
        footer: the last line.
    """

    title: str
    subtitle: str
    facts: Sequence[tuple[str, str]]
    duration_s: float
    ticks: Sequence[tuple[float, str]]
    lanes: Sequence[Lane]
    sections: Sequence[Chart | Gallery | Listing]
    warnings: Sequence[str] = ()
    footer: str = ""
    language: str = field(default="en")


def page_bytes(page: Page) -> bytes:
    """The page as an HTML document in UTF-8; equal pages give equal bytes."""
    root = Tree.Element("html", {"lang": page.language})
    head = _add(root, "head")
    _add(head, "meta", charset="utf-8")
    _add(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    _add(head, "title", page.title)
    _add(head, "style", STYLE)
    body = _add(root, "body")
    header = _add(body, "header")
    _add(header, "h1", page.title)
    _add(header, "p", page.subtitle, {"class": "faint"})
    facts = _add(header, "dl", {"class": "facts"})
    for name, value in page.facts:
        pair = _add(facts, "div")
        _add(pair, "dt", name)
        _add(pair, "dd", value)
    main = _add(body, "main")
    if page.warnings:
        section = _section(main, "Not looked at", "")
        section.set("class", "flag")
        found = _add(section, "ul")
        for warning in page.warnings:
            _add(found, "li", warning)
    if page.lanes:
        _timeline(main, page)
    for content in page.sections:
        _SECTIONS[type(content)](main, content)
    _add(body, "footer", page.footer, {"class": "faint"})
    text = _NOT_TEXT.sub("\ufffd", Tree.tostring(root, encoding="unicode", method="html"))
    return f"<!doctype html>\n{text}\n".encode()


def _timeline(main: Tree.Element, page: Page) -> None:
    section = _section(main, "Timeline", "")
    grid = _add(section, "div", {"class": "lanes"})
    for lane in page.lanes:
        _add(grid, "div", lane.name, {"class": "name", "title": lane.name})
        spans = _merged(lane.spans, page.duration_s) if lane.other is None else lane.spans
        said = (
            f"{lane.name}: {len(lane.spans)} {'stretch' if len(lane.spans) == 1 else 'stretches'}"
        )
        chart = _svg(grid, said)
        for number, span in enumerate(spans):
            left = _STEPS * span.start_s / page.duration_s
            width = max(_THINNEST, _STEPS * (span.end_s - span.start_s) / page.duration_s)
            colour = lane.other if lane.other and number % 2 else lane.colour
            bar = _rect(chart, min(left, _STEPS - _THINNEST), width, colour)
            _add(bar, "title", span.title)
    _add(grid, "div")
    axis = _add(grid, "div", {"class": "axis", "aria-hidden": "true"})
    for seconds, text in page.ticks:
        place = 100 * seconds / page.duration_s
        _add(axis, "span", text, style=f"left:{place:.3f}%")


def _merged(spans: Sequence[Span], duration_s: float) -> list[Span]:
    """Stretches that a chart would not show apart, as one."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start_s, span.end_s)):
        last = found[-1] if found else None
        if last is not None and span.start_s - last.end_s < duration_s / _STEPS:
            title = last.title if last.title == span.title else f"{last.title}, {span.title}"
            if len(title) > 120:
                title = f"{last.title.removesuffix(' …')} …"
            found[-1] = Span(last.start_s, max(last.end_s, span.end_s), title)
        else:
            found.append(span)
    return found


def _chart(main: Tree.Element, chart: Chart) -> None:
    section = _section(main, chart.title, chart.note)
    body = _table(section, ["", "", *chart.columns], frozenset(range(2, 2 + len(chart.columns))))
    for bar in chart.bars:
        row = _add(body, "tr")
        _add(row, "th", bar.name, scope="row")
        svg = _svg(_add(row, "td", {"class": "bar"}), f"{bar.name}: {100 * bar.value:.0f} %")
        _rect(svg, 0, _STEPS, "#eaeef2")
        _rect(svg, 0, max(_THINNEST, _STEPS * min(1.0, bar.value)), "#0072b2")
        for cell in bar.cells:
            _add(row, "td", cell, {"class": "number"})


def _gallery(main: Tree.Element, gallery: Gallery) -> None:
    section = _section(main, gallery.title, gallery.note)
    style = f"--cell:{gallery.cell_px}px"
    pictures = _add(section, "ul", {"class": "pictures"}, style=style)
    for picture in gallery.pictures:
        item = _add(pictures, "li", {"class": "flag"} if gallery.flagged else {})
        figure = _add(item, "figure")
        data = base64.b64encode(picture.jpeg).decode()
        _add(figure, "img", src=f"data:image/jpeg;base64,{data}", alt=picture.alt)
        caption = _add(figure, "figcaption")
        _add(caption, "span", picture.time, {"class": "time"})
        if picture.text:
            _add(caption, "br").tail = picture.text


def _listing(main: Tree.Element, listing: Listing) -> None:
    section = _section(main, listing.title, listing.note)
    body = _table(section, listing.columns, listing.numbers)
    for cells in listing.rows:
        row = _add(body, "tr")
        for number, cell in enumerate(cells):
            if number == 0:
                _add(row, "th", cell, scope="row")
            else:
                _add(row, "td", cell, {"class": "number"} if number in listing.numbers else {})


_SECTIONS: dict[type, Any] = {Chart: _chart, Gallery: _gallery, Listing: _listing}


def _table(section: Tree.Element, columns: Sequence[str], numbers: frozenset[int]) -> Tree.Element:
    table = _add(_add(section, "div", {"class": "wide"}), "table")
    row = _add(_add(table, "thead"), "tr")
    for number, column in enumerate(columns):
        kind = {"class": "number"} if number in numbers else {}
        _add(row, "th" if column else "td", column, kind, **({"scope": "col"} if column else {}))
    return _add(table, "tbody")


def _section(main: Tree.Element, title: str, note: str) -> Tree.Element:
    section = _add(main, "section", {"aria-label": title})
    _add(section, "h2", title)
    if note:
        _add(section, "p", note, {"class": "faint"})
    return section


def _svg(parent: Tree.Element, said: str) -> Tree.Element:
    box = {"viewBox": f"0 0 {_STEPS} 10", "preserveAspectRatio": "none"}
    return _add(parent, "svg", {**box, "role": "img", "aria-label": said})


def _rect(svg: Tree.Element, x: float, width: float, colour: str) -> Tree.Element:
    place = {"x": f"{x:.2f}", "y": "0", "width": f"{width:.2f}", "height": "10"}
    return _add(svg, "rect", {**place, "fill": colour})


def _add(
    parent: Tree.Element, tag: str, *content: str | dict[str, str], **attributes: str
) -> Tree.Element:
    """A new element at the end of ``parent``; texts among ``content`` are its text."""
    element = Tree.SubElement(parent, tag, dict(attributes))
    for each in content:
        if isinstance(each, dict):
            element.attrib.update(each)
        else:
            element.text = each
    return element
