"""Names in a trie of words: a whole name to its key, and every name that stands in a text, in one pass.

The trie is three flat arrays (edges sorted by parent node and word, the child of each, the key that ends
at each node) that are mapped from disk and searched where they lie, so opening costs nothing.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WORD_BITS = 32


@dataclass(frozen=True, slots=True)
class Trie:
    """``words``: word to its number; ``roots``: number to the node of a key's first word, or -1; ``ends``:
    node to the key that ends there, or -1.
    """

    words: Mapping[str, int]
    roots: Sequence[int]
    edges: Sequence[int]
    children: Sequence[int]
    ends: Sequence[int]

    def find(self, key: tuple[str, ...]) -> int:
        """Returns the number of a key, or -1."""
        places = self.matches(key)
        return next((number for first, end, number in places if not first and end == len(key)), -1)

    def matches(self, key: Sequence[str]) -> Iterator[tuple[int, int, int]]:
        """Yields the keys that stand in a sequence of words: first word, word after the last, key."""
        # Every word of every text comes through this loop, so attributes are looked up before it.
        edges, children, ends, roots = self.edges, self.children, self.ends, self.roots
        size = len(edges)
        numbers = [self.words.get(word, -1) for word in key]
        for first, number in enumerate(numbers):
            node = roots[number] if number >= 0 else -1
            after = first
            while node >= 0:
                after += 1
                if (ending := ends[node]) >= 0:
                    yield first, after, ending
                if after == len(numbers) or (number := numbers[after]) < 0:
                    break
                # Node and word in one integer: one search by halves in place of one for each.
                edge = node << _WORD_BITS | number
                place = bisect_left(edges, edge)
                node = children[place] if place < size and edges[place] == edge else -1


def build(starts: Sequence[int], words: Sequence[int], *, vocabulary: int) -> dict[str, NDArray[np.generic]]:
    """Returns the arrays of the trie by their file, over sorted distinct keys.

    The words of key n are the numbers in ``words[starts[n] : starts[n + 1]]``.
    """
    import numpy as np

    edges, ends = array("q"), array("i", [-1])
    path: list[int] = [0]  # the nodes from the root to the last word
    previous: Sequence[int] = ()
    for place in range(len(starts) - 1):
        key = words[starts[place] : starts[place + 1]]
        # Keys are sorted, so all that begin alike follow each other: only the end of the path changes.
        shared = 0
        for one, other in zip(key, previous, strict=False):
            if one != other:
                break
            shared += 1
        del path[shared + 1 :]
        for number in key[shared:]:
            edges.append(path[-1] << _WORD_BITS | number)
            path.append(len(ends))
            ends.append(-1)
        ends[path[-1]] = place
        previous = key
    unsorted = np.asarray(edges)
    order = unsorted.argsort()
    roots = np.full(vocabulary, -1, np.int32)
    # The first word of a key is looked up without a search: most words of a text begin no name.
    first = np.flatnonzero(unsorted >> _WORD_BITS == 0)
    roots[unsorted[first]] = first + 1  # edge n leads to node n + 1, the root has the number 0
    return {
        "trie_roots.i": roots,
        "trie_edges.q": unsorted[order],
        "trie_nodes.i": (order + 1).astype(np.int32),
        "trie_ends.i": np.asarray(ends),
    }
