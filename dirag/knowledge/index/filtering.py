"""A part of a knowledge base: the concepts of some types or vocabularies, or below some concepts.

In: a store and a filter. Out: the names under a key that are in that part.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dirag.knowledge.index import hierarchy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dirag.knowledge.store.store import Store


@dataclass(frozen=True, slots=True)
class Filter:
    """What an index is restricted to: semantic types, vocabularies, what is below one of these ids."""

    types: Collection[str] | None = None
    sources: Collection[str] | None = None
    under: Collection[str] = ()


class Subset:
    """The names and concepts that a filter lets through."""

    def __init__(self, store: Store, only: Filter) -> None:
        self._store, self._sources = store, only.sources
        kinds = enumerate(store.manifest.types)
        wanted = only.types
        self._kinds = {n for n, kind in kinds if wanted is None or any(name in wanted for name in kind)}
        self._under = hierarchy.descendants(store, only.under) if only.under else None

    def rows(self, key: int) -> Iterator[tuple[int, str]]:
        """The names filed under a key that the filter lets through, preferred names first."""
        store = self._store
        for row in range(store.key_rows[key], store.key_rows[key + 1]):
            if self.has(store.row_concepts[row]):
                yield row, store.alias(row)

    def has(self, concept: int) -> bool:
        """Whether a concept is in this part."""
        return (
            self._store.concept_types[concept] in self._kinds
            and (self._under is None or concept in self._under)
            and (self._sources is None or self._store.concept(concept).source in self._sources)
        )

    @cached_property
    def is_whole(self) -> bool:
        """Whether this part is the whole base."""
        every = len(self._kinds) == len(self._store.manifest.types)
        return every and self._under is None and self._sources is None

    @cached_property
    def keys(self) -> NDArray[np.bool_] | None:
        """Which keys have a name that the filter lets through; None where all have."""
        import numpy as np

        if self.is_whole:
            return None
        store = self._store
        wanted = np.fromiter(map(self.has, range(store.manifest.concepts)), np.bool_)
        starts = np.asarray(store.key_rows)[:-1]
        keys: NDArray[np.bool_] = np.logical_or.reduceat(wanted[np.asarray(store.row_concepts)], starts)
        return keys
