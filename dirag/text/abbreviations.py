"""Abbreviations that a document defines: ``long form (SHORT)`` and ``SHORT (long form)``, with offsets.

The method is Schwartz and Hearst's (2003), which needs neither a list nor a model, with one addition:
initials may stand in another order ("myotonic dystrophy (DM)"). Time is linear in the
text: brackets hold at most ``_INSIDE`` characters and only a few words before one are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dirag.text.language import Language

_INSIDE = 160
_BRACKETS = re.compile(rf"[(\[]\s?([^\s()\[\]][^()\[\]]{{1,{_INSIDE}}})[)\]]")
_BEFORE = re.compile(r"[^\s()\[\]]+$")
_WORD = re.compile(r"\S+")
_SHORT = re.compile(r"\w[^\s,;:]{1,9}(?: [^\s,;:]{1,4})?")
_PART = re.compile(r"[^\W_]+")
_TOKEN = re.compile(r"[^\W_]+(?:[-/][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class Abbreviation:
    """A short form with the long form that defines it; offsets are half-open, into the document."""

    short: str
    long: str
    start: int
    end: int
    long_start: int
    long_end: int


def find(text: str) -> list[Abbreviation]:
    """Returns the definitions of a text in its order; a short form may be defined more than once."""
    return [pair for match in _BRACKETS.finditer(text) if (pair := _definition(text, match))]


def definitions(text: str) -> dict[str, str]:
    """Returns long forms by their short form; the first definition holds."""
    long_forms: dict[str, str] = {}
    for pair in find(text):
        long_forms.setdefault(pair.short, pair.long)
    return long_forms


def expand(mention: str, defined: Mapping[str, str], language: Language) -> str:
    """Returns the mention with its short forms written out, whole ("AT") or within ("AT patients", "ATs")."""
    if not defined:
        return mention
    if mention in defined:
        return defined[mention]
    plurals = language.words.short_form_plurals
    return _TOKEN.sub(lambda match: _written_out(match[0], defined, plurals), mention)


def _written_out(token: str, defined: Mapping[str, str], plurals: Iterable[str]) -> str:
    """Returns a word as it is, or the long form of the short form that it is, in the singular if need be."""
    for form in (token, *map(token.removesuffix, plurals)):
        if form in defined:
            return defined[form]
    return token


def _definition(text: str, match: re.Match[str]) -> Abbreviation | None:
    start = match.start(1)
    first = re.split(r"[,;:]", match[1], maxsplit=1)[0].rstrip()
    if _is_short(first):  # "ataxia telangiectasia (AT, see below)"
        before = _window(text, match.start(), len(first))
        place = _initials(first, before)
        if place is None:
            place = _long_start(first, before)
        if place is not None:
            place += match.start() - len(before)
            long = text[place : match.start()].rstrip()
            if _is_long(long, first):
                return Abbreviation(first, long, start, start + len(first), place, place + len(long))
    # The other way round: twelve characters hold the longest short form of one word, and blanks.
    before = text[max(match.start() - 12, 0) : match.start()].rstrip()
    word = _BEFORE.search(before)
    if word and _is_short(word[0]) and any(c.isupper() for c in word[0]):  # "AT (ataxia telangiectasia)"
        inside = match[1].rstrip()
        if _long_start(word[0], inside) == 0 and _is_long(inside, word[0]):
            place = max(match.start() - 12, 0) + word.start()
            return Abbreviation(word[0], inside, place, place + len(word[0]), start, start + len(inside))
    return None


def _initials(short: str, text: str) -> int | None:
    """Returns where the last words start whose initials are the short form, in its order or another."""
    words = list(_PART.finditer(text))[-len(short) :]
    if not short.isupper() or len(words) < max(len(short), 2):
        return None
    initials = [word[0][0].upper() for word in words]
    # Up to four letters: of more, too many runs of words have the same letters in some order.
    if initials == list(short) or (len(short) <= 4 and sorted(initials) == sorted(short)):
        return words[0].start()
    return None


def _window(text: str, end: int, size: int) -> str:
    """Returns the words before a bracket that may be a long form: at most size + 5 and twice size."""
    piece = text[max(end - _INSIDE, 0) : end]
    words = list(_WORD.finditer(piece))
    return piece[words[-min(size + 5, 2 * size)].start() :] if len(words) > min(size + 5, 2 * size) else piece


def _is_short(form: str) -> bool:
    return _SHORT.fullmatch(form) is not None and any(c.isalpha() for c in form)


def _is_long(long: str, short: str) -> bool:
    return len(long) > len(short) and short not in _WORD.findall(long) and "\n\n" not in long


def _long_start(short: str, text: str) -> int | None:
    """Returns where the long form starts, or None where it does not hold the letters of the short form.

    They are searched from right to left; the first one must stand at the start of a word.
    """
    place = len(text)
    letters = [(n, c.lower()) for n, c in enumerate(short) if c.isalnum()]
    for number, letter in reversed(letters):
        place -= 1
        while place >= 0 and not (
            text[place].lower() == letter and not (number == 0 and place > 0 and text[place - 1].isalnum())
        ):
            place -= 1
        if place < 0:
            return None
    return place
