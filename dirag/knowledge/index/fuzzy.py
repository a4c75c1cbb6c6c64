"""Names that nearly match a mention: misspelt words, words too many or too few, words in another order.

The score (``Fuzzy.search`` says how) is made of rapidfuzz's: of the words' likenesses, weighted by how rare
each word is, and of ``token_set_ratio``. Only few names are looked at, and yet the answers are those of a
look at all of them: the bounds proved in ``Fuzzy._near`` leave out only what cannot reach the threshold.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from math import log1p, sqrt
from typing import TYPE_CHECKING

from dirag.knowledge.index.lists import Lists, group
from dirag.knowledge.index.word_index import Strings, WordIndex

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int32]

#: The share of the words in a score; the rest is ``token_set_ratio``.
SHARE = 0.8
#: No score is higher: 1 is kept for exact matches.
BEST = 0.99

_LEVELS = (0.75, 0.6)  # thresholds tried first: the higher, the fewer names are looked at
_SLACK = 1e-9  # for rounding, on the safe side
_CACHED = 1 << 14  # words


class Fuzzy:
    """The index of an open knowledge base, over arrays that lie in it.

    Inside, names are numbered by the length of their vectors: ``_lengths`` is sorted, and ``_keys`` tells
    the key. ``_holders`` are the names that hold a word, ``_contents`` the distinct words of a name.
    """

    def __init__(self, array: Callable[[str], memoryview]) -> None:
        import numpy as np

        self._words, self._names = WordIndex(array), Strings(array, "keys")
        self._keys, self._lengths = np.asarray(array("fuzzy_keys.i")), np.asarray(array("fuzzy_lengths.d"))
        self._holders = Lists(*(np.asarray(array(f"holders{part}.i")) for part in ("_starts", "")))
        self._contents = Lists(*(np.asarray(array(f"contents{part}.i")) for part in ("_starts", "")))
        self._counts = np.diff(self._holders.starts)
        self._weights = np.log1p(len(self._keys) / np.maximum(self._counts, 1))
        # Words repeat in a corpus, and looking up those like them takes 0.2 of the 0.5 ms of a search.
        self._expand = lru_cache(_CACHED)(self._alike)

    def search(
        self, mention: str, *, threshold: float, limit: int, allowed: NDArray[np.bool_] | None = None
    ) -> list[tuple[int, float]]:
        """Returns keys that score at least ``threshold`` for a normalised mention, best first, then by key.

        With ``allowed``, a flag for each key, only keys whose flag is set.

        The score is 0.8 times the cosine of mention and name, and 0.2 times their ``token_set_ratio``. A
        name's vector has log(1 + names / names with the word) for each of its words. The mention's vector
        has, for every word that is like one of its own, the latter's weight times the likeness squared; its
        length is that of the weights. A word that the knowledge base lacks weighs as much as the one most
        like it, or else as if one name had it. A name without a word like one of the mention's is no answer.
        """
        best: list[tuple[int, float]] = []
        for least in (*(level for level in _LEVELS if level > threshold), threshold):
            # A score is at most SHARE * cosine + 1 - SHARE, so a lower cosine cannot reach the threshold.
            names, cosines = self._near(mention, (least - (1 - SHARE)) / SHARE, allowed)
            best = self._best(mention, names, cosines, least, limit)
            if len(best) == limit:  # what was left out scores less than each of these
                break
        return best

    def _alike(self, word: str) -> tuple[float, list[tuple[int, float]]]:
        """Returns a word's weight, and its part of the mention's vector."""
        alike = self._words.alike(word)
        if not alike:
            return log1p(len(self._keys)), []
        nearest = max(alike, key=lambda pair: pair[1])[0]
        weight = float(self._weights[nearest])
        return weight, [(number, weight * ratio * ratio) for number, ratio in alike]

    def _near(self, mention: str, cosine: float, allowed: NDArray[np.bool_] | None) -> tuple[Ints, Floats]:
        """Returns the allowed names whose cosine is at least this and over 0, with their cosines.

        Let q be the mention's vector, |q| the length that goes with it, x a name's vector, t the cosine.
        1. Words may be left aside as long as the length of q over them is under t |q|: a name with no other
           word has a cosine under t, by Cauchy and Schwarz. The commonest words are left aside.
        2. q x is at most the sum of q_w x_w over all words w, so |x| is at most that sum / (t |q|).
        3. q x is at most |x|^2 times the largest q_w / x_w, so |x| is at least t |q| / that quotient.
        """
        import numpy as np

        values, length = self._vector(mention)
        least = max(cosine - _SLACK, 0.0) * length
        words = np.fromiter(values, np.int32, len(values))
        vector, weights = np.fromiter(values.values(), np.float64, len(values)), self._weights[words]
        first, last = 0, len(self._keys)
        if least and values:
            first = int(self._lengths.searchsorted(least / (vector / weights).max() - _SLACK))
            last = int(self._lengths.searchsorted(vector.dot(weights) / least + _SLACK, "right"))
        names = self._holding(self._needed(values, least), first, last)
        # Before the products, which take most of the time.
        if allowed is not None:
            names = names[allowed[self._keys[names]]]
        cosines = self._products(names, words, vector * weights) / (self._lengths[names] * (length or 1.0))
        near = np.flatnonzero(cosines >= cosine - _SLACK)
        return names[near], np.minimum(cosines[near], 1.0)

    def _vector(self, mention: str) -> tuple[dict[int, float], float]:
        """Returns the mention's vector, by the numbers of words, and the length that goes with it."""
        values: dict[int, float] = {}
        squares = 0.0
        for word in dict.fromkeys(mention.split(" ")):
            weight, alike = self._expand(word)
            squares += weight * weight
            for number, value in alike:
                # Not the sum: two words of the mention that are like one of a name are no better than one.
                if value > values.get(number, 0.0):
                    values[number] = value
        return values, sqrt(squares)

    def _needed(self, values: Mapping[int, float], least: float) -> list[int]:
        """Returns the words that remain when the commonest are left aside, see ``_near``."""
        spare, needed = least * least, []
        counts = self._counts
        for word in sorted(values, key=lambda word: -int(counts[word])):
            square = values[word] ** 2
            if square < spare:
                spare -= square
            else:
                needed.append(word)
        return needed

    def _holding(self, words: Iterable[int], first: int, last: int) -> Ints:
        """Returns the names from first to last that hold one of the words, ascending."""
        import numpy as np

        starts, values = self._holders.starts, self._holders.values
        lists = []
        for word in words:
            # Names are numbered by length, so those of a length stand together in every list of holders.
            holders = values[starts[word] : starts[word + 1]]
            low, high = holders.searchsorted((first, last))
            lists.append(holders[low:high])
        if not lists:
            return np.empty(0, np.int32)
        if len(lists) == 1:
            return lists[0]
        # By hand, since np.unique() takes eight times as long (250 against 31 microseconds for 4,000 names).
        names = np.concatenate(lists)
        names.sort()
        return names[np.append(True, names[1:] != names[:-1])] if len(names) else names

    def _products(self, names: Ints, words: Ints, values: Floats) -> Floats:
        """Returns the product of each name's vector and the mention's."""
        import numpy as np

        table = np.zeros(len(self._weights))
        table[words] = values
        starts, contents = self._contents.starts, self._contents.values
        begins = starts[names]
        sizes = starts[names + 1] - begins
        ends = sizes.cumsum()
        # The places of all words of all names in one array, without a loop in Python over the names.
        places = (begins - (ends - sizes)).repeat(sizes) + np.arange(ends[-1] if len(ends) else 0)
        return np.add.reduceat(table[contents[places]], ends - sizes) if len(names) else table[:0]

    def _best(
        self, mention: str, names: Ints, cosines: Floats, threshold: float, limit: int
    ) -> list[tuple[int, float]]:
        """Returns the best of some names; stops where the cosine alone keeps the rest below the best."""
        from rapidfuzz import fuzz

        keys = self._keys[names]
        order = (-cosines).argsort()
        best: list[tuple[float, int]] = []  # negative scores, so that insort() keeps the best first
        for key, cosine in zip(keys[order].tolist(), cosines[order].tolist(), strict=True):
            if (
                len(best) >= limit > 0
                and min(SHARE * cosine + 1 - SHARE, BEST) + _SLACK < -best[limit - 1][0]
            ):
                break
            ratio = fuzz.token_set_ratio(mention, self._names[key]) / 100
            # Rounded, so that names tie whose products were summed in another order, and go by number then.
            score = round(min(SHARE * cosine + (1 - SHARE) * ratio, BEST), 9)
            if score >= threshold:
                insort(best, (-score, key))
        return [(key, -score) for score, key in best[:limit]]


