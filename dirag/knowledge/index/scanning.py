"""The names of a knowledge base that stand in running text: exact, longest first, without overlap.

In: a text. Out: spans, each with the names filed under the key that stands there. Short acronyms count in
their own case only, names of the stop list not at all, and no name reaches over a sentence's end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from dirag.text import normalise
from dirag.text.language import Language

if TYPE_CHECKING:
    from dirag.knowledge.index.exact import Trie
    from dirag.knowledge.index.filtering import Subset


class Scanner:
    """Finds the names of a part of a base; ``stopwords`` are names that are never found."""

    def __init__(
        self, trie: Trie, subset: Subset, language: Language, *, stopwords: Iterable[str] | None = None
    ) -> None:
        self._trie, self._subset = trie, subset
        self._normaliser = normalise.normaliser(language)
        listed = language.names.never_found if stopwords is None else stopwords
        self._stopped = {trie.find(self._normaliser.key(word)) for word in listed}
        capitals = language.sentences.capitals
        # The end of a phrase: three letters before a dot, so that none is in "St. Vincent" or "E. coli".
        self._break = re.compile(rf"[;:!?]\s|\w\w\w\.\s+(?=[{capitals}])|\n\s*\n|\r\n\s*\r\n")

    def longest(self, text: str) -> Iterator[tuple[int, int, list[tuple[int, str]]]]:
        """Yields names, longest first and without overlap: start, end, the names of the key there."""
        words = list(self._normaliser.words(text))
        free = bytearray(b"\1") * len(words)  # by word: a name holds whole words, and there are fewer
        for start, end, first, last, key in sorted(
            self._places(text, words), key=lambda place: (place[0] - place[1], place)
        ):
            if 0 in free[first:last]:
                continue
            surface = text[start:end]
            # A name that stands in another case takes no place from a shorter one inside it.
            if rows := [row for row in self._subset.rows(key) if not in_another_case(row[1], surface)]:
                free[first:last] = bytes(last - first)
                yield start, end, rows

    def _places(
        self, text: str, words: Sequence[tuple[str, int, int]]
    ) -> Iterator[tuple[int, int, int, int, int]]:
        """Yields keys as start, end, first word, word after the last, key; none inside HER2 or B12."""
        for first, last, key in self._trie.matches([word for word, _, _ in words]):
            start, end = words[first][1], words[last - 1][2]
            # Normalising parts letters from digits, so "HER" and "2" are words that touch each other.
            glued = (first and words[first - 1][2] == start) or (last < len(words) and words[last][1] == end)
            if glued or end - start < 2 or key in self._stopped:
                continue
            # A single word holds no end of a sentence: most keys are one, and need no look at the text.
            if last - first == 1 or self._is_one_phrase(text[start:end]):
                yield start, end, first, last, key

    def _is_one_phrase(self, surface: str) -> bool:
        """Tells whether no sentence ends and no bracket stays open inside a span: not "tumor. Necrosis"."""
        depth = 0
        for character in surface:
            depth += (character in "([{") - (character in ")]}")
            if depth < 0:
                return False
        return not depth and not self._break.search(surface)


def in_another_case(alias: str, surface: str) -> bool:
    """Tells whether a short name stands in another case than its own: "was" is not WAS, "gout" is Gout."""
    return alias != surface and normalise.is_acronym(alias)
