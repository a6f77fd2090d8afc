"""``human_review``: a person decides what stages, and models with more insight, left open.

The job waits for the answer. LangGraph runs the node anew, from its start, when the answer has
come: so what is asked follows from the inputs alone, and pictures are stored under their content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mediaproc.blobs import BlobStore
from mediaproc.detect.rows import Rows
from mediaproc.detect.stages.asking.doubts import ASKED_FIELDS, Doubt, doubts_of, joined, pictures
from mediaproc.detect.stages.asking.reviewing import (
    ACCEPT,
    CORRECT,
    KIND,
    LEAVE,
    REJECT,
    Decision,
    read_answer,
)
from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO
from mediaproc.detect.stages.channels import DETECTIONS, EVENTS, MATCHES, REVIEWS
from mediaproc.detect.state import DetectState, MediaSource
from mediaproc.detect.tables import Detections, Events, Matches, Reviews

# What can be reviewed: these channels are read, and written again with the decisions applied.
KINDS: dict[str, type[Rows]] = {
    "events": Events,
    "matches": Matches,
    "detections": Detections,
}

_UNKNOWN_CLASS = -1


@dataclass(frozen=True, slots=True)
class _Decided:
    """A decision and who made it: a person, a model, or nobody."""

    decision: Decision
    by: str
    crop: dict[str, Any] | None = None


def human_review(
    state: DetectState,
    *,
    config: dict[str, Any],
    media: MediaSource,
    blobs: BlobStore,
    ask: Callable[[dict[str, Any]], Any],
) -> dict[str, Any]:
    """Ask about what is open, and apply what is decided."""
    doubts = _doubts(state, config)
    said = _answers(state)
    decided: dict[str, _Decided] = {}
    for doubt in doubts:
        if (settled := _settled(said.get(doubt.key), config)) is not None:
            decided[doubt.id] = settled
    waiting = [doubt for doubt in doubts if doubt.id not in decided]
    decided |= _asked(waiting[: config["max_items"]], said, state, config, media, blobs, ask)
    nobody = _Decided(Decision(LEAVE), "")
    rows = [_row(doubt, decided.get(doubt.id, nobody)) for doubt in doubts]
    by_key = {key: decided[d.id] for d in doubts if d.id in decided for key in d.keys}
    return {
        "reviews": Reviews.from_records(rows).ordered(),
        **{channel: _applied(channel, state, by_key) for channel in KINDS},
    }


def check(config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with the settings as a whole."""
    if config["low"] >= config["high"]:
        said = f"{config['low']:g} is not below high: {config['high']:g}; nothing lies between"
        yield "low", said


def _doubts(state: DetectState, config: dict[str, Any]) -> list[Doubt]:
    """What is to be decided, most pressing first: events by their score, then the uncertain."""
    found: list[Doubt] = []
    middle = (config["low"] + config["high"]) / 2
    for source in config["of"]:
        table: Rows | None = state.get(source)  # type: ignore[assignment]
        rows = doubts_of(source, table) if table is not None else []
        if config["only"]:
            rows = [doubt for doubt in rows if doubt.label in config["only"]]
        if source == "events":
            rows = [doubt for doubt in rows if doubt.kind in config["kinds"]]
            found += sorted(rows, key=lambda d: (-d.confidence, d.pts, d.row))
            continue
        rows = [doubt for doubt in rows if config["low"] <= doubt.confidence < config["high"]]
        found += sorted(
            joined(rows, config["same_s"]),
            key=lambda d: (round(abs(d.confidence - middle), 9), d.pts, d.row),
        )
    return found


def _answers(state: DetectState) -> dict[str, dict[str, Any]]:
    """What a model said about a row, by the row's key."""
    table: Rows | None = state.get("answers")
    rows = [] if table is None else table.records()
    return {key: row for row in rows for key in row["keys"]}


def _settled(answer: Mapping[str, Any] | None, config: dict[str, Any]) -> _Decided | None:
    """The decision that follows from a model's answer, where it is sure enough."""
    if answer is None or answer["answer"] not in ("yes", "no"):
        return None
    if answer["score"] < config["trust"]:
        return None
    if answer["answer"] == "yes":
        decision = Decision(ACCEPT, "", answer["reason"])
    elif answer["answer_label"]:
        decision = Decision(CORRECT, answer["answer_label"], answer["reason"])
    else:
        decision = Decision(REJECT, "", answer["reason"])
    return _Decided(decision, answer["model"], answer["crop"])


def _asked(
    doubts: Sequence[Doubt],
    said: Mapping[str, Mapping[str, Any]],
    state: DetectState,
    config: dict[str, Any],
    media: MediaSource,
    blobs: BlobStore,
    ask: Callable[[dict[str, Any]], Any],
) -> dict[str, _Decided]:
    """What a person decides about these."""
    if not doubts:
        return {}
    looks = {"margin": config["margin"], "max_px": config["max_px"]}
    crops = {
        doubt.id: blobs.put(jpeg).to_json()
        for doubt, jpeg in pictures(doubts, state, media, **looks)
    }
    in_time = sorted(doubts, key=lambda d: (d.pts, d.source, d.row))
    payload = {
        "kind": KIND,
        "question": config["question"],
        "items": [_item(doubt, said.get(doubt.key), crops[doubt.id]) for doubt in in_time],
    }
    ids = [doubt.id for doubt in in_time]
    answer = ask(payload)
    while True:
        try:
            decisions, by = read_answer(answer, ids)
            break
        except ValueError as error:
            # To raise would end the job, with the same answer waiting for it when it is resumed.
            answer = ask({**payload, "problem": str(error)})
    return {id: _Decided(decision, by or "person", crops[id]) for id, decision in decisions.items()}


