"""What is uncertain is asked about, within its budget, and every answer is kept."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediaproc.blobs import BlobRef, LocalBlobStore
from mediaproc.detect.models import ModelStore
from mediaproc.detect.models.answers import AnswerJournal
from mediaproc.detect.rows import INLINE_BYTES
from mediaproc.detect.stages.asking.escalate_vlm import (
    STAGE,
    check,
    escalate_vlm,
    identity,
    prepare,
)
from mediaproc.detect.state import Frame, Video
from mediaproc.detect.tables import Answers, Detections, Events
from mediaproc.errors import ModelError, StageError
from mediaproc.media import decode_jpeg
from tests.chat import ChatServer, Said, Seen, chat_server, fake_model, verdict

VIDEO = Video("clip.mp4", "0" * 64, 320, 240, 25.0, 40.0, 1000, (1, 12_800))


class Media:
    """Frames that are black but for what stands in the middle of each: its number as a grey."""

    def images(self, indexes: Sequence[int], **options: Any) -> Iterator[Frame]:
        for index in indexes:
            image = np.full((240, 320, 3), index % 250, dtype=np.uint8)
            yield Frame(index, 512 * index, index / 25, image)


def detections(*confidences: float, apart: int = 100, label: str = "car") -> Detections:
    """A row each, ``apart`` frames from one to the next, all in the same place."""
    return Detections.from_records(
        {
            "node": "boxes",
            "frame_index": apart * number,
            "pts": 512 * apart * number,
            "time_s": apart * number / 25,
            "label": label,
            "class_id": 2,
            "confidence": confidence,
            "x1": 100.0,
            "y1": 80.0,
            "x2": 180.0,
            "y2": 120.0,
            "polygon": None,
            "keypoints": None,
        }
        for number, confidence in enumerate(confidences)
    )


def asked(
    folder: Path, state: dict[str, Any], *, given: Any = None, **config: Any
) -> tuple[list[dict[str, Any]], LocalBlobStore]:
    """The answers to what is uncertain in a state, by the given model or ``config``'s."""
    settings = STAGE.filled_config({"model": "given:judge", "wait_s": 0.0, **config})
    models = ModelStore(folder / "models", chat_models={"judge": given})
    blobs = LocalBlobStore(folder / "blobs")
    update = escalate_vlm(
        {"video": VIDEO, **state},  # type: ignore[typeddict-item]
        config=settings,
        media=Media(),  # type: ignore[arg-type]
        models=models,
        blobs=blobs,
        progress=lambda done, total: None,
    )
    answers: Answers = asyncio.run(update)["answers"]
    return answers.records(), blobs


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")


def served(folder: Path, server: ChatServer, count: int, **config: Any) -> list[dict[str, Any]]:
    state = {"detections": detections(*[0.45] * count)}
    more = {"model": "openai:m", "base_url": server.url, **config}
    return asked(folder, state, **more)[0]


# ---- who is asked


def test_escalate_vlm_asks_only_between_the_thresholds(tmp_path: Path) -> None:
    state = {"detections": detections(0.29, 0.3, 0.59, 0.6, 0.9)}
    rows, _ = asked(tmp_path, state, given=fake_model([verdict()] * 2))
    assert [row["confidence"] for row in rows] == [0.3, 0.59]
    assert {row["answer"] for row in rows} == {"yes"}


def test_escalate_vlm_begins_with_the_most_uncertain(tmp_path: Path) -> None:
    state = {"detections": detections(0.31, 0.46, 0.58, 0.44)}
    model = fake_model([verdict(reason=str(number)) for number in range(4)])
    rows, _ = asked(tmp_path, state, given=model, parallel=1)
    by_turn = sorted(rows, key=lambda row: row["reason"])
    assert [row["confidence"] for row in by_turn] == [0.46, 0.44, 0.58, 0.31]


def test_escalate_vlm_keeps_its_rows_in_the_order_of_time(tmp_path: Path) -> None:
    state = {"detections": detections(0.31, 0.46, 0.58)}
    rows, _ = asked(tmp_path, state, given=fake_model([verdict()] * 3))
    assert [row["frame_index"] for row in rows] == [0, 100, 200]


