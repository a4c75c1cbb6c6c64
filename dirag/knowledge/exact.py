"""Names in a trie of words: a whole name to its key, and every name that stands in a text, in one pass.

The trie is three flat arrays (edges sorted by parent node and word, the child of each, the key that ends
at each node) that are mapped from disk and searched where they lie, so opening costs nothing.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

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
        """The number of a key, or -1."""
        places = self.matches(key)
        return next((found for first, end, found in places if not first and end == len(key)), -1)

    def matches(self, key: Sequence[str]) -> Iterator[tuple[int, int, int]]:
        """Where a key stands in a sequence of words: first word, word after the last, key."""
        edges, children, ends, roots = self.edges, self.children, self.ends, self.roots
        size = len(edges)
        numbers = [self.words.get(word, -1) for word in key]
        for first, number in enumerate(numbers):
            node = roots[number] if number >= 0 else -1
            after = first
            while node >= 0:
                after += 1
                if (found := ends[node]) >= 0:
                    yield first, after, found
                if after == len(numbers) or (number := numbers[after]) < 0:
                    break
                edge = node << _WORD_BITS | number
                place = bisect_left(edges, edge)
                node = children[place] if place < size and edges[place] == edge else -1


def build(keys: Sequence[tuple[str, ...]]) -> tuple[list[str], dict[str, array[int]]]:
    """Words in the order of their numbers, and the arrays of the trie, over sorted distinct keys."""
    words = sorted({word for key in keys for word in key})
    number = {word: place for place, word in enumerate(words)}
    edges, children, ends = array("q"), array("i"), array("i", [-1])
    path: list[int] = [0]
    previous: tuple[str, ...] = ()
    for place, key in enumerate(keys):
        shared = next(
            (depth for depth, (a, b) in enumerate(zip(key, previous, strict=False)) if a != b),
            min(len(key), len(previous)),
        )
        del path[shared + 1 :]
        for word in key[shared:]:
            edges.append(path[-1] << _WORD_BITS | number[word])
            children.append(len(ends))
            path.append(len(ends))
            ends.append(-1)
        ends[path[-1]] = place
        previous = key
    order = sorted(range(len(edges)), key=edges.__getitem__)
    arrays = {
        "roots": array("i", [-1]) * len(words),
        "edges": array("q", (edges[place] for place in order)),
        "children": array("i", (children[place] for place in order)),
        "ends": ends,
    }
    for edge, child in zip(edges, children, strict=True):
        if edge >> _WORD_BITS == 0:
            arrays["roots"][edge] = child
    return words, arrays
