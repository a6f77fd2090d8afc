"""The report: what was found in a video, as a versioned document.

Times are seconds rounded to 3 digits, boxes ``xyxy`` in pixels rounded to 1, confidences rounded
to 4. It holds no clock, host, path or job id: equal work gives an equal report.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class VideoFacts(_Model):
    """The video that was looked at."""

    name: str
    fingerprint: str
    width: int
    height: int
    fps: float
    duration_s: float
    frame_count: int


class Interval(_Model):
    """A stretch of time, in seconds."""

    start_s: float
    end_s: float


class ShotFinding(_Model):
    """A shot and how it begins."""

    shot: int
    start_s: float
    end_s: float
    start_frame: int
    end_frame: int
    transition: Literal["start", "cut", "fade"]


class LabelFinding(_Model):
    """All sights of one class by one node."""

    node: str
    label: str
    detections: int
    frames: int
    max_confidence: float
    on_screen: list[Interval]


class TrackFinding(_Model):
    """One object, from its first to its last sight."""

    node: str
    track_id: int
    label: str
    start_s: float
    end_s: float
    sights: int
    mean_confidence: float


class TextFinding(_Model):
    """A line of text and when it was on screen."""

    node: str
    text: str
    frames: int
    max_confidence: float
    xyxy: tuple[float, float, float, float]
    on_screen: list[Interval]


class MatchFinding(_Model):
    """A brand or word of a list, where it was read or said."""

    node: str
    label: str
    source: str
    spellings: list[str]
    frames: int
    max_score: float
    when: list[Interval]


class ExposureFinding(_Model):
    """A stretch of time in which a brand or class is on screen."""

    node: str
    label: str
    start_s: float
    end_s: float
    seen_s: float
    area_share: float
    prominence: float


class Moment(_Model):
    """One event, with what its kind has to say in ``details``."""

    start_s: float
    end_s: float
    start_frame: int
    end_frame: int
    score: float
    track_id: int
    details: JsonValue


class EventFinding(_Model):
    """All events of one kind and label, the first ones in full."""

    node: str
    kind: str
    label: str
    count: int
    max_score: float
    moments: list[Moment]


class TotalFinding(_Model):
    """Sums over the whole video about one subject, as the stage that made them names them."""

    node: str
    topic: str
    label: str
    values: dict[str, JsonValue]


class SpeechFinding(_Model):
    """When somebody speaks, by one node."""

    node: str
    seconds: float
    when: list[Interval]


class PhraseFinding(_Model):
    """What is said in one go."""

    node: str
    start_s: float
    end_s: float
    text: str
    language: str
    confidence: float


class AnswersFinding(_Model):
    """What a model said of what was uncertain, in numbers; ``not_asked`` is beyond the budget."""

    node: str
    model: str
    yes: int
    no: int
    unsure: int
    unreadable: int
    not_asked: int
    input_tokens: int
    output_tokens: int
    cost: float


class ReviewsFinding(_Model):
    """What was decided about what was open, in numbers; ``left`` is open still."""

    node: str
    accepted: int
    rejected: int
    corrected: int
    left: int
    by: list[str]


class Failure(_Model):
    """A piece of the video that a node failed on, and that was skipped."""

    node: str
    start_s: float
    end_s: float
    error: str


class Report(_Model):
    """What was found in a video. The version rises with every change of the keys."""

    version: Literal[2] = 2
    video: VideoFacts
    sampled_frames: int
    shots: list[ShotFinding]
    objects: list[LabelFinding]
    tracks: list[TrackFinding]
    texts: list[TextFinding]
    matches: list[MatchFinding]
    exposure: list[ExposureFinding]
    events: list[EventFinding]
    totals: list[TotalFinding]
    speech: list[SpeechFinding]
    transcript: list[PhraseFinding]
    answers: list[AnswersFinding]
    reviews: list[ReviewsFinding]
    failures: list[Failure]


def report_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a report of this version."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Report.model_json_schema(mode="serialization"),
        "title": "mediaproc report",
    }