def test_escalate_vlm_asks_once_about_one_thing_in_frames_close_by(tmp_path: Path) -> None:
    state = {"detections": detections(0.4, 0.5, 0.45, apart=10)}
    (row,), _ = asked(tmp_path, state, given=fake_model([verdict()]))
    assert row["confidence"] == 0.5
    assert len(set(row["keys"])) == 3


def test_escalate_vlm_asks_about_the_labels_it_is_told_to(tmp_path: Path) -> None:
    both = Detections.concat([detections(0.5), detections(0.5, label="dog")])
    (row,), _ = asked(tmp_path, {"detections": both}, given=fake_model([verdict()]), only=["dog"])
    assert row["label"] == "dog"


def test_escalate_vlm_asks_about_flagged_events_as_whole_frames(tmp_path: Path) -> None:
    event = {
        **dict.fromkeys(("node", "label"), "rule"),
        **dict.fromkeys(("pts", "start_frame", "track_id"), 0),
        "kind": "flag",
        "end_frame": 9,
        "start_s": 0.0,
        "end_s": 0.4,
        "score": 0.5,
        "details": {},
    }
    events = Events.from_records([event, {**event, "kind": "crossing"}])
    (row,), blobs = asked(tmp_path, {"events": events}, given=fake_model([verdict()]))
    assert (row["source"], row["box"]) == ("events", None)
    assert decode_jpeg(blobs.get(BlobRef.from_json(row["crop"]))).shape == (240, 320, 3)


def test_escalate_vlm_of_nothing_uncertain_asks_nobody(tmp_path: Path) -> None:
    rows, _ = asked(tmp_path, {"detections": detections(0.1, 0.9)}, given=fake_model([]))
    assert rows == []


def test_escalate_vlm_without_any_findings_has_no_rows(tmp_path: Path) -> None:
    assert asked(tmp_path, {}, given=fake_model([]))[0] == []


# ---- what is shown


def test_escalate_vlm_shows_the_box_with_its_surroundings(tmp_path: Path) -> None:
    state = {"detections": detections(0.5)}
    (row,), blobs = asked(tmp_path, state, given=fake_model([verdict()]), margin=0.5)
    crop = decode_jpeg(blobs.get(BlobRef.from_json(row["crop"])))
    assert crop.shape == (80, 160, 3)


def test_escalate_vlm_makes_large_pictures_smaller(tmp_path: Path) -> None:
    state = {"detections": detections(0.5)}
    (row,), blobs = asked(tmp_path, state, given=fake_model([verdict()]), margin=0.5, max_px=40)
    assert decode_jpeg(blobs.get(BlobRef.from_json(row["crop"]))).shape == (20, 40, 3)


@pytest.mark.usefixtures("key")
def test_escalate_vlm_sends_the_question_and_the_picture_of_its_frame(tmp_path: Path) -> None:
    with chat_server(lambda number, seen: verdict()) as server:
        served(tmp_path, server, 2, question="A {label}?", labels=["van"], parallel=1)
    assert [seen.question for seen in server.seen] == [
        "A car? If not, say which of these it is: van."
    ] * 2
    assert [int(seen.image.mean()) for seen in server.seen] == [0, 100]


# ---- what comes back


def test_escalate_vlm_keeps_what_the_model_said(tmp_path: Path) -> None:
    said = verdict("no", 0.8, "van", "It has no windows.")
    model = fake_model([said], tokens=(1000, 50))
    state = {"detections": detections(0.5)}
    (row,), _ = asked(tmp_path, state, given=model, price_in=2.0, price_out=10.0)
    assert (row["answer"], row["score"], row["answer_label"]) == ("no", 0.8, "van")
    assert row["reason"] == "It has no windows."
    assert (row["input_tokens"], row["output_tokens"]) == (1000, 50)
    assert row["cost"] == pytest.approx(0.0025)
    assert row["model"] == "given:judge"


@pytest.mark.parametrize("said", ["?", "{}", verdict(score=7.0)], ids=["text", "empty", "score"])
def test_escalate_vlm_asks_again_where_an_answer_cannot_be_read(tmp_path: Path, said: str) -> None:
    model = fake_model([said, verdict()], tokens=(100, 10))
    (row,), _ = asked(tmp_path, {"detections": detections(0.5)}, given=model)
    assert (row["answer"], row["input_tokens"]) == ("yes", 200)


