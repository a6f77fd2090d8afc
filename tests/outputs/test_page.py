"""The page of a report: whole in itself, escaped, and readable without a mouse or an eye."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediaproc.media import encode_jpeg
from mediaproc.outputs.page import (
    Bar,
    Chart,
    Gallery,
    Lane,
    Listing,
    Page,
    Picture,
    Span,
    page_bytes,
)
from tests.browser import browser

HOSTILE = '<script>document.title="taken"</script>"><img src=x onerror=alert(1)>'
JPEG = encode_jpeg(np.full((40, 60, 3), 120, dtype=np.uint8))


def page(text: str = "A & B", **changes: Any) -> Page:
    given: dict[str, Any] = {
        "title": text,
        "subtitle": text,
        "facts": [("Shots", "12"), (text, text)],
        "duration_s": 60.0,
        "ticks": [(0.0, "0:00"), (60.0, "1:00")],
        "lanes": [
            Lane("Shots", [Span(0, 30, text), Span(30, 60, text)], "#888", "#ccc"),
            Lane(text, [Span(10, 20, text)], "#0072b2"),
        ],
        "sections": [
            Chart("Exposure", text, ["Time"], [Bar(text, 0.25, ["0:15"])]),
            Gallery("Flagged", text, [Picture(JPEG, text, "0:10", text)], flagged=True),
            Listing("Texts", text, ["Text", "Frames"], [[text, "3"]], frozenset({1})),
        ],
        "warnings": [text],
        "footer": text,
    }
    return Page(**{**given, **changes})


class Parsed(HTMLParser):
    """The elements of a document with their attributes, and its texts."""

    def __init__(self, document: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(document.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def opened() -> Iterator[Any]:
    with browser() as running:
        yield running


def test_page_holds_hostile_text_as_text() -> None:
    plain, hostile = Parsed(page_bytes(page())), Parsed(page_bytes(page(HOSTILE)))
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in plain.elements]
    assert hostile.texts.count(HOSTILE) == plain.texts.count("A & B")
    assert [image["alt"] for image in hostile.all("img")] == [HOSTILE]


def test_page_runs_nothing_in_a_browser(opened: Any, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(page_bytes(page(HOSTILE)))
    view = opened.new_page()
    said: list[str] = []
    view.on("dialog", lambda dialog: said.append(dialog.message))
    view.on("console", lambda message: said.append(message.text))
    view.goto(path.as_uri())
    assert (view.title(), said) == (HOSTILE, [])
    view.close()


def test_page_asks_a_browser_for_nothing_else(opened: Any, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(page_bytes(page()))
    asked: list[str] = []
    view = opened.new_page()
    view.on("request", lambda request: asked.append(request.url))
    view.goto(path.as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    view.close()


@pytest.mark.parametrize("width", [360, 1280])
def test_page_fits_the_window(opened: Any, tmp_path: Path, width: int) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(page_bytes(page("verylongname" * 20)))
    view = opened.new_page(viewport={"width": width, "height": 800})
    view.goto(path.as_uri())
    assert view.evaluate("document.documentElement.scrollWidth") <= width
    view.close()


def test_page_says_what_pictures_and_charts_show() -> None:
    found = Parsed(page_bytes(page()))
    assert all(image["alt"] for image in found.all("img"))
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in found.all("svg"))
    assert found.all("html")[0]["lang"] == "en"
    assert {attributes.get("scope") for attributes in found.all("th")} == {"col", "row"}


def test_page_shows_a_stretch_at_its_time() -> None:
    found = Parsed(page_bytes(page(lanes=[Lane("x", [Span(15, 30)], "#123456")], sections=[])))
    [bar] = [rect for rect in found.all("rect") if rect["fill"] == "#123456"]
    assert (bar["x"], bar["width"]) == ("250.00", "250.00")


def test_page_shows_a_moment_that_would_be_too_thin() -> None:
    found = Parsed(page_bytes(page(lanes=[Lane("x", [Span(60, 60)], "#123456")], sections=[])))
    [bar] = [rect for rect in found.all("rect") if rect["fill"] == "#123456"]
    assert (bar["x"], bar["width"]) == ("997.00", "3.00")


def test_page_joins_stretches_that_nobody_could_tell_apart() -> None:
    spans = [Span(n * 0.01, n * 0.01 + 0.005, f"{n}") for n in range(3000)]
    document = page_bytes(page(lanes=[Lane("x", spans, "#123456")], sections=[]))
    assert len([r for r in Parsed(document).all("rect") if r["fill"] == "#123456"]) == 1


def test_page_drops_characters_that_no_document_may_hold() -> None:
    document = page_bytes(page("a\x00b\x1bc\ud800d")).decode()
    assert "a\ufffdb\ufffdc\ufffdd" in document
