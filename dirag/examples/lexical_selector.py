"""Selects examples that share words with a text, weighed by BM25 or by TF-IDF."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from dirag.data import Document
from dirag.examples.leak_guard import LeakGuard, check

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WORD = re.compile(r"\w+")
_K1, _B = 1.5, 0.75

#: Word -> the positions of the texts that hold it, and a number for each: its count there, or its weight.
Postings: TypeAlias = "Mapping[str, tuple[NDArray[np.int64], NDArray[np.float64]]]"


class LexicalSelector:
    """Ranks by the summed weights of the words of the text (in one case), each as often as it stands there.

    ``weigh`` turns counts and the number of texts into weights: :func:`bm25` or :func:`tfidf`.
    """

    def __init__(self, examples: Sequence[Document], *, weigh: Callable[[Postings, int], Postings]) -> None:
        self._candidates = LeakGuard(examples)
        counts = _counts([_words(example.text) for example in self._candidates.examples])
        self._postings = weigh(counts, len(self._candidates))

    def select(self, texts: Sequence[str], *, k: int) -> list[list[Document]]:
        check(k)
        return [self._candidates.documents(text, _ranked(self.scores(text), k), k) for text in texts]

    def scores(self, text: str) -> NDArray[np.float64]:
        """Returns the score of each distinct example of the pool, in pool order."""
        import numpy as np

        scores = np.zeros(len(self._candidates))
        for word, times in Counter(_words(text)).items():
            if word in self._postings:
                positions, weights = self._postings[word]
                scores[positions] += times * weights
        return scores


def bm25(counts: Postings, texts: int) -> Postings:
    """Weighs as Okapi BM25 does, with k1 1.5 and b 0.75."""
    import numpy as np

    lengths = np.zeros(texts)
    for positions, tf in counts.values():
        lengths[positions] += tf
    damping = _K1 * (1 - _B + _B * lengths / max(lengths.mean(), 1)) if texts else lengths
    weights = {}
    for word, (positions, tf) in counts.items():
        idf = np.log(1 + (texts - len(positions) + 0.5) / (len(positions) + 0.5))
        weights[word] = positions, idf * tf * (_K1 + 1) / (tf + damping[positions])
    return weights


def tfidf(counts: Postings, texts: int) -> Postings:
    """Weighs by the cosine of TF-IDF vectors, up to a factor of the text.

    The idf is smooth, as if one more text held every word.
    """
    import numpy as np

    idf = {word: np.log((1 + texts) / (1 + len(positions))) + 1 for word, (positions, _) in counts.items()}
    squares = np.zeros(texts)
    for word, (positions, tf) in counts.items():
        squares[positions] += (tf * idf[word]) ** 2
    norms = np.sqrt(squares)
    # The text's own vector holds the idf once more.
    return {word: (at, tf * idf[word] ** 2 / norms[at]) for word, (at, tf) in counts.items()}


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _counts(texts: Sequence[list[str]]) -> Postings:
    import numpy as np

    counts: defaultdict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for position, words in enumerate(texts):
        for word, count in Counter(words).items():
            counts[word][0].append(position)
            counts[word][1].append(count)
    return {word: (np.array(at, np.int64), np.array(tf, np.float64)) for word, (at, tf) in counts.items()}


def _ranked(scores: NDArray[np.float64], k: int) -> Iterator[int]:
    """Yields all positions, best first, ties in pool order; the first ``k`` without sorting the rest."""
    import numpy as np

    least = np.partition(scores, -k)[-k] if 0 < k < len(scores) else -np.inf
    for part in (scores >= least, scores < least):
        positions = np.flatnonzero(part)
        yield from positions[np.argsort(-scores[positions], kind="stable")].tolist()