def test_escalate_vlm_says_why_an_answer_could_not_be_read(tmp_path: Path) -> None:
    model = fake_model(["?"] * 2)
    (row,), _ = asked(tmp_path, {"detections": detections(0.5)}, given=model, attempts=2)
    assert row["answer"] == "unreadable"
    assert row["reason"].startswith("not JSON")


@pytest.mark.usefixtures("key")
def test_escalate_vlm_takes_only_labels_to_choose_from(tmp_path: Path) -> None:
    with chat_server(lambda number, seen: verdict("no", label="boat")) as server:
        (row,) = served(tmp_path, server, 1, labels=["van", "bus"], attempts=1)
    assert row["answer"] == "unreadable"
    assert "'boat' is not one to choose from" in row["reason"]


# ---- the budget


def test_escalate_vlm_leaves_what_lies_beyond_the_calls_unasked(tmp_path: Path) -> None:
    state = {"detections": detections(0.31, 0.45, 0.58)}
    rows, _ = asked(tmp_path, state, given=fake_model([verdict()]), max_calls=1)
    assert [row["answer"] for row in rows] == ["not_asked", "yes", "not_asked"]
    assert [row["crop"] is None for row in rows] == [True, False, True]


def test_escalate_vlm_spends_no_more_than_it_may(tmp_path: Path) -> None:
    model = fake_model([verdict()] * 8, tokens=(1000, 0))
    state = {"detections": detections(*[0.45] * 8)}
    rows, _ = asked(tmp_path, state, given=model, price_in=10.0, max_cost=0.035)
    assert sum(row["answer"] == "yes" for row in rows) == 3
    assert sum(row["cost"] for row in rows) == pytest.approx(0.03)


def test_escalate_vlm_refuses_money_where_the_model_counts_no_tokens(tmp_path: Path) -> None:
    state = {"detections": detections(0.45)}
    with pytest.raises(StageError, match=r"does not tell how many tokens.*max_calls"):
        asked(tmp_path, state, given=fake_model([verdict()]), price_in=1.0, max_cost=1.0)


@pytest.mark.usefixtures("key")
def test_escalate_vlm_asks_no_more_at_once_than_it_may(tmp_path: Path) -> None:
    def say(number: int, seen: Seen) -> Said:
        time.sleep(0.05)
        return verdict()

    with chat_server(say) as server:
        served(tmp_path, server, 6, parallel=2)
    assert (len(server.seen), server.most_at_once) == (6, 2)


# ---- faults


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize(
    "fault", [(429, "slow down", {}), (500, "oops", {}), 1.0], ids=["429", "500", "timeout"]
)
def test_escalate_vlm_tries_again_after_a_passing_fault(tmp_path: Path, fault: Said) -> None:
    with chat_server(lambda number, seen: fault if number == 0 else verdict()) as server:
        (row,) = served(tmp_path, server, 1, timeout_s=0.5)
    assert (row["answer"], len(server.seen)) == ("yes", 2)


@pytest.mark.usefixtures("key")
def test_escalate_vlm_waits_as_long_as_the_provider_asks(tmp_path: Path) -> None:
    said: list[Said] = [(429, "slow down", {"retry-after": "0.4"}), verdict()]
    with chat_server(lambda number, seen: said[number]) as server:
        started = time.monotonic()
        served(tmp_path, server, 1)
    assert time.monotonic() - started >= 0.4


@pytest.mark.usefixtures("key")
def test_escalate_vlm_fails_in_one_line_when_no_try_helps(tmp_path: Path) -> None:
    with (
        chat_server(lambda number, seen: (503, "down", {})) as server,
        pytest.raises(StageError, match=r"^openai:m: .*503.*down \(tried 2 times\)$"),
    ):
        served(tmp_path, server, 1, attempts=2)
    assert len(server.seen) == 2


@pytest.mark.usefixtures("key")
def test_escalate_vlm_does_not_repeat_what_is_refused(tmp_path: Path) -> None:
    with (
        chat_server(lambda number, seen: (401, "bad key", {})) as server,
        pytest.raises(ModelError, match=r"^openai:m: .*bad key$"),
    ):
        served(tmp_path, server, 5, parallel=1)
    assert len(server.seen) == 1


