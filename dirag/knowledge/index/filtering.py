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
    """The bounds of an index: semantic types, vocabularies, the concepts below these ids."""

    types: Collection[str] | None = None
    sources: Collection[str] | None = None
    under: Collection[str] = ()


class Subset:
    """The names and concepts that a filter lets through."""

    def __init__(self, store: Store, only: Filter) -> None:
        self._store, self._sources = store, only.sources
        # The store numbers the combinations of types, of which there are few: the filter is a small set.
        kinds, types = enumerate(store.manifest.types), only.types
        self._kinds = {n for n, kind in kinds if types is None or any(name in types for name in kind)}
        self._under = hierarchy.descendants(store, only.under) if only.under else None

    def rows(self, key: int) -> Iterator[tuple[int, str]]:
        """Yields the names filed under a key that the filter lets through, preferred names first."""
        store = self._store
        for row in range(store.key_rows[key], store.key_rows[key + 1]):
            if self.has(store.row_concepts[row]):
                yield row, store.alias(row)

    def has(self, concept: int) -> bool:
        """Tells whether a concept is in this part."""
        # In the order of cost: the vocabulary alone needs the concept itself, which is parsed from disk.
        return (
            self._store.concept_types[concept] in self._kinds
            and (self._under is None or concept in self._under)
            and (self._sources is None or self._store.concept(concept).source in self._sources)
        )

    @cached_property
    def is_whole(self) -> bool:
        """Tells whether this part is the whole base."""
        every = len(self._kinds) == len(self._store.manifest.types)
        return every and self._under is None and self._sources is None

    @cached_property
    def keys(self) -> NDArray[np.bool_] | None:
        """Returns for each key whether the filter lets a name of it through; None where all have one."""
        import numpy as np

        if self.is_whole:
            return None
        store = self._store
        inside = np.isin(np.asarray(store.concept_types), np.array(sorted(self._kinds), np.int32))
        if self._under is not None or self._sources is not None:
            chosen = np.flatnonzero(inside)
            inside[chosen] = np.fromiter(map(self.has, chosen.tolist()), np.bool_, len(chosen))
        # reduceat() would take the next row for a key without one; layout.check() refuses such a base.
        starts = np.asarray(store.key_rows)[:-1]
        keys: NDArray[np.bool_] = np.logical_or.reduceat(inside[np.asarray(store.row_concepts)], starts)
        return keys
