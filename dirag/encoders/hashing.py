"""A lexical encoder without a model: counts of character n-grams, hashed into a vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class HashEmbedder:
    """An encoder of spelling: texts are alike that share n-grams of 3 to 5 characters, word ends included.

    Texts are compared in lower case and with single spaces; counts are damped by a square root.
    """

    def __init__(self, *, dimension: int = 1024) -> None:
        self.dimension = dimension
        self.name = f"hash@ngrams-{dimension}"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns unit vectors in the order of the texts."""
        import numpy as np

        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            vector += np.sqrt(np.bincount(self._buckets(text), minlength=self.dimension))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def _buckets(self, text: str) -> NDArray[np.int64]:
        """Returns the bucket of each n-gram; the spaces around the text give every text at least one."""
        import numpy as np

        padded = f"  {' '.join(text.lower().split())}  "
        codes = np.frombuffer(padded.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint64)
        buckets = []
        for size in (3, 4, 5):
            grams = len(codes) - size + 1
            # Not hash(), which is salted in each process: vectors on disk must mean the same in the next one.
            # Products of uint64 overflow on purpose, and do so alike on every machine.
            rolled = np.full(max(grams, 0), size, np.uint64)
            for offset in range(size if grams > 0 else 0):
                rolled = rolled * np.uint64(0x9E3779B97F4A7C15) + codes[offset : offset + grams]
            rolled ^= rolled >> np.uint64(32)
            rolled *= np.uint64(0xD6E8FEB86659FD93)
            # The high bits: the low ones of a product depend on the low ones of its factors only.
            buckets.append((rolled >> np.uint64(32)) % np.uint64(self.dimension))
        return np.concatenate(buckets).astype(np.int64)
