"""Selects examples at random: the baseline of every other selector."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence

from dirag.data import Document
from dirag.examples.leak_guard import LeakGuard


class RandomSelector:
    """Draws for each text by seed and text, so that neither order nor batch changes a draw."""

    def __init__(self, examples: Sequence[Document], *, seed: int = 0) -> None:
        self._candidates = LeakGuard(examples)
        self._seed = seed

    def select(self, texts: Sequence[str], *, k: int) -> list[list[Document]]:
        return [self._candidates.documents(text, self._drawn(text), k) for text in texts]

    def _drawn(self, text: str) -> Iterator[int]:
        """Yields all positions in random order, one by one (Fisher-Yates on a list never written out)."""
        key = hashlib.sha256(f"{self._seed}\0{text}".encode("utf-8", "surrogatepass")).digest()
        generator = random.Random(key)
        moved: dict[int, int] = {}
        for size in range(len(self._candidates), 0, -1):
            place = generator.randrange(size)
            yield moved.get(place, place)
            moved[place] = moved.get(size - 1, size - 1)
