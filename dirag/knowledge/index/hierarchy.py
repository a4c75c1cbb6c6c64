"""The concepts below a concept: the closure of ``is_a`` over an open knowledge base.

In: ids as the vocabulary, or one that it refers to, writes them. Out: concept numbers, the roots among
them. Cycles end where they began. An id that the base does not know is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dirag.errors import KnowledgeError

if TYPE_CHECKING:
    from dirag.knowledge.store.store import Store


def descendants(store: Store, roots: Iterable[str]) -> frozenset[int]:
    """Returns the concepts of these ids and all below them."""
    waiting = [_number(store, root) for root in roots]
    below = set(waiting)
    while waiting:
        for child in store.children(waiting.pop()):
            # Vocabularies have circles, and concepts with two parents: each is gone into once.
            if child not in below:
                below.add(child)
                waiting.append(child)
    return frozenset(below)


def _number(store: Store, identifier: str) -> int:
    """Returns the concept of an id, which may have a prefix that its vocabulary leaves out."""
    for form in (identifier, identifier.rpartition(":")[2]):
        number = store.number_of(form)
        if number is not None:
            return number
    raise KnowledgeError(
        f"{store.folder} has no concept {identifier!r}",
        hint="write ids as `dirag kb search` shows them",
    )
