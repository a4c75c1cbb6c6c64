"""What must hold between the arrays of a knowledge base, so that no number in them leads outside.

A folder that fails is damaged; one that passes can be read anywhere without reaching past an array's end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dirag.errors import KnowledgeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# The arrays come from a mapped file, and NumPy and memoryview take a negative number as a place from the end:
# without this check a damaged file would give wrong concepts in silence.
#: Places in another file: they begin with 0, never fall, and end with its length.
_PLACES = {
    "concepts.q": "concepts.B",
    "ids.q": "ids.B",
    "keys.q": "keys.B",
    "aliases.q": "aliases.B",
    "words.q": "words.B",
    "grams.q": "grams.B",
    "key_rows.i": "row_concepts.i",
    "parents_starts.i": "parents.i",
    "children_starts.i": "children.i",
    "gram_starts.i": "gram_words.i",
    "contents_starts.i": "contents.i",
    "holders_starts.i": "holders.i",
}
#: Of these places no two are the same: a key has a row, a name a word. reduceat() would take the next one's.
_RISING = ("key_rows.i", "contents_starts.i")
#: Numbers of things, which are counted by another file's length less one; some may be -1 for none.
_NUMBERS = {
    "row_concepts.i": "concepts.q",
    "concept_keys.i": "keys.q",
    "id_concepts.i": "concepts.q",
    "parents.i": "concepts.q",
    "children.i": "concepts.q",
    "gram_words.i": "words.q",
    "contents.i": "words.q",
    "holders.i": "keys.q",
    "fuzzy_keys.i": "keys.q",
}
_OPTIONAL_NUMBERS = {"trie_roots.i": "trie_ends.i", "trie_nodes.i": "trie_ends.i", "trie_ends.i": "keys.q"}
#: Files of the same length, or of one more or less.
_LENGTHS = (
    ("concept_types.i", "concepts.q", -1),
    ("concept_keys.i", "concepts.q", -1),
    ("id_concepts.i", "ids.q", -1),
    ("row_concepts.i", "aliases.q", -1),
    ("row_ranks.b", "aliases.q", -1),
    ("key_rows.i", "keys.q", 0),
    ("parents_starts.i", "concepts.q", 0),
    ("children_starts.i", "concepts.q", 0),
    ("trie_roots.i", "words.q", -1),
    ("trie_edges.q", "trie_ends.i", -1),
    ("trie_nodes.i", "trie_ends.i", -1),
    ("gram_starts.i", "grams.q", 0),
    ("word_sizes.i", "words.q", -1),
    ("word_letters.Q", "words.q", -1),
    ("fuzzy_keys.i", "keys.q", -1),
    ("fuzzy_lengths.d", "keys.q", -1),
    ("contents_starts.i", "keys.q", 0),
    ("holders_starts.i", "words.q", 0),
)


def check(array: Callable[[str], memoryview], *, types: int) -> None:
    """Raises KnowledgeError with the name of the first array that leads outside; ``types`` are numbered."""
    import numpy as np

    def numbers(file: str) -> NDArray[np.int64]:
        return np.asarray(array(file))

    for file, other, more in _LENGTHS:
        if len(array(file)) != len(array(other)) + more:
            raise _damaged(file)
    for file, other in _PLACES.items():
        places = numbers(file)
        if (
            not len(places)
            or places[0]
            or places[-1] != len(array(other))
            or (places[1:] < places[:-1]).any()
        ):
            raise _damaged(file)
    for file in _RISING:
        if (np.diff(numbers(file)) < 1).any():
            raise _damaged(file)
    for file, other in (_NUMBERS | _OPTIONAL_NUMBERS).items():
        # Files of places have one number more than there are things; those of nodes have one each.
        least, size = (-1, len(array(other))) if file in _OPTIONAL_NUMBERS else (0, len(array(other)) - 1)
        values = numbers(file)
        if len(values) and not (least <= values.min() and values.max() < size):
            raise _damaged(file)
    kinds, edges, lengths = numbers("concept_types.i"), numbers("trie_edges.q"), numbers("fuzzy_lengths.d")
    if len(kinds) and not 0 <= kinds.min() <= kinds.max() < types:
        raise _damaged("concept_types.i")
    # Both are searched by halves, which would end anywhere in an array without order.
    if (edges[1:] <= edges[:-1]).any():
        raise _damaged("trie_edges.q")
    if not (lengths[1:] >= lengths[:-1]).all() or not lengths.min() > 0:
        raise _damaged("fuzzy_lengths.d")


def _damaged(file: str) -> KnowledgeError:
    return KnowledgeError(
        f"{file} of the knowledge base is damaged", hint="build it anew from its vocabularies"
    )