def _item(doubt: Doubt, answer: Mapping[str, Any] | None, crop: dict[str, Any]) -> dict[str, Any]:
    opinion = None
    if answer is not None:
        opinion = {
            name: answer[name] for name in ("answer", "answer_label", "score", "reason", "model")
        }
    return {
        "id": doubt.id,
        "source": doubt.source,
        "maker": doubt.maker,
        "kind": doubt.kind,
        "label": doubt.label,
        "text": doubt.text,
        "confidence": round(doubt.confidence, 4),
        "frame_index": doubt.frame_index,
        "time_s": round(doubt.time_s, 3),
        "box": [round(side, 1) for side in doubt.xyxy] if doubt.xyxy else None,
        "sights": 1 + len(doubt.others),
        "opinion": opinion,
        "crop": crop,
    }


def _row(doubt: Doubt, decided: _Decided) -> dict[str, Any]:
    return {
        "node": "",
        "frame_index": doubt.frame_index,
        "pts": doubt.pts,
        "time_s": doubt.time_s,
        "source": doubt.source,
        "maker": doubt.maker,
        "keys": doubt.keys,
        "label": doubt.label,
        "confidence": doubt.confidence,
        "box": list(doubt.xyxy) if doubt.xyxy else None,
        "decision": decided.decision.decision,
        "new_label": decided.decision.label,
        "note": decided.decision.note,
        "by": decided.by,
        "crop": decided.crop,
    }


def _applied(channel: str, state: DetectState, by_key: Mapping[str, _Decided]) -> Rows:
    """The rows of a channel after review: without those rejected, with corrected labels."""
    table: Rows | None = state.get(channel)  # type: ignore[assignment]
    if table is None:
        return KINDS[channel].empty()
    rows, classes = table.records(), {}
    if channel == "detections":
        classes = {row["label"]: row["class_id"] for row in rows}
    kept = []
    for row, doubt in zip(rows, doubts_of(channel, table), strict=True):
        decided = by_key.get(doubt.key)
        decision = decided.decision.decision if decided else LEAVE
        if decision == REJECT:
            continue
        row = {**row, "node": ""}
        if decided is not None and decision == CORRECT:
            row["label"] = decided.decision.label
            if "class_id" in row:
                row["class_id"] = classes.get(row["label"], _UNKNOWN_CLASS)
        if decided is not None and decision in (ACCEPT, CORRECT):
            if "details" in row:
                row["details"] = {**(row["details"] or {}), "review": decision, "by": decided.by}
            else:
                row["score" if "score" in row else "confidence"] = 1.0  # somebody looked
        kept.append(row)
    return KINDS[channel].from_records(kept)


def _serialize(state: dict[str, Any], job_id: str, *, blobs: BlobStore) -> dict[str, Any]:
    crops = [crop for crop in state["reviews"].column("crop") if crop is not None]
    tables = {channel: state[channel].to_json(blobs) for channel in ("reviews", *KINDS)}
    return {**tables, "crops": crops}


def _deserialize(data: dict[str, Any], job_id: str, *, blobs: BlobStore) -> dict[str, Any]:
    kinds: dict[str, type[Rows]] = {"reviews": Reviews, **KINDS}
    return {channel: kind.from_json(data[channel], blobs) for channel, kind in kinds.items()}


STAGE = StageDefinition(
    name="human_review",
    label="Review by a person",
    description="Waits for a person to accept, reject or correct what is flagged or uncertain.",
    io=StageIO(
        reads=["video"],
        writes=["reviews", *KINDS],
        optional_reads=["frames", "answers", *KINDS],
        merges=["frames", "answers", *KINDS],
    ),
    config_fields=[
        StageConfigField(
            "of",
            "list[str]",
            list(KINDS),
            "Findings to look at; those that no earlier stage writes are left out.",
            options=list(KINDS),
        ),
        *ASKED_FIELDS,
        StageConfigField(
            "low",
            "float",
            0.3,
            "Below this confidence a detection or match is not asked about; it stays as it is.",
            min=0.0,
            max=1.0,
        ),
        StageConfigField(
            "high",
            "float",
            0.6,
            "From this confidence on a detection or match is not asked about; it stays as it is.",
            min=0.0,
            max=1.0,
        ),
        StageConfigField(
            "same_s",
            "float",
            1.0,
            "Sights of one label that overlap within so many seconds are one item. 0 asks about "
            "each.",
            min=0.0,
            max=3600.0,
        ),
        StageConfigField(
            "trust",
            "float",
            0.8,
            "A yes or no of escalate_vlm that is at least so sure decides; others go to a person.",
            min=0.0,
            max=1.0,
        ),
        StageConfigField(
            "max_items",
            "int",
            200,
            "Most items to ask about, the most pressing first; 0 asks nobody. The rest stays open.",
            min=0,
            max=100_000,
        ),
        StageConfigField(
            "question", "str", "Is this what its label says?", "What the person is asked."
        ),
        StageConfigField(
            "margin",
            "float",
            0.5,
            "How much of a box's size the picture shows around it.",
            min=0.0,
            max=10.0,
        ),
        StageConfigField(
            "max_px", "int", 640, "Longer side of a picture at most, pixels.", min=16, max=8192
        ),
    ],
    category="review",
    fn=human_review,
    check_fn=check,
    serialize_fn=_serialize,
    deserialize_fn=_deserialize,
    scope="video",
    channels=[REVIEWS, DETECTIONS, MATCHES, EVENTS],
)
