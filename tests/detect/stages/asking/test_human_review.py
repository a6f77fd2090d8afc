"""A person is asked about what is open, and what they say is applied."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediaproc.blobs import BlobRef, LocalBlobStore
from mediaproc.detect.stages.asking.doubts import doubts_of
from mediaproc.detect.stages.asking.human_review import STAGE, check, human_review
from mediaproc.detect.state import Frame, Video
from mediaproc.detect.tables import Answers, Detections, Events, Matches
from mediaproc.media import decode_jpeg

VIDEO = Video("clip.mp4", "0" * 64, 320, 240, 25.0, 40.0, 1000, (1, 12_800))


class Media:
    def images(self, indexes: Sequence[int], **options: Any) -> Iterator[Frame]:
        for index in indexes:
            image = np.full((240, 320, 3), index % 250, dtype=np.uint8)
            yield Frame(index, 512 * index, index / 25, image)


class Person:
    """Notes what is asked, and gives these answers one after the other."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def __call__(self, payload: dict[str, Any]) -> Any:
        self.asked.append(payload)
        return self.answers.pop(0)


def detections(*found: tuple[str, float], apart: int = 100) -> Detections:
    """A row each, of a label and how sure, ``apart`` frames from one to the next."""
    return Detections.from_records(
        {
            "node": "boxes",
            "frame_index": apart * number,
            "pts": 512 * apart * number,
            "time_s": apart * number / 25,
            "label": label,
            "class_id": {"car": 2, "van": 7}[label],
            "confidence": confidence,
            "x1": 100.0,
            "y1": 80.0,
            "x2": 180.0,
            "y2": 120.0,
            "polygon": None,
            "keypoints": None,
        }
        for number, (label, confidence) in enumerate(found)
    )


def events(*found: tuple[str, str, float]) -> Events:
    """A row each, of kind, label and score, at 4 s from one to the next."""
    return Events.from_records(
        {
            "node": "policy",
            "kind": kind,
            "label": label,
            "score": score,
            "pts": 51_200 * number,
            "start_frame": 100 * number,
            "end_frame": 100 * number + 25,
            "start_s": 4.0 * number,
            "end_s": 4.0 * number + 1,
            "track_id": 0,
            "details": {"rule": "r"},
        }
        for number, (kind, label, score) in enumerate(found)
    )


def answers(table: Detections, *said: tuple[str, float, str]) -> Answers:
    """What a model said about each row: the answer, how sure, and what it is instead."""
    return Answers.from_records(
        {
            **{column.name: "" for column in Answers.columns},
            "frame_index": 0,
            "pts": 0,
            "time_s": 0.0,
            "confidence": 0.5,
            "cost": 0.0,
            "input_tokens": 0,
            "output_tokens": 0,
            "box": None,
            "crop": None,
            "keys": doubt.keys,
            "answer": answer,
            "score": score,
            "answer_label": label,
            "reason": "so",
            "model": "a:b",
        }
        for doubt, (answer, score, label) in zip(doubts_of("detections", table), said, strict=True)
    )


@pytest.fixture
def review(tmp_path: Path) -> Callable[..., dict[str, list[dict[str, Any]]]]:
    """Calls the stage; its tables as records."""

    def call(state: dict[str, Any], person: Person, **config: Any) -> dict[str, Any]:
        update = human_review(
            {"video": VIDEO, **state},  # type: ignore[typeddict-item]
            config=STAGE.filled_config(config),
            media=Media(),  # type: ignore[arg-type]
            blobs=LocalBlobStore(tmp_path),
            ask=person,
        )
        return {channel: table.records() for channel, table in update.items()}

    return call


CARS = [("car", 0.2), ("car", 0.4), ("car", 0.5), ("car", 0.9)]


def test_human_review_asks_about_the_uncertain_and_leaves_the_rest(review: Any) -> None:
    person = Person("accept")
    found = review({"detections": detections(*CARS)}, person)
    assert [item["id"] for item in person.asked[0]["items"]] == ["detections:1", "detections:2"]
    assert [row["confidence"] for row in found["detections"]] == [0.2, 1.0, 1.0, 0.9]


def test_human_review_asks_about_flagged_events_of_any_score(review: Any) -> None:
    person = Person("accept")
    table = events(("flag", "knife", 0.95), ("crossing", "gate", 1.0))
    found = review({"events": table}, person)
    assert [item["label"] for item in person.asked[0]["items"]] == ["knife"]
    assert [row["kind"] for row in found["events"]] == ["flag", "crossing"]


def test_human_review_drops_what_is_rejected(review: Any) -> None:
    person = Person({"detections:1": "reject", "*": "accept"})
    found = review({"detections": detections(*CARS)}, person)
    assert [row["frame_index"] for row in found["detections"]] == [0, 200, 300]


def test_human_review_corrects_label_and_class(review: Any) -> None:
    table = detections(("car", 0.5), ("van", 0.9))
    person = Person({"detections:0": {"label": "van"}})
    found = review({"detections": table}, person)
    assert [(row["label"], row["class_id"]) for row in found["detections"]] == [("van", 7)] * 2


