"""The language of ``when:``: a small, safe expression, parsed by us and never evaluated as code.

::

    count(detections, label == "person" and confidence > 0.6) >= 2
    any(texts, text == "GOAL") or video.duration_s < 60

Values are numbers, strings, ``true``, ``false``, ``none`` and lists of them; operators ``or``,
``and``, ``not``, ``in``, comparisons and arithmetic; functions over the rows of a channel
``count``, ``any`` and ``all`` (with a condition on a row's fields) and ``min``, ``max``, ``sum`` of
a field.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_MOST_CHARACTERS = 2000
_DEEPEST = 50

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<string>\"[^\"]*\"|'[^']*')|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<op>==|!=|<=|>=|<|>|\+|-|\*|/|\(|\)|\[|\]|,|\.))"
)
_WORDS = {"true": True, "false": False, "none": None}
_ROW_FUNCTIONS = ("count", "any", "all")
_FIELD_FUNCTIONS = ("min", "max", "sum")
_VIDEO_FIELDS = ("duration_s", "width", "height", "fps", "frame_count")

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}

Evaluator = Callable[[Mapping[str, Any]], Any]


class ExpressionError(ValueError):
    """An expression that cannot be parsed or evaluated.

    Attributes:
        column: of the expression, from 1.
    """

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.column = column


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression.

    Attributes:
        text: its text.
        channels: the channels whose rows it looks at.
        fields: (channel, field) pairs it looks at.
    """

    text: str
    channels: frozenset[str]
    fields: frozenset[tuple[str, str]]
    _evaluator: Evaluator

    def evaluate(self, environment: Mapping[str, Any]) -> Any:
        """The value, given ``video`` (a mapping) and the rows (dicts) of each channel.

        Raises:
            ExpressionError: the values do not fit, such as a number compared with a string.
        """
        try:
            return self._evaluator(environment)
        except (TypeError, ZeroDivisionError, KeyError) as error:
            raise ExpressionError(f"when: {self.text!r}: {error}", 1) from error


