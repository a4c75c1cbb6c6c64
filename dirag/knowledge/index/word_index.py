"""The words of a knowledge base and which of them are alike: words that share 80 % of their letters.

Alike is a matter of ``rapidfuzz.fuzz.ratio``, for words of some length; shorter ones must be equal. Trigrams
and letters tell which words are worth a look, and never leave out one that is alike.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from dirag.errors import KnowledgeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: The least likeness of two words (``fuzz.ratio``, in per cent) of at least ``SHORTEST`` letters each.
ALIKE = 80
SHORTEST = 4

_BITS = 64
_SLACK = 1e-9  # for rounding, on the safe side


class Strings(Sequence[str]):
    """Texts one after the other in a file of a knowledge base, read where they lie."""

    def __init__(self, array: Callable[[str], memoryview], name: str) -> None:
        self._name, self._text, self._starts = name, array(f"{name}.B"), array(f"{name}.q")

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, number: int) -> str:  # type: ignore[override]
        try:
            return str(self._text[self._starts[number] : self._starts[number + 1]], "utf-8")
        except UnicodeDecodeError as error:
            raise KnowledgeError(f"{self._name}.B of the knowledge base is damaged") from error

    def __iter__(self) -> Iterator[str]:
        # Sequence's own asks for one at a time, which takes four times as long.
        starts, text = self._starts.tolist(), bytes(self._text)
        try:
            yield from (str(text[first:last], "utf-8") for first, last in pairwise(starts))
        except UnicodeDecodeError as error:
            raise KnowledgeError(f"{self._name}.B of the knowledge base is damaged") from error


class WordIndex:
    """The sorted words of a knowledge base, over arrays that lie in it."""

    def __init__(self, array: Callable[[str], memoryview]) -> None:
        import numpy as np

        self.words = Strings(array, "words")
        self._grams = {gram: number for number, gram in enumerate(Strings(array, "grams"))}
        self._starts, self._holders = array("gram_starts.i"), np.asarray(array("gram_words.i"))
        self._sizes, self._letters = np.asarray(array("word_sizes.i")), np.asarray(array("word_letters.Q"))
        self._longest = int(self._sizes.max(initial=0))

    def number(self, word: str) -> int:
        """Returns the number of a word, or -1."""
        place = bisect_left(self.words, word)
        return place if place < len(self.words) and self.words[place] == word else -1

    def alike(self, word: str) -> list[tuple[int, float]]:
        """Returns the numbers of the words that are like this one, ascending, with their likeness in 0..1."""
        from rapidfuzz import fuzz

        if len(word) < SHORTEST:
            number = self.number(word)
            return [(number, 1.0)] if number >= 0 else []
        alike = []
        for number in self._candidates(word):
            # The cutoff lets rapidfuzz stop early; below it the ratio is 0.
            if score := fuzz.ratio(word, self.words[number], score_cutoff=ALIKE):
                alike.append((number, score / 100))
        return alike

    def _candidates(self, word: str) -> list[int]:
        """Returns the numbers of the words that may be alike, ascending.

        Let L be the length of a longest common subsequence of words of a and b letters; they are alike if
        L >= 0.4 (a + b). Of the a + 2 trigrams of the first word (two blanks put around it), each of its
        a - L letters outside L spoils at most 3 and each of the b - L letters that come in at most 2, so
        a + 2 - 3 (a - L) - 2 (b - L) = 5 L - 2 (a + b) + 2 trigrams at least are common: two or more. And L
        is at most a less the letters that b has not, and the same the other way round. L is at most b, too,
        so a is at most 1.5 b.

        A trigram of the first word is counted as often as the second has it, which is no less than what the
        two have in common. Counted once for each place in both, a sequence of 100,000 bases, which repeats
        its 64 trigrams, would have every list of holders thousands of times.
        """
        import numpy as np

        if len(word) > (200 / ALIKE - 1) * self._longest + _SLACK:
            return []
        starts = self._starts
        numbers = [number for gram in set(_grams(word)) if (number := self._grams.get(gram)) is not None]
        lists = [self._holders[starts[number] : starts[number + 1]] for number in numbers]
        if not lists:
            return []
        holders = np.concatenate(lists)
        holders.sort()
        edges = np.flatnonzero(np.append(True, holders[1:] != holders[:-1]))
        words = holders[edges]
        counts = np.diff(edges, append=len(holders))
        sizes = self._sizes[words]
        least = np.ceil(ALIKE / 200 * (sizes + len(word)) - _SLACK)
        # The bound of the docstring, for the least L with which two words of these lengths are alike.
        enough = counts >= 5 * least - 2 * (sizes + len(word)) + 2
        enough &= sizes >= SHORTEST
        words, sizes, least = words[enough], sizes[enough], least[enough]
        letters, bits = self._letters[words], np.uint64(_letters(word))
        # The counts come as uint8, from which a Python integer over 255 cannot be taken.
        near = np.bitwise_count(bits & ~letters) <= len(word) - least
        near &= np.bitwise_count(letters & ~bits) <= sizes - least
        candidates: list[int] = words[near].tolist()
        return candidates


def build(words: Sequence[str]) -> dict[str, NDArray[np.generic]]:
    """Returns the arrays of the index by their file, over sorted distinct words but without these."""
    import numpy as np

    numbers: dict[str, int] = {}
    pairs = np.fromiter(
        (
            numbers.setdefault(gram, len(numbers)) << 32 | place
            for place, word in enumerate(words)
            for gram in _grams(word)
        ),
        np.int64,
    )
    pairs.sort()
    counts = np.bincount(pairs >> 32, minlength=len(numbers))
    return {
        "grams.B": np.frombuffer("".join(numbers).encode("utf-8"), np.uint8),
        "grams.q": np.cumsum([0, *(len(gram.encode("utf-8")) for gram in numbers)]),
        "gram_starts.i": np.append(0, np.cumsum(counts)).astype(np.int32),
        "gram_words.i": (pairs & 0xFFFFFFFF).astype(np.int32),
        "word_sizes.i": np.fromiter(map(len, words), np.int32),
        "word_letters.Q": np.fromiter(map(_letters, words), np.uint64),
    }


def _grams(word: str) -> Iterator[str]:
    padded = f"  {word}  "
    return (padded[place : place + 3] for place in range(len(word) + 2))


def _letters(word: str) -> int:
    """Returns the letters of a word, one bit each; letters that share a bit only make the bound looser."""
    bits = 0
    for letter in word:
        bits |= 1 << ord(letter) % _BITS
    return bits
