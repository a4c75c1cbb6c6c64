"""Selectors of in-context examples: texts in, for each the examples of a pool that serve it best.

``random`` draws, ``bm25`` ranks by shared words, ``knn`` by cosine of sentence vectors (KATE). All leave out
the text itself and near copies of it, and take equal examples of a pool once.
"""

from __future__ import annotations

import hashlib
import random
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from dirag.config import SELECTORS as SELECTORS
from dirag.data import Document
from dirag.errors import UsageError, unknown
from dirag.pool import Pool

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dirag.protocols import Embedder, ExampleSelector

#: Texts this alike (rapidfuzz ratio of their letters and digits) are near copies of each other.
NEAR_COPY = 90.0
#: A text that stands whole in another is a near copy if it has as many letters and digits as this.
CONTAINED = 40

_WORD = re.compile(r"\w+")
_K1, _B = 1.5, 0.75
_SPARE = 16  # neighbours fetched beyond k, in place of those that the leak guard takes out


def make(name: str, pool: Pool, *, embedder: Embedder | None = None, seed: int = 0) -> ExampleSelector:
    """The selector of this name over a pool; ``knn`` needs an embedder."""
    if name == "random":
        return RandomSelector(pool.examples, seed=seed)
    if name == "bm25":
        return Bm25Selector(pool.examples)
    if name == "knn" and embedder is not None:
        return NearestSelector(pool, embedder)
    if name == "knn":
        raise UsageError("the selector knn needs a sentence encoder", hint="give one with --encoder")
    raise unknown("selector", name, SELECTORS)


class RandomSelector:
    """A draw for each text, seeded by seed and text: neither order nor batch changes it."""

    def __init__(self, examples: Sequence[Document], *, seed: int = 0) -> None:
        self._candidates = _Candidates(examples)
        self._seed = seed

    def select(self, texts: Sequence[str], *, k: int) -> list[list[Document]]:
        return [self._candidates.documents(text, self._drawn(text), k) for text in texts]

    def _drawn(self, text: str) -> Iterator[int]:
        """All positions in random order, drawn one by one (Fisher-Yates on a list never written out)."""
        key = hashlib.sha256(f"{self._seed}\0{text}".encode("utf-8", "surrogatepass")).digest()
        generator = random.Random(key)
        moved: dict[int, int] = {}
        for left in range(len(self._candidates), 0, -1):
            drawn = generator.randrange(left)
            yield moved.get(drawn, drawn)
            moved[drawn] = moved.get(left - 1, left - 1)


class Bm25Selector:
    """BM25 (k1 1.5, b 0.75) over words in one case; a word of the text counts as often as it stands there."""

    def __init__(self, examples: Sequence[Document]) -> None:
        self._candidates = _Candidates(examples)
        self._postings = _postings([_words(example.text) for example in self._candidates.examples])

    def select(self, texts: Sequence[str], *, k: int) -> list[list[Document]]:
        import numpy as np

        chosen = []
        for text in texts:
            ranked = np.argsort(-self.scores(text), kind="stable")
            chosen.append(self._candidates.documents(text, map(int, ranked), k))
        return chosen

    def scores(self, text: str) -> NDArray[np.float64]:
        """The score of each distinct example of the pool, in pool order."""
        import numpy as np

        scores = np.zeros(len(self._candidates))
        for word in _words(text):
            if word in self._postings:
                positions, weights = self._postings[word]
                scores[positions] += weights
        return scores


