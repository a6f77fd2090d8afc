"""``escalate_vlm``: what the cheap stages left uncertain is put to a chat model that sees.

Only rows whose confidence lies between two thresholds go, most uncertain first, as pictures cut
out of the video, within a budget of questions and of money. Every answer is kept with its picture.
What the budget does not reach stays uncertain, and its row says so.
"""

from __future__ import annotations

import string
from collections.abc import Iterator
from typing import Any

from mediaproc.blobs import BlobRef, BlobStore
from mediaproc.detect.models import ModelStore
from mediaproc.detect.models.answers import AnswerJournal
from mediaproc.detect.models.chat import GIVEN, ChatClient, given_identity, open_chat
from mediaproc.detect.rows import Rows
from mediaproc.detect.stages.asking.doubts import ASKED_FIELDS, Doubt, doubts_of, joined, pictures
from mediaproc.detect.stages.asking.escalation import Answer, Question, Terms, ask_all
from mediaproc.detect.stages.base import StageConfigField, StageDefinition, StageIO, StageNeeds
from mediaproc.detect.stages.channels import ANSWERS, evidence_serializers
from mediaproc.detect.state import DetectState, MediaSource
from mediaproc.detect.tables import Answers

SOURCES = ("detections", "matches", "events")

_PLACEHOLDERS = ("label", "text", "kind", "source")


async def escalate_vlm(
    state: DetectState,
    *,
    config: dict[str, Any],
    media: MediaSource,
    models: ModelStore,
    blobs: BlobStore,
    progress: Any,
) -> dict[str, Any]:
    """Ask about what is uncertain, until the budget is used up."""
    doubts = _uncertain(state, config)
    within = doubts[: config["max_calls"]]
    shown = dict(pictures(within, state, media, margin=config["margin"], max_px=config["max_px"]))
    questions = [Question(doubt.key, _question(doubt, config), shown[doubt]) for doubt in within]
    about = [identity(config=config, models=models), config["labels"], config["max_tokens"]]
    content = [[q.key, q.text, BlobRef.of(q.jpeg).sha256] for q in questions]
    journal = AnswerJournal(models.folder / "answers", [about, content])
    client = _client(models, config)
    answers = await ask_all(questions, client, _terms(config), journal, progress)
    rows = []
    for number, doubt in enumerate(doubts):
        answer = answers[number] if number < len(answers) else None
        crop = blobs.put(shown[doubt]).to_json() if answer is not None else None
        rows.append(_row(doubt, answer, crop, config))
    journal.close()
    return {"answers": Answers.from_records(rows).ordered()}


