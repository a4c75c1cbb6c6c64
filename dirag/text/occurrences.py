"""Where strings stand in a text: reading it in another form through an offset map, token boundaries, search.

A text is searched as it is read on one line (:func:`flatten`), or with case, accents, spaces, hyphens and
quotes set aside (:func:`fold`); either way every position leads back to the text as it was given.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from dirag.text.language import Language

# Controls, NUL among them, and lone surrogates go with the spaces: no model can write them.
_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_BLANKS = re.compile(_BLANK.pattern[:-1] + "{2,}")
_DASHES_AND_QUOTES = frozenset("-‐‑‒–—―−﹣-'\"`´‘’‚‛“”„‟′″«»")


@dataclass(frozen=True, slots=True)
class View:
    """A text in another form; character ``i`` of it stands for ``starts[i]:ends[i]`` of the original."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Returns the original offsets of a part that is not empty."""
        return self.starts[start], self.ends[end - 1]


def flatten(text: str) -> str:
    """Returns the text on one line, as in prompts: runs of blanks and control characters are one space."""
    return _BLANK.sub(" ", text)


def trim(text: str, start: int, end: int) -> tuple[int, int]:
    """Returns the span without blanks and control characters at its ends; empty if it has no others."""
    while start < end and _BLANK.match(text[start]):
        start += 1
    while start < end and _BLANK.match(text[end - 1]):
        end -= 1
    return start, end


def may_begin_name(word: str, language: Language) -> bool:
    """Tells whether a name may begin with this word: function words do not, capitalised or not."""
    return word[:1].lower() + word[1:] not in language.names.function_words


def may_end_name(word: str, language: Language) -> bool:
    """Tells whether a name may end with this word, in its case: the A of hepatitis A is no function word."""
    return word not in language.names.function_words


def flat_view(text: str) -> View:
    """Returns :func:`flatten` of a text with its offset map."""
    runs = [(m.start(), m.end()) for m in _BLANKS.finditer(text)]
    if not runs:  # as of nearly every sentence: ranges do for lists
        return View(flatten(text), range(len(text)), range(1, len(text) + 1))
    starts: list[int] = []
    ends: list[int] = []
    last = 0
    for start, end in [*runs, (len(text), len(text))]:
        starts.extend(range(last, start))
        ends.extend(range(last + 1, start + 1))
        if start < end:
            starts.append(start)
            ends.append(end)
        last = end
    return View(flatten(text), starts, ends)


def fold(text: str) -> str:
    """Returns the text without case, accents, spaces, hyphens and quotes: equal for all spellings."""
    return "".join(map(_folded, text))


def folded_view(text: str) -> View:
    """Returns :func:`fold` with its offset map; one character may become several (U+0130) or none."""
    folded = list(map(_folded, text))
    starts = [i for i, form in enumerate(folded) for _ in form]
    return View("".join(folded), starts, [i + 1 for i in starts])


@lru_cache(maxsize=4096)
def _folded(char: str) -> str:
    if char in _DASHES_AND_QUOTES or _BLANK.match(char):
        return ""
    # Folded before and after: NFKD makes capitals of signs that have no case, as of U+2121 "TEL".
    whole = unicodedata.normalize("NFKD", char.casefold())
    return "".join(c for c in whole.casefold() if not unicodedata.combining(c) and not c.isspace())


@lru_cache(maxsize=4096)
def _kind(char: str) -> int:
    if char.isalpha() or unicodedata.combining(char):
        return 1
    return 2 if char.isdigit() else 0


def is_boundary(text: str, i: int) -> bool:
    """Tells whether a token may begin or end at ``i``: everywhere but between two letters or two digits.

    Of 96,000 gold mentions of NCBI-disease, BC5CDR and BC2GM three have an end that is no such place
    (``tests/benchmarks/repeats.py``).
    """
    if i <= 0 or i >= len(text):
        return True
    before = _kind(text[i - 1])
    return before == 0 or before != _kind(text[i])


def is_bounded(text: str, start: int, end: int) -> bool:
    """Tells whether both ends of a span are token boundaries."""
    return is_boundary(text, start) and is_boundary(text, end)


def search(text: str, patterns: Iterable[str]) -> dict[str, list[int]]:
    """Returns every start of every pattern, in text order, overlapping ones too; empty patterns are left out.

    Aho-Corasick: linear in the text, the patterns and what is found, however many patterns there are.
    """
    starts: dict[str, list[int]] = {pattern: [] for pattern in patterns if pattern}
    if not starts:
        return starts
    step: list[dict[str, int]] = [{}]
    whole: list[str] = [""]
    for pattern in starts:
        node = 0
        for char in pattern:
            if char not in step[node]:
                step[node][char] = len(step)
                step.append({})
                whole.append("")
            node = step[node][char]
        whole[node] = pattern
    fail, shorter = _fallbacks(step, whole)
    node = 0
    for i, char in enumerate(text, start=1):
        while node and char not in step[node]:
            node = fail[node]
        node = step[node].get(char, 0)
        # All patterns that end here, the longest first: each is a suffix of the one before.
        hit = node if whole[node] else shorter[node]
        while hit:
            starts[whole[hit]].append(i - len(whole[hit]))
            hit = shorter[hit]
    return starts


def _fallbacks(step: list[dict[str, int]], whole: list[str]) -> tuple[list[int], list[int]]:
    """Returns of each node that of its longest proper suffix, and the nearest such that ends a pattern."""
    fail = [0] * len(step)
    shorter = [0] * len(step)
    queue = list(step[0].values())
    for node in queue:
        for char, child in step[node].items():
            back = fail[node]
            while back and char not in step[back]:
                back = fail[back]
            fail[child] = step[back].get(char, 0)
            shorter[child] = fail[child] if whole[fail[child]] else shorter[fail[child]]
            queue.append(child)
    return fail, shorter
