"""The fuzzy score of a mention against every name, computed as it is defined and without any index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain

import numpy as np
from rapidfuzz import fuzz, process

ALIKE, SHORTEST = 0.8, 4


class BruteForce:
    """All keys of a knowledge base, as words parted by blanks."""

    def __init__(self, keys: Sequence[str]) -> None:
        held = [sorted(set(key.split(" "))) for key in keys]
        counts = Counter(chain.from_iterable(held))
        self._keys, self._words = keys, sorted(counts)
        number = {word: place for place, word in enumerate(self._words)}
        self._sizes = np.array([len(word) for word in self._words])
        self._flat = np.fromiter((number[word] for words in held for word in words), np.int32)
        self._starts = np.append(0, np.cumsum([len(words) for words in held]))[:-1]
        self._weights = np.log1p(len(keys) / np.array([counts[word] for word in self._words]))
        self._lengths = np.sqrt(np.add.reduceat(self._weights[self._flat] ** 2, self._starts))

    def search(self, mention: str, *, threshold: float, limit: int) -> list[tuple[int, float]]:
        vector, squares = np.zeros(len(self._words)), 0.0
        for word in dict.fromkeys(mention.split(" ")):
            ratios = process.cdist([word], self._words, scorer=fuzz.ratio, dtype=np.float64)[0] / 100
            alike = (ratios >= ALIKE) & (self._sizes >= SHORTEST) & (len(word) >= SHORTEST)
            ratios[~alike & (np.array(self._words) != word)] = 0.0
            nearest = int(ratios.argmax())
            weight = float(self._weights[nearest]) if ratios[nearest] else float(np.log1p(len(self._keys)))
            squares += weight**2
            vector = np.maximum(vector, weight * ratios**2)
        products = np.add.reduceat((vector * self._weights)[self._flat], self._starts)
        cosines = np.minimum(products / self._lengths / np.sqrt(squares), 1.0)
        found = []
        for key in np.flatnonzero((cosines > 0) & (0.8 * cosines + 0.2 >= threshold - 1e-6)).tolist():
            ratio = fuzz.token_set_ratio(mention, self._keys[key])
            score = round(min(0.8 * float(cosines[key]) + 0.002 * ratio, 0.99), 9)
            if score >= threshold:
                found.append((key, score))
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:limit]