def check(config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with the settings as a whole."""
    if config["low"] >= config["high"]:
        said = f"{config['low']:g} is not below high: {config['high']:g}; nothing lies between"
        yield "low", said
    if config["max_cost"] > 0 and config["price_in"] + config["price_out"] <= 0:
        yield (
            "max_cost",
            "needs price_in and price_out, what a million tokens cost; else limit max_calls",
        )
    try:
        names = [name for _, name, _, _ in string.Formatter().parse(config["question"])]
    except ValueError as error:
        yield "question", f"{error}; a brace that is meant as one is written twice"
        return
    for name in names:
        if name is not None and name not in _PLACEHOLDERS:
            known = ", ".join(f"{{{one}}}" for one in _PLACEHOLDERS)
            yield "question", f"{{{name}}} is not one of: {known}"


def uses(config: dict[str, Any]) -> dict[str, bool]:
    """The findings that are not looked at are not read."""
    return {source: False for source in SOURCES if source not in config["of"]}


def prepare(*, config: dict[str, Any], models: ModelStore) -> None:
    """See that there is such a model, and its key; ModelError where not."""
    _client(models, config)


def identity(*, config: dict[str, Any], models: ModelStore) -> dict[str, Any]:
    """The model asked."""
    name = config["model"]
    if name.startswith(GIVEN):
        return {"model": name, "given": given_identity(name, models.chat_models)}
    return {"model": name}


def _client(models: ModelStore, config: dict[str, Any]) -> ChatClient:
    labels = tuple(config["labels"])
    settings = {name: config[name] for name in ("timeout_s", "max_tokens", "base_url")}
    key = ("chat", config["model"], labels, *settings.values())
    return models.shared(
        key, lambda: open_chat(config["model"], models.chat_models, labels=labels, **settings)
    )


def _terms(config: dict[str, Any]) -> Terms:
    names = ("max_cost", "price_in", "price_out", "parallel", "attempts", "wait_s", "timeout_s")
    return Terms(**{name: config[name] for name in names})


def _uncertain(state: DetectState, config: dict[str, Any]) -> list[Doubt]:
    """What to ask about, most uncertain first."""
    found: list[Doubt] = []
    for source in config["of"]:
        table: Rows | None = state.get(source)  # type: ignore[assignment]
        found += [
            doubt
            for doubt in (doubts_of(source, table) if table is not None else [])
            if config["low"] <= doubt.confidence < config["high"]
            and (not config["only"] or doubt.label in config["only"])
            and (doubt.source != "events" or doubt.kind in config["kinds"])
        ]
    middle = (config["low"] + config["high"]) / 2
    return sorted(
        joined(found, config["same_s"]),
        key=lambda d: (round(abs(d.confidence - middle), 9), d.pts, d.source, d.row),
    )


def _question(doubt: Doubt, config: dict[str, Any]) -> str:
    text: str = config["question"].format(
        label=doubt.label, text=doubt.text, kind=doubt.kind, source=doubt.source
    )
    if config["labels"]:
        text += f" If not, say which of these it is: {', '.join(config['labels'])}."
    return text


def _row(
    doubt: Doubt, answer: Answer | None, crop: dict[str, Any] | None, config: dict[str, Any]
) -> dict[str, Any]:
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
        "question": _question(doubt, config),
        "answer": "not_asked" if answer is None else answer.answer,
        "answer_label": "" if answer is None else answer.label,
        "score": 0.0 if answer is None else answer.score,
        "reason": "beyond the budget" if answer is None else answer.reason,
        "input_tokens": 0 if answer is None else answer.input_tokens,
        "output_tokens": 0 if answer is None else answer.output_tokens,
        "cost": 0.0 if answer is None else answer.cost,
        "model": config["model"],
        "crop": crop,
    }


_SERIALIZE, _DESERIALIZE = evidence_serializers("answers", Answers)

STAGE = StageDefinition(
    name="escalate_vlm",
    label="Escalate to a vision model",
    description="Asks a chat model that sees about what other stages left uncertain, in a budget.",
    io=StageIO(
        reads=["video"],
        writes=["answers"],
        optional_reads=["frames", *SOURCES],
        merges=["frames", *SOURCES],
    ),
    config_fields=[
        StageConfigField(
            "model",
            "str",
            None,
            "provider:model of LangChain, such as openai:gpt-4o-mini, its key in the provider's "
            "environment variable; or given:NAME, a model that the application hands in.",
        ),
        StageConfigField(
            "of",
            "list[str]",
            list(SOURCES),
            "Findings to look at; those that no earlier stage writes are left out.",
            options=list(SOURCES),
        ),
        *ASKED_FIELDS,
        StageConfigField(
            "low",
            "float",
            0.3,
            "Below this confidence a finding is held for wrong, and not asked about.",
            min=0.0,
            max=1.0,
        ),
        StageConfigField(
            "high",
            "float",
            0.6,
            "From this confidence on a finding is held for right, and not asked about.",
            min=0.0,
            max=1.0,
        ),
        StageConfigField(
            "same_s",
            "float",
            1.0,
            "Sights of one label that overlap within so many seconds are one question, about the "
            "surest of them. 0 asks about each.",
            min=0.0,
            max=3600.0,
        ),
        StageConfigField(
            "question",
            "str",
            "Is what this picture shows in its middle rightly called {label}?",
            "What is asked; {label}, {text}, {kind} and {source} are those of the finding.",
        ),
        StageConfigField(
            "labels", "list[str]", [], "Labels that the answer may name instead; any where empty."
        ),
        StageConfigField(
            "margin",
            "float",
            0.25,
            "How much of a box's size is shown around it. More gives context, and costs pixels.",
            min=0.0,
            max=10.0,
        ),
        StageConfigField(
            "max_px",
            "int",
            512,
            "Longer side of a picture at most, pixels. Less is cheaper.",
            min=16,
            max=8192,
        ),
        StageConfigField(
            "max_calls", "int", 50, "Most questions for the whole video.", min=0, max=1_000_000
        ),
        StageConfigField(
            "max_cost",
            "float",
            0.0,
            "Most money for the whole video, in the currency of the prices; 0 for no limit.",
            min=0.0,
        ),
        StageConfigField(
            "price_in", "float", 0.0, "What a million tokens of questions cost.", min=0.0
        ),
        StageConfigField(
            "price_out", "float", 0.0, "What a million tokens of answers cost.", min=0.0
        ),
        StageConfigField(
            "max_tokens", "int", 300, "Longest answer, in tokens.", min=16, max=100_000
        ),
        StageConfigField("parallel", "int", 4, "Requests at once.", min=1, max=256),
        StageConfigField(
            "attempts",
            "int",
            3,
            "Tries of one question, where a request fails for now or its answer cannot be read.",
            min=1,
            max=20,
        ),
        StageConfigField(
            "wait_s",
            "float",
            1.0,
            "Seconds before the second try, doubling from try to try; longer where the provider "
            "asks for it.",
            min=0.0,
            max=60.0,
        ),
        StageConfigField(
            "timeout_s", "float", 60.0, "Seconds after which a request is given up.", min=0.1
        ),
        StageConfigField(
            "base_url",
            "str",
            "",
            "Address of the provider's interface where it is not its own, such as a local server "
            "that speaks OpenAI's.",
        ),
    ],
    category="escalation",
    fn=escalate_vlm,
    check_fn=check,
    uses_fn=uses,
    prepare_fn=prepare,
    identity_fn=identity,
    serialize_fn=_SERIALIZE,
    deserialize_fn=_DESERIALIZE,
    scope="video",
    channels=[ANSWERS],
    needs=StageNeeds(extra="vlm"),
)
