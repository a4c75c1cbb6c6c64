"""Examples at random: what every other selector has to be better than."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence

from dirag.data import Document
from dirag.examples.leak_guard import LeakGuard


class RandomSelector:
    """A draw for each text, seeded by seed and text: neither order nor batch changes it."""

    def __init__(self, examples: Sequence[Document], *, seed: int = 0) -> None:
        self._candidates = LeakGuard(examples)
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