class NearestSelector:
    """The nearest neighbours by cosine of sentence vectors, exact (a flat FAISS index)."""

    def __init__(self, pool: Pool, embedder: Embedder) -> None:
        import faiss
        import numpy as np

        vectors = pool.embedded(embedder).vectors
        assert vectors is not None
        self._candidates = _Candidates(pool.examples)
        self._embedder = embedder
        self._index = faiss.IndexFlatIP(embedder.dimension)
        self._index.add(np.ascontiguousarray(vectors[self._candidates.positions]))

    def select(self, texts: Sequence[str], *, k: int) -> list[list[Document]]:
        return [[example for example, _ in found] for found in self.search(texts, k=k)]

    def search(self, texts: Sequence[str], *, k: int) -> list[list[tuple[Document, float]]]:
        """The same examples with their cosines."""
        _check(k)
        if not texts or not k or not len(self._candidates):
            return [[] for _ in texts]
        vectors = self._embedder.embed(texts)
        chosen = self._nearest(texts, vectors, k, fetched=k + _SPARE)
        # A pool may hold more near copies of a text than were fetched to spare.
        short = [i for i, examples in enumerate(chosen) if len(examples) < k]
        if short and len(self._candidates) > k + _SPARE:
            again = self._nearest([texts[i] for i in short], vectors[short], k, fetched=len(self._candidates))
            for i, examples in zip(short, again, strict=True):
                chosen[i] = examples
        return chosen

    def _nearest(
        self, texts: Sequence[str], vectors: NDArray[np.float32], k: int, *, fetched: int
    ) -> list[list[tuple[Document, float]]]:
        scores, positions = self._index.search(vectors, min(fetched, len(self._candidates)))
        nearest = []
        for text, row, found in zip(texts, scores, positions, strict=True):
            cosines = _ranked(row, found)
            taken = self._candidates.take(text, cosines, k)
            nearest.append([(self._candidates.examples[i], cosines[i]) for i in taken])
        return nearest


def near_copy(one: str, other: str) -> bool:
    """Whether two texts are, but for a few characters, the same, or one stands whole in the other."""
    return _alike(comparison_form(one), comparison_form(other))


class _Candidates:
    """The distinct examples of a pool, with their letters and digits for the leak guard.

    ``positions`` are those of the examples in the pool; of equal ones the first stays.
    """

    def __init__(self, examples: Sequence[Document]) -> None:
        first: dict[str, int] = {}
        for position, example in enumerate(examples):
            first.setdefault(comparison_form(example.text), position)
        self.positions = list(first.values())
        self.examples = [examples[position] for position in self.positions]
        self._forms = list(first)

    def __len__(self) -> int:
        return len(self.examples)

    def documents(self, text: str, ranked: Iterable[int], k: int) -> list[Document]:
        return [self.examples[position] for position in self.take(text, ranked, k)]

    def take(self, text: str, ranked: Iterable[int], k: int) -> list[int]:
        """The first ``k`` of the ranked candidates that are no near copies of the text."""
        _check(k)
        form = comparison_form(text)
        taken: list[int] = []
        candidates = iter(ranked)
        while len(taken) < k and (position := next(candidates, None)) is not None:
            if not _alike(form, self._forms[position]):
                taken.append(position)
        return taken


def _check(k: int) -> None:
    if k < 0:
        raise UsageError(f"cannot select {k} examples", hint="give 0 or more")


def comparison_form(text: str) -> str:
    """Letters and digits in one case: tokenisation and punctuation do not make two texts different."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(_WORD.findall(folded)) or folded.strip()


def _alike(one: str, other: str) -> bool:
    from rapidfuzz import fuzz

    if one == other:
        return True
    shorter, longer = sorted((one, other), key=len)
    if len(shorter) >= CONTAINED and shorter in longer:
        return True
    return bool(fuzz.ratio(one, other, score_cutoff=NEAR_COPY) >= NEAR_COPY)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _postings(texts: Sequence[list[str]]) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Word -> the positions of the texts that hold it and its BM25 weight in each."""
    import numpy as np

    lengths = np.array([len(words) for words in texts], np.float64)
    damping = _K1 * (1 - _B + _B * lengths / max(lengths.mean(), 1)) if len(texts) else lengths
    found: defaultdict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for position, words in enumerate(texts):
        for word, count in Counter(words).items():
            found[word][0].append(position)
            found[word][1].append(count)
    postings = {}
    for word, (held_by, counts) in found.items():
        positions, tf = np.array(held_by, np.int64), np.array(counts, np.float64)
        idf = np.log(1 + (len(texts) - len(positions) + 0.5) / (len(positions) + 0.5))
        postings[word] = (positions, idf * tf * (_K1 + 1) / (tf + damping[positions]))
    return postings


def _ranked(scores: NDArray[np.float32], positions: NDArray[np.int64]) -> dict[int, float]:
    """Positions with their scores, best first, ties in pool order; FAISS pads with -1 where it has too few.

    Scores are compared to five places: beyond them they depend on the batch that a text was embedded in.
    """
    pairs = zip(scores.round(5).tolist(), positions.tolist(), strict=True)
    ranked = sorted(pairs, key=lambda pair: (-pair[0], pair[1]))
    return {position: round(score, 5) for score, position in ranked if position >= 0}
