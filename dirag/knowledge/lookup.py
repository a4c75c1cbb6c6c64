"""The index of a knowledge base: exact and fuzzy look-up of mentions, and a scan of running text.

Exact means equal after normalisation (``normalise.key``). Fuzzy hits follow the exact ones, down to a
score of ``threshold``. The scan is exact: longest names first, short acronyms in their own case only,
and no name of the stop list.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from dirag import resources
from dirag.data import Hit
from dirag.knowledge import fuzzy, normalise

if TYPE_CHECKING:
    from dirag.data import Match
    from dirag.knowledge.store import Store

_BREAK = re.compile(r"[;:!?]\s|\w\w\w\.\s+(?=[A-Z])|\n\s*\n|\r\n\s*\r\n")
_EVERY = range(1 << 31)  # as a container of numbers: all of them


class Lookup:
    """Concepts of a store by name; with ``types`` only those that have one of these semantic types."""

    def __init__(
        self,
        store: Store,
        *,
        types: Container[str] | None = None,
        threshold: float = 0.5,
        stopwords: Iterable[str] | None = None,
    ) -> None:
        self._store, self._threshold = store, threshold
        self._trie = store.trie
        kinds = enumerate(store.manifest.types)
        self._kinds: Container[int] = (
            _EVERY
            if types is None
            else {number for number, kind in kinds if any(name in types for name in kind)}
        )
        listed = read_stopwords() if stopwords is None else stopwords
        self._stopped = {self._trie.find(normalise.key(word)) for word in listed}

    def lookup(self, queries: Sequence[str], *, k: int = 5) -> list[list[Hit]]:
        """The best concepts of each mention: exact matches first, then the most similar names."""
        return [self._lookup(query, k) for query in queries]

    def _lookup(self, query: str, k: int) -> list[Hit]:
        found: dict[int, Hit] = {}
        for hits in (self._exact, self._fuzzy):
            for concept, hit in hits(query) if len(found) < k else ():
                found.setdefault(concept, hit)
        return list(found.values())[:k]

    def _exact(self, query: str) -> Iterator[tuple[int, Hit]]:
        for form in dict.fromkeys((query, *normalise.variants(query))):
            if (key := self._trie.find(normalise.key(form))) >= 0:
                rows = sorted(self._rows(key), key=lambda row: _in_another_case(row[1], form))
                for row, alias in rows:
                    yield self._hit(row, alias, 1.0, "exact", 0, len(query))

    def _fuzzy(self, query: str) -> Iterator[tuple[int, Hit]]:
        mention = " ".join(normalise.key(query))
        keys, cosines = self._trigrams.candidates(mention)
        pairs = zip(keys.tolist(), cosines.tolist(), strict=True)
        scored = [(fuzzy.similarity(mention, self._store.key(key), cosine), key) for key, cosine in pairs]
        for score, key in sorted(scored, key=lambda pair: (-pair[0], pair[1])):
            if score < self._threshold:
                return
            for row, alias in self._rows(key):
                yield self._hit(row, alias, score, "fuzzy", 0, len(query))

    def scan(self, text: str) -> list[Hit]:
        """The names that stand in a text, in its order; where names overlap the longest stays."""
        words = list(normalise.words(text))
        free = bytearray(b"\1") * len(words)
        hits = []
        for start, end, first, last, key in sorted(
            self._places(text, words), key=lambda place: (place[0] - place[1], place)
        ):
            if 0 in free[first:last]:
                continue
            surface = text[start:end]
            for row, alias in self._rows(key):
                if not _in_another_case(alias, surface):
                    free[first:last] = bytes(last - first)
                    hits.append(self._hit(row, alias, 1.0, "exact", start, end)[1])
                    break
        return sorted(hits, key=lambda hit: hit.start)

    def _places(
        self, text: str, words: Sequence[tuple[str, int, int]]
    ) -> Iterator[tuple[int, int, int, int, int]]:
        """Where keys stand, as start, end, first word, word after the last, key; never inside HER2 or B12."""
        for first, last, key in self._trie.matches([word for word, _, _ in words]):
            start, end = words[first][1], words[last - 1][2]
            glued = (first and words[first - 1][2] == start) or (last < len(words) and words[last][1] == end)
            if glued or end - start < 2 or key in self._stopped:
                continue
            if last - first == 1 or _is_one_phrase(text[start:end]):
                yield start, end, first, last, key

    def _rows(self, key: int) -> Iterator[tuple[int, str]]:
        """The names filed under a key, of the types wanted, preferred names first."""
        store = self._store
        for row in range(store.key_rows[key], store.key_rows[key + 1]):
            if store.concept_types[store.row_concepts[row]] in self._kinds:
                yield row, store.alias(row)

    def _hit(self, row: int, alias: str, score: float, match: Match, start: int, end: int) -> tuple[int, Hit]:
        number = self._store.row_concepts[row]
        return number, Hit(self._store.concept(number), alias, match, score, start, end)

    @cached_property
    def _trigrams(self) -> fuzzy.Trigrams:
        return fuzzy.open_trigrams(self._store.array)


def _is_one_phrase(surface: str) -> bool:
    """Whether no sentence ends and no bracket is left open inside a span: not "tumor. Necrosis"."""
    depth = 0
    for character in surface:
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return False
    return not depth and not _BREAK.search(surface)


def _in_another_case(alias: str, surface: str) -> bool:
    """Whether a short name stands in another case than the vocabulary's: "was" is not WAS, "gout" is Gout."""
    return alias != surface and normalise.is_acronym(alias)


def read_stopwords() -> list[str]:
    """The stop list that comes with the package."""
    lines = resources.path("kb", "stopwords.txt").read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]