def test_human_review_gives_a_new_label_no_class_of_the_model(review: Any) -> None:
    person = Person({"detections:0": {"label": "tram"}})
    (row,) = review({"detections": detections(("car", 0.5))}, person)["detections"]
    assert (row["label"], row["class_id"]) == ("tram", -1)


def test_human_review_marks_events_that_were_accepted(review: Any) -> None:
    person = Person({"decisions": {"*": "accept"}, "by": "Ana"})
    (row,) = review({"events": events(("flag", "knife", 0.95))}, person)["events"]
    assert row["details"] == {"rule": "r", "review": "accept", "by": "Ana"}


def test_human_review_makes_a_match_certain_by_its_score(review: Any) -> None:
    (car,) = detections(("car", 0.5)).records()
    shared = {name: car[name] for name in car if name in {c.name for c in Matches.columns}}
    match = {**shared, "label": "Acme", "alias": "Acme", "text": "ACNE", "source": "texts"}
    table = Matches.from_records([{**match, "score": 0.5, "confidence": 0.9}])
    (row,) = review({"matches": table}, Person("accept"))["matches"]
    assert (row["score"], row["confidence"]) == (1.0, 0.9)


def test_human_review_refuses_thresholds_with_nothing_between() -> None:
    ((field, _),) = check(STAGE.filled_config({"low": 0.6, "high": 0.6}))
    assert field == "low"


def test_human_review_leaves_what_is_left(review: Any) -> None:
    found = review({"detections": detections(("car", 0.5))}, Person("leave"))
    assert found["detections"][0]["confidence"] == 0.5
    assert found["reviews"][0]["decision"] == "leave"


def test_human_review_applies_a_decision_to_all_sights_of_a_thing(review: Any) -> None:
    table = detections(*[("car", 0.5)] * 4, apart=10)
    person = Person("reject")
    assert review({"detections": table}, person)["detections"] == []
    assert [item["sights"] for item in person.asked[0]["items"]] == [4]


def test_human_review_keeps_who_decided_what(review: Any) -> None:
    said = {"decisions": {"detections:0": {"label": "van", "note": "big"}}, "by": "Ana"}
    (row,) = review({"detections": detections(("car", 0.5))}, Person(said))["reviews"]
    assert (row["decision"], row["new_label"], row["note"]) == ("correct", "van", "big")
    assert (row["by"], row["maker"], row["source"]) == ("Ana", "boxes", "detections")


def test_human_review_shows_a_picture_of_each_item(review: Any, tmp_path: Path) -> None:
    person = Person("accept")
    review({"detections": detections(("car", 0.5), ("van", 0.5))}, person, margin=0.5)
    blobs = LocalBlobStore(tmp_path)
    crops = [BlobRef.from_json(item["crop"]) for item in person.asked[0]["items"]]
    images = [decode_jpeg(blobs.get(crop)) for crop in crops]
    assert [image.shape for image in images] == [(80, 160, 3)] * 2
    assert [int(image.mean()) for image in images] == [0, 100]


def test_human_review_asks_the_most_pressing_first_within_its_limit(review: Any) -> None:
    table = detections(("car", 0.31), ("car", 0.45), ("car", 0.59))
    person = Person("accept")
    found = review({"detections": table}, person, max_items=1)
    assert [item["id"] for item in person.asked[0]["items"]] == ["detections:1"]
    assert [row["decision"] for row in found["reviews"]] == ["leave", "accept", "leave"]


def test_human_review_asks_again_what_was_not_understood(review: Any) -> None:
    person = Person("perhaps", "accept")
    found = review({"detections": detections(("car", 0.5))}, person)
    assert "'perhaps' is not one of" in person.asked[1]["problem"]
    assert found["reviews"][0]["decision"] == "accept"


def test_human_review_takes_over_what_a_model_is_sure_of(review: Any) -> None:
    table = detections(*[("car", 0.5)] * 3)
    said = answers(table, ("yes", 0.9, ""), ("no", 0.8, ""), ("no", 1.0, "van"))
    found = review({"detections": table, "answers": said}, Person())
    assert [row["decision"] for row in found["reviews"]] == ["accept", "reject", "correct"]
    assert {row["by"] for row in found["reviews"]} == {"a:b"}
    assert [row["label"] for row in found["detections"]] == ["car", "van"]


@pytest.mark.parametrize("said", [("yes", 0.7, ""), ("unsure", 1.0, ""), ("not_asked", 0.0, "")])
def test_human_review_asks_where_the_model_was_not_sure(
    review: Any, said: tuple[str, float, str]
) -> None:
    table = detections(("car", 0.5))
    person = Person("accept")
    review({"detections": table, "answers": answers(table, said)}, person)
    assert person.asked[0]["items"][0]["opinion"]["answer"] == said[0]


@pytest.mark.parametrize(
    "state", [{}, {"detections": detections(("car", 0.9))}, {"detections": Detections.empty()}]
)
def test_human_review_asks_nobody_where_nothing_is_open(review: Any, state: dict[str, Any]) -> None:
    found = review(state, Person())
    assert (found["reviews"], found["events"]) == ([], [])
