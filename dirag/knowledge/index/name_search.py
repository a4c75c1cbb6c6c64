"""The searches for names that may be what a mention means: equal, spelt alike, by initials, by meaning.

In: mentions. Out: keys of an open knowledge base, those only that its subset has a name for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from dirag.knowledge.index import fuzzy, initials, ranking
from dirag.text import normalise

if TYPE_CHECKING:
    from dirag.data import Match
    from dirag.knowledge.index.dense import Dense
    from dirag.knowledge.index.filtering import Subset
    from dirag.knowledge.store.store import Store

#: Key -> the search that returned it, and the score of the fuzzy search.
Keys: TypeAlias = "dict[int, tuple[ranking.Kind, float]]"

_CANDIDATES = 24  # names that each search may add
_CONCEPTS = 96  # that an abbreviation may stand for
_LEAST = 0.4  # score of a fuzzy candidate


class NameSearch:
    """The searches of ``matches`` over a subset; ``dense`` opens the vectors when they are first needed."""

    def __init__(
        self,
        store: Store,
        subset: Subset,
        *,
        matches: Collection[Match],
        dense: Callable[[], Dense] | None,
    ) -> None:
        self._store, self._subset, self._matches = store, subset, matches
        self._normaliser = normalise.normaliser(store.language)
        self._open_dense = dense if "dense" in matches else None
        self.has_dense = self._open_dense is not None

    def search_spelling(self, form: str) -> Keys:
        """Returns the keys that equal a form, then those spelt like it."""
        keys: Keys = {}
        if "exact" in self._matches:
            for name in (form, *self._normaliser.variants(form)):
                if (key := self._store.trie.find(self._normaliser.key(name))) >= 0:
                    keys.setdefault(key, ("exact" if name == form else "variant", 1.0))
        if "fuzzy" in self._matches:
            for key, score in self._search_fuzzy(" ".join(self._normaliser.key(form))):
                keys.setdefault(key, ("fuzzy", score))
        return keys

    def _search_fuzzy(self, mention: str) -> list[tuple[int, float]]:
        """Returns the best keys of the subset."""
        return self._fuzzy.search(mention, threshold=_LEAST, limit=_CANDIDATES, allowed=self._subset.keys)

    def search_initials(self, mention: ranking.MentionForm) -> dict[int, tuple[int, int]]:
        """Returns the concepts with most names of an abbreviation's initials: their count and one key."""
        concepts: dict[int, tuple[int, int]] = {}
        if not mention.abbreviation or self._initials is None or "fuzzy" not in self._matches:
            return concepts
        for key in self._initials.search(mention.text.split()):
            for row, _ in self._subset.rows(key):
                concept = self._store.row_concepts[row]
                count, best = concepts.get(concept, (0, key))
                concepts[concept] = count + 1, key if self._store.row_ranks[row] == 0 else best
        return dict(sorted(concepts.items(), key=lambda item: (-item[1][0], item[0]))[:_CONCEPTS])

    def search_dense(self, keys_by_form: Mapping[str, Keys]) -> Iterator[tuple[str, dict[int, float]]]:
        """Yields each form with the cosines of the keys nearest in meaning and of those spelt like it."""
        import numpy as np

        if self._open_dense is None or not keys_by_form:
            return
        dense = self._open_dense()
        # All forms at once: the encoder pads and computes them in batches.
        vectors = dense.embedder.embed(list(keys_by_form))
        nearest, cosines = dense.search(vectors, limit=_CANDIDATES, allowed=self._subset.keys)
        for row, (form, keys) in enumerate(keys_by_form.items()):
            by_key = dict(zip(nearest[row].tolist(), cosines[row].tolist(), strict=True))
            by_key.pop(-1, None)  # where the subset has fewer names than the limit
            others = np.array([key for key in keys if key not in by_key], np.int64)
            by_key |= zip(others.tolist(), dense.cosines(others, vectors[row]).tolist(), strict=True)
            yield form, by_key

    @cached_property
    def _initials(self) -> initials.Initials | None:
        if initials.CODES not in self._store.manifest.files:
            return None  # a base that ``writer`` wrote without ``base.build`` has no such index
        return initials.Initials(self._store.array(initials.CODES), self._store.array(initials.KEYS))

    @cached_property
    def _fuzzy(self) -> fuzzy.Fuzzy:
        return fuzzy.Fuzzy(self._store.array)
