"""The concepts below a concept: the closure of ``is_a`` over an open knowledge base.

In: ids, of the vocabulary or of one that it refers to. Out: concept numbers, the roots among them. Cycles
end where they began. An id that the base does not know is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dirag.knowledge.index import codes

if TYPE_CHECKING:
    from dirag.knowledge.store.store import Store


def descendants(store: Store, roots: Iterable[str]) -> frozenset[int]:
    """Returns the concepts of these ids and all below them."""
    waiting = [codes.get(store, root)[0] for root in roots]
    below = set(waiting)
    while waiting:
        for child in store.children(waiting.pop()):
            # Vocabularies have circles, and concepts with two parents: each is gone into once.
            if child not in below:
                below.add(child)
                waiting.append(child)
    return frozenset(below)
