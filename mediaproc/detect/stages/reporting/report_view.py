"""What each part of the page of ``report_html`` shows, out of the report and the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mediaproc.blobs import BlobRef, BlobStore
from mediaproc.detect.rows import Rows
from mediaproc.detect.stages.rendering.thumbnails import (
    clock,
    evenly,
    event_pictures,
    shot_pictures,
    thumbnails,
)
from mediaproc.detect.state import DetectState, VideoSource
from mediaproc.outputs.page import (
    Bar,
    Chart,
    Gallery,
    Lane,
    Listing,
    Picture,
    Span,
)

Row = dict[str, Any]

_FLAG, _SHOTS = "#b42318", ("#8c959f", "#d0d7de")
_COLOURS = ("#0072b2", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#e69f00")
_MOST_LANES, _MOST_ROWS = 30, 100


class ReportView:
    """What each part of the page shows.

    Args:
        state: with the tables that there are.
        report: the report, as JSON.
        config: ``most`` pictures of a kind, and their ``width_px``.
        media: where pictures of frames come from.
        blobs: where pictures of objects are.
    """

    def __init__(
        self,
        state: DetectState,
        report: Row,
        config: dict[str, Any],
        media: VideoSource,
        blobs: BlobStore,
    ) -> None:
        self._tables: dict[str, Rows] = {
            channel: table
            for channel in ("shots", "events", "exposure", "totals", "crops")
            if isinstance(table := state.get(channel), Rows)
        }
        self._report = report
        self._config = config
        self._media = media
        self._blobs = blobs
        self._duration = max(report["video"]["duration_s"], 1e-3)
        self._flags = [row for row in self._rows("events") if row["kind"] == "flag"]

    def _rows(self, channel: str) -> list[Row]:
        return self._tables[channel].records() if channel in self._tables else []

    def facts(self) -> list[tuple[str, str]]:
        """The numbers at the top."""
        report = self._report
        found = [("Length", clock(report["video"]["duration_s"]))]
        if "shots" in self._tables:
            found.append(("Shots", f"{len(report['shots']):,}"))
        if "events" in self._tables:
            found.append(("Flagged moments", f"{len(self._flags):,}"))
        brands = {row["label"] for row in self._rows("exposure")}
        if "exposure" in self._tables:
            found.append(("Brands and classes", f"{len(brands):,}"))
        if report["objects"]:
            found.append(("Kinds of objects", f"{len({o['label'] for o in report['objects']}):,}"))
        if report["tracks"]:
            found.append(("Objects followed", f"{len(report['tracks']):,}"))
        if report["texts"]:
            found.append(("Lines of text", f"{len(report['texts']):,}"))
        found.append(("Frames looked at", f"{report['sampled_frames']:,}"))
        return found

    def lanes(self) -> list[Lane]:
        """The timeline: shots, what is flagged, what is on screen, what happens."""
        lanes = []
        if shots := self._rows("shots"):
            spans = [
                Span(s["start_s"], s["end_s"], f"shot {s['shot'] + 1}, {clock(s['start_s'])}")
                for s in shots
            ]
            if len(spans) > 500:  # narrower than a bar can be
                spans = [Span(s.start_s, s.start_s, s.title) for s in spans]
            lanes.append(Lane("Shots", spans, *_SHOTS))
        lanes += _by(self._flags, lambda row: f"flagged: {row['label']}", _FLAG)
        colours = iter(_COLOURS * _MOST_LANES)
        exposure = self._rows("exposure")
        for lane in _by(exposure, lambda row: row["label"], ""):
            lanes.append(Lane(lane.name, lane.spans, next(colours)))
        brands = {lane.name for lane in lanes}
        for thing in self._report["objects"]:
            if thing["label"] not in brands:
                lanes.append(Lane(thing["label"], _spans(thing["on_screen"]), next(colours)))
        others = [row for row in self._rows("events") if row["kind"] != "flag"]
        for lane in _by(others, lambda row: f"{row['kind']}: {row['label']}", ""):
            lanes.append(Lane(lane.name, lane.spans, next(colours)))
        if texts := self._report["texts"]:
            spans = [
                Span(span["start_s"], span["end_s"], text["text"])
                for text in texts
                for span in text["on_screen"]
            ]
            lanes.append(Lane("Text", sorted(spans, key=lambda s: s.start_s), "#57606a"))
        for speech in self._report["speech"]:
            lanes.append(Lane("Speech", _spans(speech["when"]), "#57606a"))
        return lanes[:_MOST_LANES]

    def moments(self) -> Iterable[Gallery]:
        """What is flagged, the gravest first."""
        if "events" not in self._tables or not self._flags:
            return
        pictures = event_pictures(self._tables["events"])
        flags = [(frame, row) for frame, row in pictures if row["kind"] == "flag"]
        flags.sort(key=lambda each: (-_level(each[1]), -each[1]["score"], each[1]["start_frame"]))
        shown = flags[: self._config["most"]]
        jpegs = self._jpegs([frame for frame, _ in shown])
        note = f"{len(flags):,} in all, the gravest first."
        if len(shown) < len(flags):
            note += f" The first {len(shown):,} are shown; events.parquet has the others."
        yield Gallery(
            "Flagged moments",
            note,
            [
                Picture(
                    jpegs[frame],
                    f"Frame at {clock(row['start_s'])}, flagged as {row['label']}",
                    f"{clock(row['start_s'])} to {clock(row['end_s'])}",
                    f"{row['label']}: {_severity(row)}{row['score']:.2f}",
                )
                for frame, row in shown
            ],
            flagged=True,
        )

    def exposure(self) -> Iterable[Chart]:
        """How long each brand or class is on screen."""
        whole = self._duration
        if rows := self._rows("exposure"):
            sums: dict[str, list[float]] = {}
            for row in rows:
                each = sums.setdefault(row["label"], [0.0, 0.0, 0.0, 0.0])
                each[0] += row["seen_s"]
                each[1] += row["seen_s"] * row["prominence"]
                each[2] += row["seen_s"] * row["area_share"]
                each[3] += 1
            ordered = sorted(sums.items(), key=lambda each: (-each[1][0], each[0]))
            yield Chart(
                "Exposure",
                "Time on screen, as a share of the video. Prominence and share of the frame are "
                "means over the time on screen.",
                ["Time", "Of the video", "Stretches", "Of the frame", "Prominence"],
                [
                    Bar(
                        label,
                        seen / whole,
                        [
                            clock(seen),
                            _percent(seen / whole),
                            f"{int(count):,}",
                            _percent(area / seen if seen else 0.0),
                            f"{weight / seen if seen else 0.0:.2f}",
                        ],
                    )
                    for label, (seen, weight, area, count) in ordered[:_MOST_ROWS]
                ],
            )
        sampled = self._report["sampled_frames"]
        if not self._report["objects"] or not sampled:
            return
        objects = sorted(self._report["objects"], key=lambda o: (-o["frames"], o["label"]))
        yield Chart(
            "Objects",
            "Share of the frames that were looked at in which each kind was found.",
            ["Frames", "Share", "Sights", "Highest confidence"],
            [
                Bar(
                    thing["label"],
                    thing["frames"] / sampled,
                    [
                        f"{thing['frames']:,}",
                        _percent(thing["frames"] / sampled),
                        f"{thing['detections']:,}",
                        f"{thing['max_confidence']:.2f}",
                    ],
                )
                for thing in objects[:_MOST_ROWS]
            ],
        )

    def shots(self) -> Iterable[Gallery]:
        """A picture of each shot."""
        if "shots" not in self._tables or not len(self._tables["shots"]):
            return
        every = shot_pictures(self._tables["shots"])
        shown = evenly(every, self._config["most"])
        jpegs = self._jpegs([frame for frame, _ in shown])
        few = f" {len(shown):,} of them, spread evenly." if len(shown) < len(every) else ""
        yield Gallery(
            "Shots",
            f"{len(every):,} in all.{few}",
            [
                Picture(
                    jpegs[frame],
                    f"Frame of shot {row['shot'] + 1}",
                    clock(row["start_s"]),
                    f"shot {row['shot'] + 1}, {row['end_s'] - row['start_s']:.1f} s",
                )
                for frame, row in shown
            ],
        )

    def crops(self) -> Iterable[Gallery]:
        """The best picture of each object."""
        every = self._rows("crops")
        if not every:
            return
        every.sort(key=lambda row: (-row["score"], row["frame_index"]))
        shown = every[: self._config["most"]]
        yield Gallery(
            "Objects followed",
            f"{len(every):,} in all, the best pictures first.",
            [
                Picture(
                    self._blobs.get(BlobRef.from_json(row["blob"])),
                    f"{row['label']}, number {row['track_id']}",
                    clock(row["time_s"]),
                    f"{row['label']} {row['track_id']}",
                )
                for row in shown
            ],
            cell_px=110,
        )

    def texts(self) -> Iterable[Listing]:
        """What was read."""
        texts = self._report["texts"]
        if not texts:
            return
        more = len(texts) - _MOST_ROWS
        yield Listing(
            "Text on screen",
            f"The first {_MOST_ROWS}; report.json has {more:,} more." if more > 0 else "",
            ["Text", "First seen", "Last seen", "Frames", "Confidence"],
            [
                [
                    text["text"],
                    clock(text["on_screen"][0]["start_s"]),
                    clock(text["on_screen"][-1]["end_s"]),
                    f"{text['frames']:,}",
                    f"{text['max_confidence']:.2f}",
                ]
                for text in texts[:_MOST_ROWS]
            ],
            numbers=frozenset({1, 2, 3, 4}),
        )

    def said(self) -> Iterable[Listing]:
        """What was said."""
        phrases = self._report["transcript"]
        if not phrases:
            return
        more = len(phrases) - _MOST_ROWS
        yield Listing(
            "What was said",
            f"The first {_MOST_ROWS} phrases; report.json has {more:,} more." if more > 0 else "",
            ["Phrase", "From", "To", "Language", "Confidence"],
            [
                [
                    phrase["text"],
                    clock(phrase["start_s"]),
                    clock(phrase["end_s"]),
                    phrase["language"],
                    f"{phrase['confidence']:.2f}",
                ]
                for phrase in phrases[:_MOST_ROWS]
            ],
            numbers=frozenset({1, 2, 4}),
        )

    def totals(self) -> Iterable[Listing]:
        """The sums that stages made, a table for each topic."""
        topics: dict[str, list[Row]] = {}
        for row in self._rows("totals"):
            topics.setdefault(row["topic"], []).append(row)
        for topic, rows in topics.items():
            if topic == "exposure":  # the chart shows them
                continue
            names = [*dict.fromkeys(name for row in rows for name in row["values"])]
            names = [name for name in names if name != "points"]  # of zones: a picture shows them
            yield Listing(
                f"Totals: {topic}",
                "",
                ["", *(name.replace("_", " ") for name in names)],
                [[row["label"], *(_said(row["values"].get(n)) for n in names)] for row in rows],
                numbers=frozenset(
                    position
                    for position, name in enumerate(names, 1)
                    if all(isinstance(row["values"].get(name, 0), int | float) for row in rows)
                ),
            )

    def _jpegs(self, frames: list[int]) -> dict[int, bytes]:
        from mediaproc.media import encode_jpeg

        size = self._config["width_px"]
        pictures = thumbnails(self._media, frames, (size, size))
        return {frame: encode_jpeg(image, 80) for frame, image in pictures.items()}


def _by(rows: list[Row], name: Callable[[Row], str], colour: str) -> list[Lane]:
    """A lane for each name among rows with a start and an end."""
    lanes: dict[str, list[Span]] = {}
    for row in rows:
        title = f"{clock(row['start_s'])} to {clock(row['end_s'])}"
        lanes.setdefault(name(row), []).append(Span(row["start_s"], row["end_s"], title))
    return [Lane(label, spans, colour) for label, spans in sorted(lanes.items())]


def _spans(intervals: list[Row]) -> list[Span]:
    return [
        Span(i["start_s"], i["end_s"], f"{clock(i['start_s'])} to {clock(i['end_s'])}")
        for i in intervals
    ]


def _level(event: Row) -> float:
    details = event["details"] if isinstance(event["details"], dict) else {}
    level = details.get("level", 0)
    return float(level) if isinstance(level, int | float) else 0.0


def _severity(event: Row) -> str:
    details = event["details"] if isinstance(event["details"], dict) else {}
    return f"{details['severity']}, " if "severity" in details else ""


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _said(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_said(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(_said, value))
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
