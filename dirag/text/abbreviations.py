"""Abbreviations that a document defines: ``long form (SHORT)`` and ``SHORT (long form)``, with offsets.

The method is Schwartz and Hearst's (2003), which needs neither a list nor a model, with two additions:
initials may stand in another order ("myotonic dystrophy (DM)"), and a long form is a part of one clause, with
whole brackets, that begins with no function word. Time is linear in the text: brackets hold at most
``_INSIDE`` characters and only a few words before one are read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from dirag.text.language import Language
from dirag.text.segment import segments

_INSIDE = 160
_BRACKETS = re.compile(rf"[(\[]\s?([^\s()\[\]][^()\[\]]{{1,{_INSIDE}}})[)\]]")
_BLANK_LINE = re.compile(r"\n\s*\n")
# A word in the last twelve characters, which hold the longest short form of one word, and blanks.
_LAST_WORD = re.compile(r"(?<![^\s()\[\]])[^\s()\[\]]{1,12}(?=\s*\Z)")
_WORD = re.compile(r"\S+")
_SHORT = re.compile(r"\w[^\s,;:=<>%]{1,9}(?: [^\s,;:=<>%]{1,4})?")
_PART = re.compile(r"[^\W_]+")
_TOKEN = re.compile(r"[^\W_]+(?:[-/][^\W_]+)*")
_CLAUSE_END = re.compile(r";|:\s|[.:],(?=\S)")  # ".," where notes lost their line breaks
_COMMA = re.compile(r",\s+(?!\d)")  # not that of "homogentisate 1, 2-dioxygenase"
# The places of a chemical name, which stand before its letters: "22-oxacalcitriol", "(R)-alpha-", "N(6)-".
_LOCANT = r"[A-Z]?[(\[][\dA-Z,'+-]{1,9}[)\]]|[\d,'′]+[a-zA-Z]?|[A-Zα-ω]|alpha|beta|gamma|delta"
_LOCANTS = re.compile(rf"(?<![^\s(\[])(?:(?:{_LOCANT})-)+\Z")
_NAME = re.compile(r"[^\W\d_]{4}|\s")
_DECIMAL = re.compile(r"\d\.\d")
_EDGE = re.compile(r"[\s,\-\"'“”‘’(\[]+\Z")


@dataclass(frozen=True, slots=True)
class Abbreviation:
    """A short form with the long form that defines it; offsets are half-open, into the document."""

    short: str
    long: str
    start: int
    end: int
    long_start: int
    long_end: int


def find(text: str, language: Language) -> list[Abbreviation]:
    """Returns the definitions of a text in its order; a short form may be defined more than once."""
    return [pair for match in _BRACKETS.finditer(text) if (pair := _definition(text, match, language))]


def definitions(text: str, language: Language) -> dict[str, str]:
    """Returns long forms by their short form; the first definition holds."""
    long_forms: dict[str, str] = {}
    for pair in find(text, language):
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


def _definition(text: str, match: re.Match[str], language: Language) -> Abbreviation | None:
    if _BLANK_LINE.search(match[0]):
        return None
    # Of the paragraph: what stands in another one defines nothing here.
    before = _BLANK_LINE.split(text[max(match.start() - _INSIDE, 0) : match.start()])[-1]
    return _before(before, match, language) or _inside(before, match, language)


def _before(before: str, match: re.Match[str], language: Language) -> Abbreviation | None:
    """Returns the definition whose long form stands before a bracket: "ataxia telangiectasia (AT, mild)"."""
    short = re.split(r"[,;:]", match[1], maxsplit=1)[0].rstrip()
    if not _is_short(short, language):
        return None
    name = _EDGE.sub("", before)
    long = _long_form(short, _last_clause(name, language), language)
    start, end = match.start(1), match.start() - len(before) + len(name)
    return Abbreviation(short, long, start, start + len(short), end - len(long), end) if long else None


def _inside(before: str, match: re.Match[str], language: Language) -> Abbreviation | None:
    """Returns the definition in a bracket of the word before it: "AT (ataxia telangiectasia)"."""
    word = _LAST_WORD.search(before)
    if not word or not any(c.isupper() for c in word[0]) or not _is_short(word[0], language):
        return None
    short, long = word[0], _EDGE.sub("", _CLAUSE_END.split(match[1], maxsplit=1)[0])
    if 0 not in _starts(short, long, language) or not _NAME.search(long):
        return None
    if not _is_long(long, short, language) or _last_clause(long, language) != long:
        return None
    start, long_start = match.start() - len(before) + word.start(), match.start(1)
    return Abbreviation(short, long, start, start + len(short), long_start, long_start + len(long))


def _is_short(form: str, language: Language) -> bool:
    if not _SHORT.fullmatch(form) or not any(c.isalpha() for c in form):
        return False
    if form[0].isdigit() and sum(c.isupper() for c in form) < 2:  # "48 h" and "5mg/kg", not "5-HT"
        return False
    first, _, second = form.partition(" ")
    if second and (not any(c.isupper() for c in first) or _is_capitalised(first) or _DECIMAL.search(second)):
        return False  # "group B", "Table II" and "OR 0.65", not "Hex A"
    return form.replace(".", "") not in _small_words(language)


@cache
def _small_words(language: Language) -> frozenset[str]:
    """Returns function words and such as "i.e.", without full stops."""
    dotted = language.sentences.never_last
    return language.names.function_words.union(word.replace(".", "") for word in dotted)


def _is_capitalised(word: str) -> bool:
    return len(word) > 3 and word.isalpha() and word.istitle()


def _last_clause(text: str, language: Language) -> str:
    """Returns the end of a text that may hold a long form: of one clause, with no bracket but in a word."""
    pieces = segments(text, language=language)
    clause = _CLAUSE_END.split(pieces[-1].text)[-1] if pieces else ""
    depth, close = 0, 0
    for place in range(len(clause) - 1, -1, -1):
        if clause[place] in ")]":
            close = close if depth else place + 1
            depth += 1
        elif clause[place] in "([":
            depth -= 1
            if depth < 0:
                return clause[place + 1 :].lstrip()
            if depth == 0 and not _is_in_word(clause, place, close):
                return clause[close:].lstrip()
    return clause[close if depth else 0 :].lstrip()


def _is_in_word(text: str, start: int, end: int) -> bool:
    """Tells whether a bracket is a part of a name: "poly(ADP-ribose)", "(R)-alpha", "Na (+) channel"."""
    around = text[max(start - 1, 0) : start] + text[end : end + 1]
    return any(c.isalnum() or c == "-" for c in around) or not _PART.search(text, start, end)


def _long_form(short: str, clause: str, language: Language) -> str:
    """Returns the end of a clause that is the long form of a short form, or "" where none is."""
    words = list(_WORD.finditer(clause))
    window = clause[words[-min(len(words), len(short) + 5, 2 * len(short))].start() :] if words else ""
    for start in _starts(short, window, language):
        start += len(clause) - len(window)
        long = clause[start if short.islower() else _name_start(clause, start) :]
        if _is_long(long, short, language):
            return long
    return ""


def _starts(short: str, text: str, language: Language) -> list[int]:
    """Returns where the long form at the end of a text may start, the likeliest place first."""
    forms = (short, *map(short.removesuffix, language.words.short_form_plurals))
    exact = (_initials(form, text, list) for form in forms)
    # Of up to four letters also in another order: of more, too many runs of words have the same ones. The
    # shorter long form first: in "brain gamma-aminobutyric acid" the letters of GABA stand behind "brain".
    others = (_initials(short, text, sorted) if len(short) <= 4 else None, _long_start(short, text))
    return [
        *(start for start in exact if start is not None),
        *sorted((start for start in others if start is not None), reverse=True),
    ]


def _initials(form: str, text: str, order: Callable[[Iterable[str]], list[str]]) -> int | None:
    """Returns where the last words start whose initials, put in this order, are the letters of the form."""
    words = list(_PART.finditer(text))[-len(form) :]
    if not form.isupper() or len(words) < max(len(form), 2):
        return None
    initials = order(word[0][0].upper() for word in words)
    return words[0].start() if initials == order(form) else None


def _name_start(clause: str, start: int) -> int:
    """Returns where the name begins whose letters begin at ``start``: before its places and brackets."""
    locants = _LOCANTS.search(clause, 0, start)
    start = locants.start() if locants else start
    depth = 0
    for place in range(len(clause) - 1, -1, -1):
        depth += (clause[place] in ")]") - (clause[place] in "([")
        if place <= start and depth == 0:
            return place
    return 0


def _is_long(long: str, short: str, language: Language) -> bool:
    if len(long) <= len(short) or re.search(rf"(?<!\w){re.escape(short)}(?!\w)", long, re.IGNORECASE):
        return False
    letters = [c for c in short.lower() if c.isalpha()]
    if len(letters) > 2 and [word[0][0].lower() for word in _PART.finditer(long)] == letters:
        return True  # also "not otherwise specified", "a disintegrin and metalloproteinase"
    words = long.split()
    if words[0] in language.names.function_words:
        return False
    if len(words) > 1 and (short.islower() or _is_capitalised(short)):  # an ordinary word
        return False
    # Of a list every part must be one that the short form names: "Wilms tumor, aniridia, ... (WAGR)".
    parts = (_PART.findall(part) for part in _COMMA.split(long))
    return all(any(word[0].lower() in letters for word in part) for part in parts)


def _long_start(short: str, text: str) -> int | None:
    """Returns where the long form starts, or None where it does not hold the letters of the short form.

    They are searched from right to left; the first one must stand at the start of a word.
    """
    place = len(text)
    letters = [(n, c.lower()) for n, c in enumerate(short) if c.isalnum()]
    if not any(letters[-1][1] in word.lower() for word in text.split()[-2:]):
        return None
    for number, letter in reversed(letters):
        place -= 1
        while place >= 0 and not (
            text[place].lower() == letter and not (number == 0 and place > 0 and text[place - 1].isalnum())
        ):
            place -= 1
        if place < 0:
            return None
    return place