def build(starts: Ints, words: Ints, *, vocabulary: int) -> dict[str, NDArray[np.generic]]:
    """Returns the arrays of the index by their file; the words of key n begin at ``words[starts[n]]``."""
    import numpy as np

    names = len(starts) - 1
    # Key and word in one integer: lexsort() over the two takes 36 times as long (0.064 s for 300,000).
    pairs = np.repeat(np.arange(names, dtype=np.int64), np.diff(starts)) << 32 | words
    pairs.sort()
    pairs = pairs[np.append(True, pairs[1:] != pairs[:-1])]
    members = (pairs & 0xFFFFFFFF).astype(np.int32)
    counts = np.bincount(members, minlength=vocabulary)
    squares = np.log1p(names / np.maximum(counts, 1)) ** 2
    owners = (pairs >> 32).astype(np.int32)
    lengths = np.sqrt(np.bincount(owners, squares[members], minlength=names))
    order = lengths.argsort(kind="stable").astype(np.int32)
    place = np.empty(names, np.int64)
    place[order] = np.arange(names)
    owners = place[owners].astype(np.int32)
    contents = group(owners, members, names)
    holders = group(members, owners, vocabulary)
    return {
        "fuzzy_keys.i": order,
        "fuzzy_lengths.d": lengths[order],
        "contents_starts.i": contents.starts,
        "contents.i": contents.values,
        "holders_starts.i": holders.starts,
        "holders.i": holders.values,
    }