@pytest.mark.usefixtures("key")
def test_escalate_vlm_pays_no_answer_twice_after_a_failure(tmp_path: Path) -> None:
    def say(number: int, seen: Seen) -> Said:
        return (401, "bad key", {}) if number == 1 else verdict(reason=str(number))

    with chat_server(say) as server:
        with pytest.raises(ModelError):
            served(tmp_path, server, 3, parallel=1)
        rows = served(tmp_path, server, 3, parallel=1)
    assert len(server.seen) == 4
    assert sorted(row["reason"] for row in rows) == ["0", "2", "3"]


def test_escalate_vlm_forgets_its_journal_when_done(tmp_path: Path) -> None:
    asked(tmp_path, {"detections": detections(0.45)}, given=fake_model([verdict()]))
    assert list((tmp_path / "models" / "answers").iterdir()) == []


def test_journal_skips_a_line_that_a_kill_cut_short(tmp_path: Path) -> None:
    journal = AnswerJournal(tmp_path, "questions")
    journal.add("a", {"answer": "yes"})
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text() + '{"key": "b", "ans')
    journal.add("c", {"answer": "no"})
    assert journal.answers() == {"a": {"answer": "yes"}, "c": {"answer": "no"}}


# ---- settings


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"low": 0.7}, ("low", "0.7 is not below high: 0.6; nothing lies between")),
        ({"max_cost": 1.0}, ("max_cost", "needs price_in and price_out, ")),
        ({"question": "A {lable}?"}, ("question", "{lable} is not one of: {label}, ")),
        ({"question": "A {}?"}, ("question", "{} is not one of: {label}, ")),
        ({"question": "A {label?"}, ("question", "expected '}' before end of string; a brace")),
    ],
    ids=["low", "prices", "placeholder", "number", "brace"],
)
def test_escalate_vlm_refuses_settings_that_cannot_work(
    config: dict[str, Any], said: tuple[str, str]
) -> None:
    ((field, message),) = check(STAGE.filled_config({"model": "given:judge", **config}))
    assert (field, message[: len(said[1])]) == said


def test_escalate_vlm_finds_nothing_wrong_with_its_defaults() -> None:
    assert list(check(STAGE.filled_config({"model": "given:judge"}))) == []


def test_escalate_vlm_reads_only_the_findings_it_looks_at() -> None:
    config = STAGE.filled_config({"model": "given:judge", "of": ["events"]})
    assert STAGE.under(config).io.optional_reads == ["frames", "events"]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("gpt", "should be provider:model"),
        ("given:other", r"handed in no model 'other' \(chat_models: judge\)"),
        ("openai:m", "model 'openai:m': .*OPENAI_API_KEY"),
    ],
    ids=["name", "given", "key"],
)
def test_escalate_vlm_refuses_a_model_that_cannot_be_asked(
    model: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    models = ModelStore(Path(), chat_models={"judge": fake_model([])})
    with pytest.raises(ModelError, match=said):
        prepare(config=STAGE.filled_config({"model": model}), models=models)


def test_escalate_vlm_is_keyed_by_its_model(tmp_path: Path) -> None:
    models = ModelStore(tmp_path, chat_models={"judge": fake_model([])})
    one = identity(config={"model": "openai:a"}, models=models)
    given = identity(config={"model": "given:judge"}, models=models)
    assert one == {"model": "openai:a"}
    assert given == {"model": "given:judge", "given": "GenericFakeChatModel"}


def test_escalate_vlm_names_its_pictures_where_the_table_is_in_a_blob(tmp_path: Path) -> None:
    state = {"detections": detections(*[0.45] * 12)}
    rows, blobs = asked(tmp_path, state, given=fake_model([verdict()] * 12))
    table = Answers.from_records(rows)
    assert STAGE.serialize_fn is not None
    data = STAGE.serialize_fn({"answers": table}, "job", blobs=blobs)
    assert len(json.dumps(table.records())) > INLINE_BYTES
    assert "inline" not in data["answers"]
    assert data["crops"] == [row["crop"] for row in rows]
