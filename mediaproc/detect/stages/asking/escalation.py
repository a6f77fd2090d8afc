"""Putting questions to a chat model within a budget: who is asked, how often, and what it costs."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from mediaproc.detect.models.answers import AnswerJournal
from mediaproc.detect.models.chat import ChatClient, PassingError, Reply
from mediaproc.errors import StageError

T = TypeVar("T")

# Longest wait before another try, in seconds, whatever the provider asks for.
_LONGEST_WAIT_S = 60.0
_MILLION = 1e6


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a picture.

    Attributes:
        key: tells it from the others.
        text: what is asked.
        jpeg: the picture.
    """

    key: str
    text: str
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a question.

    Attributes:
        answer: ``yes``, ``no``, ``unsure``, or ``unreadable`` after the last try.
        label: what it is instead, or "".
        score: how sure the model is, 0..1.
        reason: in the model's words, or why the answer could not be read.
        input_tokens: of all tries.
        output_tokens: of all tries.
        cost: of all tries, by the prices given.
    """

    answer: str
    label: str
    score: float
    reason: str
    input_tokens: int
    output_tokens: int
    cost: float


@dataclass(frozen=True, slots=True)
class Terms:
    """How a model may be asked.

    Attributes:
        max_cost: most money to spend; 0 for no limit.
        price_in: of a million tokens of questions.
        price_out: of a million tokens of answers.
        parallel: requests at once.
        attempts: tries of one question.
        wait_s: pause before the second try, doubling from try to try, seconds.
        timeout_s: after which a request is given up, seconds.
    """

    max_cost: float
    price_in: float
    price_out: float
    parallel: int
    attempts: int
    wait_s: float
    timeout_s: float


async def ask_all(
    questions: Sequence[Question],
    client: ChatClient,
    terms: Terms,
    journal: AnswerJournal,
    progress: Callable[[int, int], None],
) -> list[Answer]:
    """The answers to as many questions as the money allows, in their order.

    With a limit on money, questions go in rounds, and the next round is as large as what is left
    pays for at the price of the dearest answer so far: so the limit is overstepped by no more than
    what later answers cost above that, and which questions are asked does not depend on timing.

    Args:
        questions: in the order of their urgency.
        client: the model.
        terms: how it may be asked.
        journal: answers from before a kill, and where new ones are kept.
        progress: called with the number of questions answered, and of all.

    Raises:
        ModelError: a request failed, and would again.
        StageError: a request failed in every try, or the model does not tell what it costs.
    """
    known = {key: Answer(**answer) for key, answer in journal.answers().items()}
    answers: list[Answer] = []
    gate = asyncio.Semaphore(terms.parallel)
    failures: list[Exception] = []

    async def one(question: Question) -> Answer | None:
        if question.key in known:
            return known[question.key]
        async with gate:
            if failures:
                return None
            try:
                answer = await _ask(question, client, terms)
            except Exception as error:
                failures.append(error)
                return None
        journal.add(question.key, asdict(answer))
        return answer

    while len(answers) < len(questions):
        size = _round_size(answers, len(questions) - len(answers), terms)
        if size == 0:
            break
        begun = [one(q) for q in questions[len(answers) : len(answers) + size]]
        # After a failure none begins, but those under way come to their end: they are paid for.
        ended = await asyncio.gather(*begun)
        if failures:
            raise failures[0]
        answers += [answer for answer in ended if answer is not None]
        progress(len(answers), len(questions))
    return answers


def _round_size(answers: Sequence[Answer], left: int, terms: Terms) -> int:
    if terms.max_cost <= 0:
        return left
    if not answers:
        return 1  # which tells what one costs
    money = terms.max_cost - sum(answer.cost for answer in answers)
    dearest = max(answer.cost for answer in answers)
    affordable = int(money / dearest) if dearest > 0 else left
    return max(0, min(left, terms.parallel, affordable))


async def _ask(question: Question, client: ChatClient, terms: Terms) -> Answer:
    tokens_in = tokens_out = 0
    for attempt in range(1, terms.attempts + 1):
        try:
            reply = await _within(terms.timeout_s, lambda: client.ask(question.text, question.jpeg))
        except (PassingError, TimeoutError) as error:
            said = str(error) or f"{client.name}: no answer within {terms.timeout_s:g} s"
            if attempt == terms.attempts:
                raise StageError(f"{said} (tried {attempt} times)") from error
            asked_for = error.wait_s if isinstance(error, PassingError) else None
            pause = max(terms.wait_s * 2 ** (attempt - 1), asked_for or 0.0)
            await asyncio.sleep(min(pause, _LONGEST_WAIT_S))
            continue
        _check_price(reply, client, terms)
        tokens_in += reply.input_tokens or 0
        tokens_out += reply.output_tokens or 0
        if reply.verdict is not None or attempt == terms.attempts:
            break
    cost = (tokens_in * terms.price_in + tokens_out * terms.price_out) / _MILLION
    verdict = reply.verdict
    if verdict is None:
        return Answer("unreadable", "", 0.0, reply.problem, tokens_in, tokens_out, cost)
    return Answer(
        verdict.answer, verdict.label, verdict.score, verdict.reason, tokens_in, tokens_out, cost
    )


def _check_price(reply: Reply, client: ChatClient, terms: Terms) -> None:
    if terms.max_cost > 0 and reply.verdict is not None and reply.input_tokens is None:
        raise StageError(
            f"{client.name} does not tell how many tokens it used, so max_cost cannot be kept; "
            "limit max_calls instead and set max_cost to 0"
        )


async def _within(seconds: float, work: Callable[[], T]) -> T:
    """The result of blocking work on a thread of its own, or TimeoutError.

    Not one of a pool: a request that hangs would keep the pool, and the process, from ending.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def settle(set_it: Callable[[Any], None], value: Any) -> None:
        if not done.done():
            set_it(value)

    def run() -> None:
        try:
            result: Any = context.run(work)
            setter: Any = done.set_result
        except BaseException as error:
            result, setter = error, done.set_exception
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, setter, result)

    threading.Thread(target=run, name="mediaproc-ask", daemon=True).start()
    async with asyncio.timeout(seconds):
        return await done
