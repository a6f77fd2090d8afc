"""Finding the words of a list in lines of text that may be misread.

A term is found where a run of whole words reads like it. Letters and digits are compared, without
regard to case, accents, spaces and marks, so that ``Coca-Cola`` is found in ``COCA COLA``. How
well it fits is one minus the Levenshtein distance (rapidfuzz) over the longer length; what is
explained by characters that are easily taken for each other (``0`` and ``O``, ``1`` and ``I``,
``rn`` and ``m``) costs a third of another edit. So with a lowest score of 0.85, words of two
letters must stand there as they are, words of three to six may hold one such confusion, and longer
ones a wrong letter.
"""

from __future__ import annotations

import itertools
import math
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# What a confusion costs, of an edit.
_CONFUSED = 1 / 3
_ALIKE = str.maketrans("0125681l|!", "oizsgbiiii")
_ALIKE_PAIRS = (("rn", "m"), ("vv", "w"))
# Only terms of at least this many characters are looked for inside of words.
_INSIDE_FROM = 5
# Characters by which a misread word may differ in length beyond what its score allows.
_SLACK = 2

_INSIDE, _SOFT, _HARD = 0, 1, 2


class TermError(ValueError):
    """A line of a word list that says nothing, or what another one says otherwise."""


@dataclass(frozen=True, slots=True)
class Alias:
    """A spelling to look for.

    Attributes:
        label: what it stands for.
        text: as it was written.
        letters: its letters and digits, folded.
    """

    label: str
    text: str
    letters: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A place in a line that reads like a term.

    Attributes:
        alias: the spelling that fits best.
        score: 0..1.
        start: first character of the line.
        end: character after the last one.
    """

    alias: Alias
    score: float
    start: int
    end: int


def parse_terms(lines: Iterable[str], *, match_label: bool = True) -> list[Alias]:
    """The spellings of lines ``Brand`` or ``Brand = alias, alias``.

    Args:
        lines: of a setting or a file; empty ones and those that begin with ``#`` say nothing.
        match_label: whether the name itself is a spelling too.

    Raises:
        TermError: a line without a letter, or a spelling that stands for two names.
    """
    found: dict[str, Alias] = {}
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        label, equals, others = (part.strip() for part in line.partition("="))
        spellings = [other.strip() for other in others.split(",")] if equals else []
        if not label or (equals and not all(spellings)):
            raise TermError(f"{line!r} is not of the form 'Brand' or 'Brand = alias, alias'")
        if not match_label and not spellings:
            raise TermError(f"{line!r} has no spelling, and with match_label: false it needs one")
        for text in [label, *spellings] if match_label else spellings:
            letters = "".join(letter for letter, _ in _letters(text))
            if not letters:
                raise TermError(f"{text!r} holds no letter and no digit")
            known = found.setdefault(letters, Alias(label, text, letters))
            if known.label != label:
                raise TermError(f"{text!r} stands for both {known.label!r} and {label!r}")
    return list(found.values())


class TermFinder:
    """Finds terms in lines; lines that were seen before are remembered.

    Args:
        aliases: what to look for.
        min_score: lowest score, above 0 up to 1.
        inside_words: whether terms of at least 5 characters are also found inside of words.
    """

    def __init__(self, aliases: Iterable[Alias], min_score: float, inside_words: bool) -> None:
        self._aliases = [(alias, _folded(alias.letters)) for alias in aliases]
        self._min_score = min_score
        self._inside = inside_words
        self._longest = max((self._lengths(len(a.letters))[1] for a, _ in self._aliases), default=0)
        self._known: dict[str, list[Hit]] = {}

    def find(self, text: str) -> list[Hit]:
        """The terms in a line, in its order; where places overlap, that of the longest term."""
        text = unicodedata.normalize("NFC", text)
        if text not in self._known:
            self._known[text] = self._found(text)
        return self._known[text]

    def _found(self, text: str) -> list[Hit]:
        pairs = list(_letters(text))
        letters = "".join(letter for letter, _ in pairs)
        places = [place for _, place in pairs]
        borders = _borders(text, places)
        windows: dict[int, dict[int, list[_Window]]] = {}
        hits = []
        for alias, folded in self._aliases:
            least = _HARD
            if len(alias.letters) >= _INSIDE_FROM:
                least = _INSIDE if self._inside else _SOFT
            if least not in windows:
                windows[least] = _windows(letters, borders, least, self._longest)
            shortest, longest = self._lengths(len(alias.letters))
            for length in range(shortest, longest + 1):
                for window in windows[least].get(length, ()):
                    score = _score(alias.letters, folded, window, self._min_score)
                    if score >= self._min_score:
                        start, end = places[window.start], places[window.start + length - 1] + 1
                        hits.append(Hit(alias, score, start, end))
        hits.sort(key=lambda h: (-h.score * len(h.alias.letters), -h.score, h.start, h.end))
        kept: list[Hit] = []
        for hit in hits:
            if all(hit.end <= other.start or other.end <= hit.start for other in kept):
                kept.append(hit)
        return sorted(kept, key=lambda hit: hit.start)

    def _lengths(self, length: int) -> tuple[int, int]:
        """Shortest and longest run of characters that a spelling of a length may be read as."""
        shortest = max(1, math.floor(length * self._min_score) - _SLACK)
        return shortest, math.ceil(length / self._min_score) + _SLACK


@dataclass(frozen=True, slots=True)
class _Window:
    """A run of whole words of a line: where its letters begin, as they are and folded."""

    start: int
    letters: str
    folded: str


def _windows(
    letters: str, borders: list[int], least: int, longest: int
) -> dict[int, list[_Window]]:
    """The runs of words of a line, by their length, up to the longest that is of use."""
    stops = [place for place, kind in enumerate(borders) if kind >= least]
    found: dict[int, list[_Window]] = {}
    for position, start in enumerate(stops):
        for end in stops[position + 1 :]:
            if end - start > longest:
                break
            read = letters[start:end]
            found.setdefault(end - start, []).append(_Window(start, read, _folded(read)))
    return found


def _score(letters: str, folded: str, window: _Window, least: float) -> float:
    """How well a place fits, 0..1; what is below ``least`` may come out as 0."""
    from rapidfuzz.distance import Levenshtein

    if letters == window.letters:
        return 1.0
    longer = max(len(letters), len(window.letters))
    most = math.floor((1 - least) * longer + 1e-9)
    apart = Levenshtein.distance(folded, window.folded, score_cutoff=most)
    if apart > most:
        return 0.0
    explained = max(0, Levenshtein.distance(letters, window.letters) - apart)
    return 1 - (apart + explained * _CONFUSED) / longer


def _letters(text: str) -> Iterator[tuple[str, int]]:
    """The letters and digits of a text in their plain form, each with its place."""
    for place, character in enumerate(unicodedata.normalize("NFC", text)):
        for letter in unicodedata.normalize("NFKC", character).casefold():
            # Accents go from Latin letters only; elsewhere they make other letters.
            plain = unicodedata.normalize("NFD", letter)[0]
            letter = plain if plain.isascii() else letter
            if letter.isalnum():
                yield letter, place


def _folded(letters: str) -> str:
    """Letters with those that are easily taken for each other made one."""
    folded = letters.translate(_ALIKE)
    for pair, one in _ALIKE_PAIRS:
        folded = folded.replace(pair, one)
    return folded


def _borders(text: str, places: list[int]) -> list[int]:
    """What stands before each letter and after the last one: a border of words or none."""
    borders = [_HARD]
    for before, after in itertools.pairwise(places):
        one, other = text[before], text[after]
        if after == before:
            borders.append(_INSIDE)
        elif after > before + 1 or _stands_alone(one) or _stands_alone(other):
            borders.append(_HARD)
        elif (one.islower() and other.isupper()) or one.isdigit() != other.isdigit():
            borders.append(_SOFT)
        else:
            borders.append(_INSIDE)
    return [*borders, _HARD]


def _stands_alone(character: str) -> bool:
    """Whether a character is of a script that puts no spaces between words, or glues to them."""
    return (
        "\u3040" <= character <= "\u30ff"  # kana
        or "\u3400" <= character <= "\u9fff"  # ideographs
        or "\uac00" <= character <= "\ud7a3"  # Hangul, with its particles
        or "\uf900" <= character <= "\ufaff"
    )