def compile_expression(text: str) -> Expression:
    """Parse an expression; ExpressionError says what is wrong and at which column."""
    if len(text) > _MOST_CHARACTERS:
        raise ExpressionError(f"longer than {_MOST_CHARACTERS} characters", 1)
    parser = _Parser(text)
    evaluator = parser.whole()
    return Expression(text, frozenset(parser.channels), frozenset(parser.fields), evaluator)


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = list(_tokens(text))
        self.position = 0
        self.depth = 0
        self.channels: set[str] = set()
        self.fields: set[tuple[str, str]] = set()
        self.row_of: str | None = None

    def whole(self) -> Evaluator:
        result = self._or()
        if self._peek()[1] != "":
            raise self._error(f"unexpected {self._peek()[1]!r}")
        return result

    def _or(self) -> Evaluator:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self._error("nested too deeply")
        left = self._and()
        while self._take("or"):
            left = _either(left, self._and())
        self.depth -= 1
        return left

    def _and(self) -> Evaluator:
        left = self._not()
        while self._take("and"):
            left = _both(left, self._not())
        return left

    def _not(self) -> Evaluator:
        negate = False
        while self._take("not"):
            negate = not negate
        value = self._comparison()
        return (lambda env: not value(env)) if negate else value

    def _comparison(self) -> Evaluator:
        left = self._sum()
        for symbol, compare in _COMPARE.items():
            if self._take(symbol):
                return _applied(compare, left, self._sum())
        if self._take("in"):
            return _applied(lambda item, items: item in items, left, self._sum())
        return left

    def _sum(self) -> Evaluator:
        left = self._product()
        while (symbol := self._peek()[1]) in ("+", "-") and self._take(symbol):
            left = _applied(_ARITHMETIC[symbol], left, self._product())
        return left

    def _product(self) -> Evaluator:
        left = self._unary()
        while (symbol := self._peek()[1]) in ("*", "/") and self._take(symbol):
            left = _applied(_ARITHMETIC[symbol], left, self._unary())
        return left

    def _unary(self) -> Evaluator:
        negative = False
        while self._take("-"):
            negative = not negative
        value = self._primary()
        return (lambda env: -value(env)) if negative else value

    def _primary(self) -> Evaluator:
        kind, text, _ = self._peek()
        if kind == "number":
            self.position += 1
            number = float(text) if "." in text else int(text)
            return lambda env: number
        if kind == "string":
            self.position += 1
            return lambda env: text[1:-1]
        if self._take("("):
            value = self._or()
            self._expect(")")
            return value
        if self._take("["):
            return self._list()
        if kind == "name" and text not in ("and", "or", "not", "in"):
            self.position += 1
            return self._name(text)
        raise self._error(f"expected a value, got {text!r}" if text else "it ends too early")

    def _list(self) -> Evaluator:
        items: list[Evaluator] = []
        while not self._take("]"):
            if items:
                self._expect(",")
            items.append(self._or())
        return lambda env: [item(env) for item in items]

    def _name(self, name: str) -> Evaluator:
        if name in _WORDS:
            return lambda env: _WORDS[name]
        if name in _ROW_FUNCTIONS and self._take("("):
            return self._row_function(name)
        if name in _FIELD_FUNCTIONS and self._take("("):
            return self._field_function(name)
        if name == "video" and self._take("."):
            field = self._identifier("a field of video")
            if field not in _VIDEO_FIELDS:
                raise self._error(
                    f"video has no {field!r}; it has {', '.join(_VIDEO_FIELDS)}", back=1
                )
            return lambda env: env["video"][field]
        if self.row_of is not None:
            self.fields.add((self.row_of, name))
            return lambda env: env["row"][name]
        functions = ", ".join((*_ROW_FUNCTIONS, *_FIELD_FUNCTIONS))
        raise self._error(f"unknown name {name!r}; there are video and {functions}", back=1)

    def _row_function(self, name: str) -> Evaluator:
        channel = self._channel()
        condition: Evaluator | None = None
        if self._take(","):
            outer, self.row_of = self.row_of, channel
            condition = self._or()
            self.row_of = outer
        self._expect(")")
        if name == "all" and condition is None:
            raise self._error("all(...) needs a condition")

        def hits(env: Mapping[str, Any]) -> list[bool]:
            return [
                condition is None or bool(condition({**env, "row": row})) for row in env[channel]
            ]

        if name == "count":
            return lambda env: sum(hits(env))
        return (lambda env: any(hits(env))) if name == "any" else (lambda env: all(hits(env)))

    def _field_function(self, name: str) -> Evaluator:
        channel = self._channel()
        self._expect(".")
        field = self._identifier(f"a field of {channel}")
        self.fields.add((channel, field))
        self._expect(")")
        fold: Callable[[list[Any]], Any] = {
            "min": lambda values: min(values, default=0),
            "max": lambda values: max(values, default=0),
            "sum": sum,
        }[name]
        return lambda env: fold([row[field] for row in env[channel]])

    def _channel(self) -> str:
        channel = self._identifier("a channel")
        self.channels.add(channel)
        return channel

    def _identifier(self, what: str) -> str:
        kind, text, _ = self._peek()
        if kind != "name":
            raise self._error(f"expected {what}, got {text!r}")
        self.position += 1
        return text

    def _peek(self) -> tuple[str, str, int]:
        return self.tokens[self.position]

    def _take(self, text: str) -> bool:
        kind, found, _ = self._peek()
        if found != text or kind == "string":
            return False
        self.position += 1
        return True

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self._error(f"expected {text!r}, got {self._peek()[1]!r}")

    def _error(self, message: str, *, back: int = 0) -> ExpressionError:
        return ExpressionError(message, self.tokens[self.position - back][2] + 1)


def _tokens(text: str) -> list[tuple[str, str, int]]:
    tokens = []
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            raise ExpressionError(f"unexpected character {text[start]!r}", start + 1)
        kind = str(match.lastgroup)
        tokens.append((kind, match.group(kind), match.start(kind)))
        position = match.end()
    return [*tokens, ("end", "", end)]


def _applied(function: Callable[[Any, Any], Any], left: Evaluator, right: Evaluator) -> Evaluator:
    return lambda env: function(left(env), right(env))


def _either(left: Evaluator, right: Evaluator) -> Evaluator:
    return lambda env: left(env) or right(env)


def _both(left: Evaluator, right: Evaluator) -> Evaluator:
    return lambda env: left(env) and right(env)
