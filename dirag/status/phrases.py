"""Phrases of a language and where they stand in a sentence, by its words: the longest where several begin."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*|\d+|\S")
_SPECIAL = ("NUMBER", "YEAR")
_BEGINNING = "^"
_MEANINGS = ""  # no word is empty


class Place(NamedTuple, Generic[T]):
    """Where a phrase stands: from word ``first`` up to ``last``, from character ``start`` up to ``end``."""

    first: int
    last: int
    start: int
    end: int
    meanings: tuple[T, ...]


class Phrases(Generic[T]):
    """A tree of phrases by their words, each with what it means; see ``text.language.Cue`` for their form."""

    def __init__(self, phrases: Iterable[tuple[str, T]]) -> None:
        self._root: dict[str, Any] = {}
        for phrase, meaning in phrases:
            for words in _spelt_out(phrase):
                node = self._root
                for word in words:
                    node = node.setdefault(word, {})
                node[_MEANINGS] = (*node.get(_MEANINGS, ()), meaning)

    def places(self, text: str) -> Iterator[Place[T]]:
        """Yields the places of phrases in a sentence, in order; none overlaps another."""
        matches = list(_WORD.finditer(_folded(text)))
        words = [_BEGINNING, *(_form(match[0]) for match in matches)]
        first = 0
        while first < len(words):
            if words[first] not in self._root:  # of most words: no more is done for them
                first += 1
                continue
            node, at, last, meanings = self._root, first, first + 1, ()
            while at < len(words) and (inner := node.get(words[at])):
                node, at = inner, at + 1
                if _MEANINGS in node:
                    last, meanings = at, node[_MEANINGS]
            if meanings:
                start = matches[first - 1].start() if first else 0
                yield Place(first, last, start, matches[last - 2].end(), meanings)
            first = last


def key(text: str) -> tuple[str, ...]:
    """Returns the words of a text as they are compared, whatever their case."""
    return tuple(map(_form, _WORD.findall(_folded(text))))


def _folded(text: str) -> str:
    """Returns the text in small letters, character by character."""
    lowered = text.lower()
    if len(lowered) != len(text):
        lowered = "".join(c if len(c.lower()) > 1 else c.lower() for c in text)
    return lowered.replace("’", "'")


def _form(word: str) -> str:
    if word > ":" or not word.isdecimal():
        return word
    return "YEAR" if len(word) == 4 and word.startswith(("19", "20")) else "NUMBER"


def _spelt_out(phrase: str) -> Iterator[list[str]]:
    """Yields the sequences of words that a phrase stands for."""
    choices: list[list[tuple[str, ...]]] = []
    for part in phrase.split():
        optional = len(part) > 1 and part.endswith("?")
        ways = (part.removesuffix("?") if optional else part).split("|")
        choices.append([(way,) if way in _SPECIAL else key(way) for way in ways] + [()] * optional)
    for way in product(*choices):
        yield [word for words in way for word in words]
