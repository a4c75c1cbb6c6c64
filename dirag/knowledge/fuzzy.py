"""Names that nearly match a mention: character trigrams find candidates, edit distance ranks them.

Trigrams are weighted by rarity (TF-IDF cosine, as scispaCy's candidate generator does), with the postings
in flat arrays that are mapped from disk. The score is the cosine with a share of rapidfuzz's token set
ratio, which settles ties by spelling (measured on NCBI-disease train and development mentions).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CANDIDATES = 64
# file of a knowledge base -> the array in it; the suffix is its type
_FILES = {
    "grams_alphabet.i": "alphabet",
    "grams_codes.q": "codes",
    "grams_starts.q": "starts",
    "grams_keys.i": "keys",
    "grams_lengths.f": "lengths",
}


@dataclass(frozen=True, slots=True)
class Trigrams:
    """The inverted index: sorted trigram codes, where the keys of each lie, the keys, their vector lengths.

    ``alphabet`` holds the sorted code points that occur; a trigram's code is a number in that base.
    """

    alphabet: NDArray[np.int32]
    codes: NDArray[np.int64]
    starts: NDArray[np.int64]
    keys: NDArray[np.int32]
    lengths: NDArray[np.float32]

    def save(self, folder: Path) -> None:
        """Write each array as raw numbers into a file."""
        for file, name in _FILES.items():
            (folder / file).write_bytes(getattr(self, name).tobytes())

    def candidates(
        self, text: str, *, limit: int = _CANDIDATES
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The keys most like a normalised mention, best first, with their cosine."""
        import numpy as np

        codes = np.unique(_codes(_points(text), self.alphabet))
        places = np.searchsorted(self.codes, codes)
        places = places[self.codes[np.minimum(places, len(self.codes) - 1)] == codes]
        total = len(self.lengths)
        weights = np.log1p(total / (self.starts[places + 1] - self.starts[places]))
        scores = np.zeros(total, np.float32)
        for place, weight in zip(places.tolist(), weights.tolist(), strict=True):
            scores[self.keys[self.starts[place] : self.starts[place + 1]]] += weight * weight
        scores /= self.lengths
        unseen = (len(codes) - len(places)) * np.log1p(total) ** 2
        best = np.argpartition(-scores, limit)[:limit] if limit < total else np.arange(total)
        best = best[np.lexsort((best, -scores[best]))]
        best = best[scores[best] > 0]
        return best, scores[best] / np.float32(np.sqrt((weights**2).sum() + unseen))


def open_trigrams(array: Callable[[str], memoryview]) -> Trigrams:
    """The index over arrays that lie in a knowledge base, given its function from file to array."""
    import numpy as np

    return Trigrams(*(np.asarray(array(file)) for file in _FILES))


def similarity(mention: str, key: str, cosine: float) -> float:
    """The score of a candidate, under 1, which is kept for exact matches."""
    from rapidfuzz import fuzz

    return min(0.8 * cosine + 0.002 * float(fuzz.token_set_ratio(mention, key)), 0.99)


def build(keys: Sequence[str]) -> Trigrams:
    """The index over normalised names."""
    import numpy as np

    points = _points("\n".join(keys))
    alphabet = np.unique(points).astype(np.int32)
    owner = np.cumsum(points == ord("\n"))[:-2][_within(points)]
    pairs = _codes(points, alphabet) * len(keys) + owner
    pairs.sort()  # np.unique would hash, which is ten times slower here
    pairs = pairs[_changes(pairs)]
    codes, owner = pairs // len(keys), pairs % len(keys)
    starts = np.flatnonzero(_changes(codes))
    counts = np.diff(starts, append=len(codes))
    weights = np.repeat(np.log1p(len(keys) / counts), counts)
    lengths = np.sqrt(np.bincount(owner, weights**2, minlength=len(keys)))
    return Trigrams(
        alphabet,
        codes[starts],
        np.append(starts, len(codes)).astype(np.int64),
        owner.astype(np.int32),
        lengths.astype(np.float32),
    )


def _changes(values: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where a sorted array starts a new value."""
    import numpy as np

    return np.append(True, values[1:] != values[:-1]) if len(values) else np.empty(0, np.bool_)


def _points(text: str) -> NDArray[np.int64]:
    """Code points, with a blank around every line so that a name's ends count."""
    import numpy as np

    padded = f" {text} ".replace("\n", " \n ")
    return np.frombuffer(padded.encode("utf-32-le", "surrogatepass"), np.int32).astype(np.int64)


def _within(points: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which windows of three lie inside one line."""
    inside: NDArray[np.bool_] = points != ord("\n")
    return inside[:-2] & inside[1:-1] & inside[2:]


def _codes(points: NDArray[np.int64], alphabet: NDArray[np.int32]) -> NDArray[np.int64]:
    """One number a trigram; those with a character outside the alphabet get numbers of no name."""
    import numpy as np

    base = len(alphabet) + 1
    digits = np.searchsorted(alphabet, points)
    known = alphabet[np.minimum(digits, len(alphabet) - 1)] == points
    digits = np.where(known, digits, len(alphabet))
    codes: NDArray[np.int64] = (digits[:-2] * base + digits[1:-1]) * base + digits[2:]
    return codes[_within(points)]
