"""Retrieves the concepts that a prompt lists: of names in a sentence, or of candidates for entities in it.

In: a sentence, and perhaps the spans that the LLM named as candidates. Out: hits in text order that do not
overlap, one a string. Where a prompt takes fewer, exact hits come first, then the most probable.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from dirag.data import Hit, Match
from dirag.protocols import Index
from dirag.text.language import Language
from dirag.text.occurrences import may_begin_name, may_end_name

#: Hits by spelling or meaning that are less probable are left out, as most of them are wrong. Chosen on
#: the development sentences of the NCBI disease corpus against MEDIC.
SURE = 0.9
#: Words of the longest span that is looked up as a possible name.
LONGEST = 5

_WORD = re.compile(r"(?:[^\W_][\u0300-\u036f]*)+")
_GAP = re.compile(r"[\s\-–'’/]*")


class Retriever:
    """Looks names up in an index that searches by ``matches``; ``limit`` is the most hits for one text."""

    def __init__(self, index: Index, language: Language, *, limit: int, matches: Collection[Match]) -> None:
        self._index, self._language, self._limit = index, language, limit
        self._scans, self._guesses = "exact" in matches, not {"fuzzy", "dense"}.isdisjoint(matches)

    def named(self, text: str) -> list[Hit]:
        """Returns the hits of names that stand in the text, and of spans that are like a name."""
        hits = self._index.scan(text) if self._scans else []
        guessed = self._hits(text, windows(text, self._language)) if self._guesses else ()
        # A span that equals a name but is no hit of the scan is on its stop list, or in another case.
        return self._best(text, [*hits, *(hit for hit in guessed if hit.match != "exact")])

    def candidates(self, text: str, spans: Iterable[tuple[int, int]]) -> list[Hit]:
        """Returns the hits of these spans of the text."""
        return self._best(text, self._hits(text, spans))

    def _hits(self, text: str, spans: Iterable[tuple[int, int]]) -> Iterator[Hit]:
        places = list(spans)
        looked_up = self._index.lookup([text[start:end] for start, end in places], k=1)
        for (start, end), hits in zip(places, looked_up, strict=True):
            for hit in hits:
                if hit.match == "exact" or hit.score >= SURE:
                    yield replace(hit, start=start, end=end)

    def _best(self, text: str, hits: Iterable[Hit]) -> list[Hit]:
        # Not align.longest: a hit that is surer has the place, however short. Hits past the limit still hold
        # theirs, so that a smaller limit shows a part of what a greater one would.
        apart: list[Hit] = []
        shown: dict[str, Hit] = {}
        for hit in sorted(hits, key=lambda hit: (hit.match != "exact", -hit.score, hit.start, -hit.end)):
            if all(hit.end <= other.start or other.end <= hit.start for other in apart):
                apart.append(hit)
                if len(shown) < self._limit:
                    shown.setdefault(text[hit.start : hit.end], hit)
        return sorted(shown.values(), key=lambda hit: hit.start)


def windows(text: str, language: Language) -> Iterator[tuple[int, int]]:
    """Yields the spans of a few words that may be a name: in one phrase, no function words at their ends."""
    words = [match.span() for match in _WORD.finditer(text)]
    for first, (start, after) in enumerate(words):
        if not may_begin_name(text[start:after], language):
            continue
        end = start
        for begin, stop in words[first : first + LONGEST]:
            if not _GAP.fullmatch(text, end, begin):
                break
            end = stop
            if may_end_name(text[begin:end], language):
                yield start, end
