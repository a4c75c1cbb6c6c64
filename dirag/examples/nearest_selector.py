"""Selects examples near to a text by the cosine of sentence vectors, also near ones unlike each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dirag.data import Document
from dirag.examples.leak_guard import LeakGuard, check
from dirag.examples.pool import Pool

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dirag.protocols import Embedder

#: Nearest neighbours from which a selector that re-ranks chooses, at least.
SHORTLIST = 64
#: The weight of likeness to the text in ``mmr``; unlikeness to the chosen examples has the rest of 1.
RELEVANCE = 0.7

_SPARE = 16  # neighbours fetched beyond k, to replace those that the leak guard takes out
_DIGITS = 5  # of a cosine: beyond them it depends on the batch that a text was embedded in


class NearestSelector:
    """The nearest neighbours by cosine of sentence vectors, exact (a flat FAISS index)."""

    def __init__(self, pool: Pool, embedder: Embedder) -> None:
        import faiss
        import numpy as np

        vectors = pool.embedded(embedder).vectors
        assert vectors is not None
        self.candidates = LeakGuard(pool.examples)
        self.embedder = embedder
        self._index = faiss.IndexFlatIP(embedder.dimension)
        self._index.add(np.ascontiguousarray(vectors[self.candidates.positions]))

    def select(self, texts: Sequence[str], *, k: int) -> list[list[Document]]:
        return [[example for example, _ in pairs] for pairs in self.search(texts, k=k)]

    def search(self, texts: Sequence[str], *, k: int) -> list[list[tuple[Document, float]]]:
        """Returns the selected examples with their cosines."""
        neighbours = self.neighbours(texts, self.embedder.embed(texts), k=k)
        return [[(self.candidates.examples[i], cosine) for i, cosine in near.items()] for near in neighbours]

    def neighbours(
        self, texts: Sequence[str], vectors: NDArray[np.float32], *, k: int
    ) -> list[dict[int, float]]:
        """Returns positions and cosines of the ``k`` nearest candidates of each text, best first."""
        check(k)
        neighbours: list[dict[int, float]] = [{} for _ in texts]
        short, fetched = list(range(len(texts))), k + _SPARE
        # A pool may hold more near copies of a text than neighbours were fetched to spare.
        while k and short and len(self.candidates):
            rows = self._index.search(vectors[short], min(fetched, len(self.candidates)))
            for i, scores, positions in zip(short, *rows, strict=True):
                cosines = _ranked(scores, positions)
                neighbours[i] = {at: cosines[at] for at in self.candidates.take(texts[i], cosines, k)}
            if fetched >= len(self.candidates):
                break
            short = [i for i in short if len(neighbours[i]) < k]
            fetched *= 8
        return neighbours

    def vectors(self, positions: Sequence[int]) -> NDArray[np.float32]:
        """Returns the vectors of these candidates, float32 of shape (positions, dimension)."""
        import numpy as np

        vectors: NDArray[np.float32] = self._index.reconstruct_batch(np.array(positions, np.int64))
        return vectors

    def cosines(self, vector: NDArray[np.float32], positions: Sequence[int]) -> dict[int, float]:
        """Returns the candidates at these positions with their cosines to a text's vector, best first."""
        import numpy as np

        at = np.array(positions, np.int64)
        return _ranked(self.vectors(positions) @ vector, at)


class MmrSelector:
    """Maximal marginal relevance (Carbonell and Goldstein 1998) among the nearest neighbours of a text."""

    def __init__(self, nearest: NearestSelector, *, relevance: float = RELEVANCE) -> None:
        self._nearest, self._relevance = nearest, relevance

    def select(self, texts: Sequence[str], *, k: int) -> list[list[Document]]:
        check(k)
        if not texts or not k:
            return [[] for _ in texts]
        vectors = self._nearest.embedder.embed(texts)
        neighbours = self._nearest.neighbours(texts, vectors, k=shortlisted(k))
        examples = self._nearest.candidates.examples
        return [[examples[position] for position in self._chosen(near, k)] for near in neighbours]

    def _chosen(self, near: dict[int, float], k: int) -> list[int]:
        """Chooses greedily the one with the best margin; of equal ones the nearest."""
        import numpy as np

        if not near:
            return []
        positions = list(near)
        vectors = self._nearest.vectors(positions)
        gain = self._relevance * np.array(list(near.values()))
        likest = np.full(len(positions), -1.0)
        chosen: list[int] = []
        while len(chosen) < min(k, len(positions)):
            margin = gain - (1 - self._relevance) * likest.round(_DIGITS) * bool(chosen)
            margin[chosen] = -np.inf
            chosen.append(int(margin.argmax()))
            likest = np.maximum(likest, vectors @ vectors[chosen[-1]])
        return [positions[i] for i in chosen]


def shortlisted(k: int) -> int:
    """Returns from how many neighbours ``k`` examples are chosen."""
    return max(SHORTLIST, 4 * k)


def _ranked(scores: NDArray[np.float32], positions: NDArray[np.int64]) -> dict[int, float]:
    """Returns positions and scores, best first, ties in pool order, without the -1 that FAISS pads with."""
    pairs = zip(scores.round(_DIGITS).tolist(), positions.tolist(), strict=True)
    ranked = sorted(pairs, key=lambda pair: (-pair[0], pair[1]))
    return {position: round(score, _DIGITS) for score, position in ranked if position >= 0}
