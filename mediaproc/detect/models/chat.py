"""Chat models that look at pictures: any of LangChain's, asked for a verdict in a fixed form.

A model comes by ``provider:model`` through LangChain's ``init_chat_model``, with its key out of the
provider's own environment variable; or an application hands one in (``given:NAME``).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mediaproc.errors import MissingExtraError, ModelError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

GIVEN = "given:"

# HTTP codes after which the same question may do better later.
_PASSING = (408, 409, 425, 429)
# Of exceptions that tell no code, anywhere in the names of their classes.
_PASSING_NAMES = ("Timeout", "Connection", "RateLimit", "Overloaded", "Unavailable")
# What a provider's library raises about the answer itself.
_UNREADABLE_NAMES = ("LengthFinishReason", "ContentFilterFinishReason", "OutputParser")
_MOST_TEXT = 300


class Verdict(BaseModel):
    """What a model is asked for."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    answer: Literal["yes", "no", "unsure"]
    label: str = ""
    score: float = Field(ge=0.0, le=1.0)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one request.

    Attributes:
        verdict: the answer, or None where it could not be read.
        problem: why it could not.
        input_tokens: as the provider counts; None where it does not say.
        output_tokens: likewise.
    """

    verdict: Verdict | None
    problem: str
    input_tokens: int | None
    output_tokens: int | None


class PassingError(Exception):
    """A request that failed and may do better later.

    Attributes:
        wait_s: how long the provider wants to be left alone, seconds; None where it does not say.
    """

    def __init__(self, message: str, wait_s: float | None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class ChatClient:
    """A chat model that gives verdicts. Calls from several threads are safe.

    Args:
        name: as the profile has it, for messages.
        model: any of LangChain's chat models.
        labels: the labels that a verdict may name instead; any where empty.
    """

    def __init__(self, name: str, model: BaseChatModel, labels: tuple[str, ...]) -> None:
        self.name = name
        self.schema = _schema(labels)
        self._labels = labels
        self._plain = model
        self._structured: Any = None
        try:
            self._structured = model.with_structured_output(self.schema, include_raw=True)
        except NotImplementedError:
            # A model without tools or schemas of its own is told the form, and its text is read.
            self._form = (
                "Answer with one JSON object and nothing else. Its JSON Schema: "
                f"{json.dumps(self.schema)}"
            )

    def ask(self, question: str, jpeg: bytes) -> Reply:
        """One request.

        Raises:
            PassingError: it failed for now.
            ModelError: it failed, and would again; the text says why.
        """
        picture = base64.b64encode(jpeg).decode()
        content: list[Any] = [
            {"type": "text", "text": question},
            {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{picture}"}},
        ]
        try:
            if self._structured is None:
                content.append({"type": "text", "text": self._form})
                raw = self._plain.invoke([{"role": "user", "content": content}])
                return self._reply(raw, _text(raw))
            found = self._structured.invoke([{"role": "user", "content": content}])
        except Exception as error:
            return self._failed(error)
        if found["parsing_error"] is not None:
            return self._unreadable(found["raw"], str(found["parsing_error"]))
        return self._reply(found["raw"], found["parsed"])

    def _reply(self, raw: Any, said: Any) -> Reply:
        try:
            data = json.loads(_without_fence(said)) if isinstance(said, str) else said
            verdict = Verdict.model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the answer"
            return self._unreadable(raw, f"{where}: {first['msg']}")
        except ValueError as error:
            return self._unreadable(raw, f"not JSON: {error}")
        if verdict.label and self._labels and verdict.label not in self._labels:
            return self._unreadable(raw, f"label: {verdict.label!r} is not one to choose from")
        return Reply(verdict, "", *_tokens(raw))

    def _unreadable(self, raw: Any, why: str) -> Reply:
        return Reply(None, _line(why), *_tokens(raw))

    def _failed(self, error: Exception) -> Reply:
        names = [kind.__name__ for kind in type(error).__mro__]
        said = f"{self.name}: {type(error).__name__}: {_line(str(error))}"
        if isinstance(error, ValueError) or _any_in(_UNREADABLE_NAMES, names):
            return Reply(None, said, None, None)
        status = getattr(error, "status_code", None)
        passing = isinstance(error, OSError | TimeoutError) or _any_in(_PASSING_NAMES, names)
        if isinstance(status, int):
            passing = status in _PASSING or status >= 500
        # A used-up account says so with the code of a passing rush.
        if passing and getattr(error, "code", None) != "insufficient_quota":
            raise PassingError(said, _retry_after(error)) from error
        raise ModelError(said) from error


def open_chat(
    name: str,
    given: Mapping[str, Any],
    *,
    labels: tuple[str, ...] = (),
    timeout_s: float = 60.0,
    max_tokens: int = 300,
    base_url: str = "",
) -> ChatClient:
    """The client of a ``model:`` value.

    Args:
        name: ``provider:model``, or ``given:NAME``.
        given: models that the application handed in, by name.
        labels: the labels that a verdict may name instead; any where empty.
        timeout_s: after which a request is given up, seconds.
        max_tokens: longest answer.
        base_url: address of the provider's interface, where it is not its own.

    Raises:
        ModelError: there is no such model, or its provider's package or key is missing.
        MissingExtraError: LangChain is not installed.
    """
    if name.startswith(GIVEN):
        wanted = name.removeprefix(GIVEN)
        if wanted not in given:
            there = ", ".join(sorted(given)) or "none"
            raise ModelError(
                f"model {name!r}: the application handed in no model {wanted!r} (chat_models: "
                f"{there})"
            )
        return ChatClient(name, given[wanted], labels)
    if ":" not in name:
        raise ModelError(f"model {name!r}: should be provider:model, such as openai:gpt-4o-mini")
    try:
        from langchain.chat_models import init_chat_model
    except ImportError as error:
        raise MissingExtraError(
            f"model {name!r} needs langchain, which is not installed; run: "
            "pip install 'mediaproc[vlm]'"
        ) from error
    # Trying again is ours, so that it is the same for every provider. No temperature: some models
    # take none but their own.
    settings: dict[str, Any] = {"timeout": timeout_s, "max_tokens": max_tokens, "max_retries": 0}
    if base_url:
        settings["base_url"] = base_url
    try:
        model: Any = init_chat_model(name, **settings)
    except Exception as error:  # each provider's package has errors of its own
        raise ModelError(f"model {name!r}: {_line(str(error))}") from error
    return ChatClient(name, model, labels)


def given_identity(name: str, given: Mapping[str, Any]) -> str:
    """What tells a handed-in model from another: its class and its own name."""
    model = given.get(name.removeprefix(GIVEN))
    own = getattr(model, "model_name", None) or getattr(model, "model", None) or ""
    return f"{type(model).__name__} {own}".strip()


def _schema(labels: tuple[str, ...]) -> dict[str, Any]:
    label: dict[str, Any] = {
        "type": "string",
        "description": "what it is instead, where the answer is no; else empty",
    }
    if labels:
        label["enum"] = ["", *labels]
    return {
        "title": "verdict",
        "description": "The answer to the question about the picture.",
        "type": "object",
        "properties": {
            "answer": {"type": "string", "enum": ["yes", "no", "unsure"]},
            "label": label,
            "score": {"type": "number", "description": "how sure, 0 to 1"},
            "reason": {"type": "string", "description": "one short sentence"},
        },
        "required": ["answer", "label", "score", "reason"],
        "additionalProperties": False,
    }


def _text(raw: Any) -> str:
    return raw.content if isinstance(raw.content, str) else str(raw.text)


def _without_fence(text: str) -> str:
    """The text without the Markdown fence that models like to put around JSON."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```"):
        text = text.removesuffix("```").partition("\n")[2]
    return text


def _tokens(raw: Any) -> tuple[int | None, int | None]:
    usage = getattr(raw, "usage_metadata", None) or {}
    return usage.get("input_tokens"), usage.get("output_tokens")


def _retry_after(error: Exception) -> float | None:
    headers: Any = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        return max(0.0, float(headers.get("retry-after")))
    except (TypeError, ValueError):  # none, or a date
        return None


def _any_in(parts: tuple[str, ...], names: list[str]) -> bool:
    return any(part in name for part in parts for name in names)


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MOST_TEXT else f"{line[: _MOST_TEXT - 3]}..."
