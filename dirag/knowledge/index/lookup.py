"""The index of a knowledge base: look-up of mentions by spelling and by meaning, and a scan of running text.

Candidates are the names that equal a mention after normalisation (``normalise.key``), those spelt like it
and, where the base has vectors, those of like meaning; ``ranking`` makes one probability of all that. The
scan is exact: longest names first, short acronyms in their own case only, and no name of the stop list.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import log1p
from typing import TYPE_CHECKING, TypeAlias

from dirag.data import Hit
from dirag.knowledge.index import fuzzy, initials, ranking, scanning
from dirag.knowledge.index.filtering import Filter, Subset
from dirag.text import abbreviations, normalise

if TYPE_CHECKING:
    from dirag.data import Match
    from dirag.knowledge.index.dense import Dense
    from dirag.knowledge.index.ranking import Kind
    from dirag.knowledge.store.store import Store

_Keys: TypeAlias = "dict[int, tuple[Kind, float]]"  # how each was found, and the fuzzy search's score

EVERY: tuple[Match, ...] = ("exact", "fuzzy", "dense")

_CANDIDATES = 24  # names that each search may add
_SHORTENED = 96  # concepts that may be meant by an abbreviation
_LEAST = 0.4  # score of a fuzzy candidate
_CERTAIN = 0.8  # a match by spelling that is so probable is not looked up by meaning as well


@dataclass(frozen=True, slots=True)
class NameMatch:
    """One name of one concept that a mention may mean, with the features of ``ranking``."""

    concept: int
    row: int
    match: Match
    features: tuple[float, ...]


_Found: TypeAlias = Iterator[tuple[str, list[NameMatch]]]


class Lookup:
    """Concepts of a store by name; hits that score less than ``threshold`` are left out.

    ``dense`` gives the vectors when they are first needed; ``matches`` says which searches to use.
    """

    def __init__(
        self,
        store: Store,
        *,
        only: Filter | None = None,
        matches: Collection[Match] = EVERY,
        dense: Callable[[], Dense] | None = None,
        threshold: float = 0.0,
        stopwords: Iterable[str] | None = None,
    ) -> None:
        self._store, self._trie, self._matches, self._threshold = store, store.trie, matches, threshold
        self._open_dense = dense if "dense" in matches else None
        self._subset = Subset(store, only or Filter())
        self._vocabularies = {source.name: place for place, source in enumerate(store.manifest.sources)}
        self._scanner = scanning.Scanner(store.trie, self._subset, stopwords=stopwords)

    def lookup(self, queries: Sequence[str], *, k: int = 5, text: str | None = None) -> list[list[Hit]]:
        """The most probable concepts of each mention; where two are as probable, preferred names come first.

        ``text`` is the document in which the mentions stand: short forms that it defines are looked up by
        their long forms, and a concept that it names elsewhere is more probable.
        """
        defined = abbreviations.definitions(text) if text else {}
        named = self._named(text) if text else frozenset()
        forms = {query: abbreviations.expand(query, defined) for query in queries}
        found = self._best([*dict.fromkeys(forms.values())], named, k)
        short = [query for query, form in forms.items() if query != form and not found[form]]
        found |= self._best(short, named, k)
        hits = {query: found[form] or found.get(query, []) for query, form in forms.items()}
        return [[replace(hit, end=len(query)) for hit in hits[query]] for query in queries]

    def evidence(self, forms: Iterable[str], *, named: Container[int] = (), meaning: bool = False) -> _Found:
        """All that speaks for each concept that a form may mean."""
        spelt = {form: self._spelt(form) for form in forms}
        return self._meant(spelt, named) if meaning else self._likely(spelt, named)

    def _best(self, forms: Iterable[str], named: Container[int], k: int) -> dict[str, list[Hit]]:
        """The hits of each form; meaning is asked for only where spelling leaves a doubt."""
        spelt = {form: self._spelt(form) for form in forms}
        found = {
            form: self._ranked(evidence, ranking.LEXICAL, k) for form, evidence in self._likely(spelt, named)
        }
        if self._open_dense is not None:
            doubtful = {form: spelt[form] for form, hits in found.items() if _is_doubtful(form, hits)}
            for form, evidence in self._meant(doubtful, named):
                found[form] = self._ranked(evidence, ranking.DENSE, k)
        return found

    def _likely(self, spelt: Mapping[str, _Keys], named: Container[int]) -> _Found:
        """The evidence of spelling alone."""
        for form, keys in spelt.items():
            yield form, self._evidence(form, keys, {}, named)

    def _meant(self, spelt: Mapping[str, _Keys], named: Container[int]) -> _Found:
        """The evidence with that of the names nearest in meaning."""
        for form, cosines in self._cosines(spelt):
            keys = {key: spelt[form].get(key, ("dense", 0.0)) for key in cosines}
            yield form, self._evidence(form, keys, cosines, named)

    def _spelt(self, form: str) -> _Keys:
        """The keys that equal a form, then those spelt like it, with the score of the fuzzy search."""
        found: _Keys = {}
        if "exact" in self._matches:
            for name in (form, *normalise.variants(form)):
                if (key := self._trie.find(normalise.key(name))) >= 0:
                    found.setdefault(key, ("exact" if name == form else "variant", 1.0))
        if "fuzzy" in self._matches:
            for key, score in self._alike(" ".join(normalise.key(form))):
                found.setdefault(key, ("fuzzy", score))
        return found

    def _alike(self, mention: str) -> list[tuple[int, float]]:
        """The best keys of the fuzzy search; a filter has it look further, until there are enough."""
        limit = _CANDIDATES
        while True:
            found = self._fuzzy.search(mention, threshold=_LEAST, limit=limit)
            kept = [pair for pair in found if self._subset.is_whole or any(self._subset.rows(pair[0]))]
            if len(kept) >= _CANDIDATES or len(found) < limit:
                return kept[:_CANDIDATES]
            limit *= 16

    def _shortened(self, mention: ranking.MentionForm) -> dict[int, tuple[int, int]]:
        """For an abbreviation, the concepts with the most names of these initials: how many, a key of one."""
        found: dict[int, tuple[int, int]] = {}
        if not mention.abbreviation or self._initials is None or "fuzzy" not in self._matches:
            return found
        for key in self._initials.search(mention.text.split()):
            for row, _ in self._subset.rows(key):
                concept = self._store.row_concepts[row]
                count, best = found.get(concept, (0, key))
                found[concept] = count + 1, key if self._store.row_ranks[row] == 0 else best
        return dict(sorted(found.items(), key=lambda item: (-item[1][0], item[0]))[:_SHORTENED])

    def _cosines(self, spelt: Mapping[str, _Keys]) -> Iterator[tuple[str, dict[int, float]]]:
        """Of each form, the cosines of the nearest keys and of those spelt like it."""
        import numpy as np

        if self._open_dense is None or not spelt:
            return
        dense = self._open_dense()
        vectors = dense.embedder.embed(list(spelt))
        nearest, cosines = dense.search(vectors, limit=_CANDIDATES, allowed=self._subset.keys)
        for row, (form, keys) in enumerate(spelt.items()):
            found = dict(zip(nearest[row].tolist(), cosines[row].tolist(), strict=True))
            found.pop(-1, None)
            others = np.array([key for key in keys if key not in found], np.int64)
            found |= zip(others.tolist(), dense.cosines(others, vectors[row]).tolist(), strict=True)
            yield form, found

    def _evidence(
        self,
        form: str,
        keys: _Keys,
        cosines: Mapping[int, float],
        named: Container[int],
    ) -> list[NameMatch]:
        store, mention = self._store, ranking.MentionForm.of(form)
        shortened = self._shortened(mention)
        keys = dict(keys)
        for _, key in shortened.values():
            keys.setdefault(key, ("fuzzy", 0.0))
        found = [(key, row, alias) for key in keys for row, alias in self._subset.rows(key)]
        nearest: dict[int, float] = {}  # of a concept's names, the one that means most the like
        preferred: dict[int, float] = {}
        for key, row, _ in found:
            concept, cosine = store.row_concepts[row], cosines.get(key, 0.0)
            nearest[concept] = max(nearest.get(concept, 0.0), cosine)
            if store.row_ranks[row] == 0:
                preferred[concept] = max(preferred.get(concept, 0.0), cosine)
        spelling = {key: mention.features(store.key(key), *keys[key]) for key, _, _ in found}
        alike = {concept: mention.likeness(store.key(store.concept_keys[concept])) for concept in nearest}
        evidence = []
        for key, row, alias in found:
            concept, kind = store.row_concepts[row], keys[key][0]
            inside = concept in named
            features = (
                *spelling[key],
                float(scanning.in_another_case(alias, form)),
                float(store.row_ranks[row] == 0),
                float(store.row_ranks[row] == 1),
                cosines.get(key, 0.0),
                nearest[concept],
                preferred.get(concept, 0.0),
                alike[concept],
                log1p(shortened[concept][0] if concept in shortened else 0),
                float(inside),
                float(inside and mention.abbreviation),
            )
            evidence.append(NameMatch(concept, row, "exact" if kind == "variant" else kind, features))
        return evidence

    def _ranked(self, evidence: Iterable[NameMatch], model: ranking.Model, k: int) -> list[Hit]:
        best: dict[int, tuple[float, NameMatch]] = {}
        for item in evidence:
            score = model.score(item.features)
            if item.concept not in best or score > best[item.concept][0]:
                best[item.concept] = score, item
        found = model.probabilities({concept: score for concept, (score, _) in best.items()}, self._source)
        order = sorted(found, key=lambda c: (-found[c], self._store.row_ranks[best[c][1].row], c))[:k]
        return [self._hit(best[c][1], found[c]) for c in order if found[c] >= self._threshold]

    def _source(self, concept: int) -> str:
        """The vocabulary of a concept: those of different ones do not compete."""
        return self._store.concept(concept).source if len(self._store.manifest.sources) > 1 else ""

    def _hit(self, evidence: NameMatch, score: float, start: int = 0, end: int = 0) -> Hit:
        concept, alias = self._store.concept(evidence.concept), self._store.alias(evidence.row)
        return Hit(concept, alias, evidence.match, score, start, end)

    def scan(self, text: str) -> list[Hit]:
        """The names that stand in a text, in its order; where names overlap the longest stays.

        Of several concepts that bear a name, the one of the first vocabulary is taken.
        """
        hits = []
        for start, end, rows in self._scanner.longest(text):
            row = min((row for row, _ in rows), key=self._vocabulary)
            evidence = NameMatch(self._store.row_concepts[row], row, "exact", ())
            hits.append(self._hit(evidence, 1.0, start, end))
        return sorted(hits, key=lambda hit: hit.start)

    def _vocabulary(self, row: int) -> int:
        """The place of a name's vocabulary among those of the base."""
        return self._vocabularies.get(self._store.concept(self._store.row_concepts[row]).source, 0)

    def _named(self, text: str) -> frozenset[int]:
        """The concepts that a text names, those of short names left out, which may be anything."""
        concepts = self._store.row_concepts
        return frozenset(
            concepts[row]
            for _, _, rows in self._scanner.longest(text)
            for row, alias in rows
            if len(alias) > 5
        )

    @cached_property
    def _initials(self) -> initials.Initials | None:
        if initials.CODES not in self._store.manifest.files:
            return None  # a base that was written without this index
        return initials.Initials(self._store.array(initials.CODES), self._store.array(initials.KEYS))

    @cached_property
    def _fuzzy(self) -> fuzzy.Fuzzy:
        return fuzzy.Fuzzy(self._store.array)


def _is_doubtful(form: str, hits: Sequence[Hit]) -> bool:
    """Whether meaning may tell more; of a bare abbreviation its vector tells less than its letters."""
    certain = bool(hits) and hits[0].score >= _CERTAIN
    return bool(form.strip()) and not certain and not ranking.MentionForm.of(form).abbreviation
