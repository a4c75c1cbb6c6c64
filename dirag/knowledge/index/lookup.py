"""The index of a knowledge base: look-up of mentions by spelling and by meaning, and a scan of running text.

Candidates are the names that equal a mention after normalisation (``Normaliser.key``), those spelt like it
and, where the base has vectors, those of like meaning; ``ranking`` makes one probability of all that. The
scan is exact: longest names first, short acronyms in their own case only, and no name of the stop list.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log1p
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from dirag.data import Hit
from dirag.knowledge.index import ranking, scanning
from dirag.knowledge.index.filtering import Filter, Subset
from dirag.knowledge.index.name_search import Keys, NameSearch
from dirag.text import abbreviations, normalise

if TYPE_CHECKING:
    from dirag.data import Match
    from dirag.knowledge.index.dense import Dense
    from dirag.knowledge.store.store import Store

EVERY: tuple[Match, ...] = ("exact", "fuzzy", "dense")
#: Hits that are less probable are no links: a concept that is rather wrong than right is worse than none.
LINKED = 0.5

_CERTAIN = 0.8  # a match by spelling that is so probable is not looked up by meaning as well


@dataclass(frozen=True, slots=True)
class NameMatch:
    """One name (a row) of one concept that a mention may mean."""

    concept: int
    row: int
    match: Match
    features: ranking.Features


_Matches: TypeAlias = Iterator[tuple[str, list[NameMatch]]]


class _Name(NamedTuple):
    """A candidate: a row of the base, its key and concept."""

    key: int
    row: int
    concept: int
    alias: str


class Lookup:
    """Concepts of a store by name; hits that score less than ``threshold`` are left out.

    ``matches`` are the searches to use; ``dense`` opens the vectors when they are first needed. Of concepts
    that bear the very name of a mention, and are rather right than wrong, that of the first ``preferred``
    vocabulary comes first, after those of vocabularies that are not among them: a user's own.
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
        preferred: Sequence[str] = (),
    ) -> None:
        self._store, self._threshold = store, threshold
        self._preferred = {name: place for place, name in enumerate(preferred)}
        self._normaliser = normalise.normaliser(store.language)
        self._subset = Subset(store, only or Filter())
        self._search = NameSearch(store, self._subset, matches=matches, dense=dense)
        self._vocabularies = {source.name: place for place, source in enumerate(store.manifest.sources)}
        self._scanner = scanning.Scanner(store.trie, self._subset, store.language, stopwords=stopwords)

    def has(self, concept: int) -> bool:
        """Tells whether the concept of this number is in the part that is searched."""
        return self._subset.has(concept)

    def lookup(self, queries: Sequence[str], *, k: int = 5, text: str | None = None) -> list[list[Hit]]:
        """Returns the most probable concepts of each mention; preferred names come first among equals.

        ``text`` is the document in which the mentions stand: short forms that it defines are looked up by
        their long forms, and a concept that it names elsewhere is more probable.
        """
        defined = abbreviations.definitions(text, self._store.language) if text else {}
        named = self.concepts_in(text) if text else frozenset()
        forms = {query: abbreviations.expand(query, defined, self._store.language) for query in queries}
        best = self._link([*dict.fromkeys(forms.values())], named, k)
        # A long form without any hit may be misread from the text: the short form stands in for it.
        short = [query for query, form in forms.items() if query != form and not best[form]]
        best |= self._link(short, named, k)
        hits = {query: best[form] or best.get(query, []) for query, form in forms.items()}
        return [[replace(hit, end=len(query)) for hit in hits[query]] for query in queries]

    def match_names(
        self, forms: Iterable[str], *, named: Container[int] = (), meaning: bool = False
    ) -> _Matches:
        """Yields each form with every name that it may mean; ``named`` are concepts of its document."""
        keys_by_form = {form: self._search.search_spelling(form) for form in forms}
        match = self._match_by_meaning if meaning else self._match_by_spelling
        return match(keys_by_form, named)

    def _link(self, forms: Iterable[str], named: Container[int], k: int) -> dict[str, list[Hit]]:
        """Returns the hits of each form; searches by meaning only where spelling leaves a doubt."""
        keys_by_form = {form: self._search.search_spelling(form) for form in forms}
        best = {
            form: self._rank(names, ranking.LEXICAL, k)
            for form, names in self._match_by_spelling(keys_by_form, named)
        }
        if self._search.has_dense:
            doubtful = {form: keys_by_form[form] for form, hits in best.items() if _is_doubtful(form, hits)}
            for form, names in self._match_by_meaning(doubtful, named):
                best[form] = self._rank(names, ranking.DENSE, k)
        return best

    def _match_by_spelling(self, keys_by_form: Mapping[str, Keys], named: Container[int]) -> _Matches:
        for form, keys in keys_by_form.items():
            yield form, self._compare(form, keys, {}, named)

    def _match_by_meaning(self, keys_by_form: Mapping[str, Keys], named: Container[int]) -> _Matches:
        for form, cosines in self._search.search_dense(keys_by_form):
            keys: Keys = {key: keys_by_form[form].get(key, ("dense", 0.0)) for key in cosines}
            yield form, self._compare(form, keys, cosines, named)

    def _compare(
        self, form: str, keys: Keys, cosines: Mapping[int, float], named: Container[int]
    ) -> list[NameMatch]:
        """Returns every name under the keys, and under those that have a form's initials, with features."""
        mention = ranking.MentionForm.of(form, self._normaliser)
        initials = self._search.search_initials(mention)
        keys = dict(keys)
        # A score of 0: the name is not spelt like the mention, and has the feature of initials instead.
        for _, key in initials.values():
            keys.setdefault(key, ("fuzzy", 0.0))
        names = [
            _Name(key, row, self._store.row_concepts[row], alias)
            for key in keys
            for row, alias in self._subset.rows(key)
        ]
        # Once a key: names that differ in case or punctuation share theirs, and the comparison.
        spelling = {
            key: mention.compare(self._store.key(key), *keys[key]) for key in {name.key for name in names}
        }
        counts = {concept: count for concept, (count, _) in initials.items()}
        concepts = self._concept_features(names, mention, cosines, counts, named)
        return [
            NameMatch(
                name.concept,
                name.row,
                _match_of(keys[name.key][0]),
                ranking.Features(
                    spelling[name.key], self._name_features(name, form, cosines), concepts[name.concept]
                ),
            )
            for name in names
        ]

    def _name_features(self, name: _Name, form: str, cosines: Mapping[int, float]) -> ranking.NameFeatures:
        rank = self._store.row_ranks[name.row]
        return ranking.NameFeatures(
            other_case=float(scanning.in_another_case(name.alias, form)),
            preferred=float(rank == 0),
            synonym=float(rank == 1),
            cosine=cosines.get(name.key, 0.0),
        )

    def _concept_features(
        self,
        names: Iterable[_Name],
        mention: ranking.MentionForm,
        cosines: Mapping[int, float],
        initials: Mapping[int, int],
        named: Container[int],
    ) -> dict[int, ranking.ConceptFeatures]:
        """Returns the features of the concepts of the candidates; ``initials`` counts names by concept."""
        store = self._store
        nearest: dict[int, float] = {}
        preferred: dict[int, float] = {}
        for name in names:
            cosine = cosines.get(name.key, 0.0)
            nearest[name.concept] = max(nearest.get(name.concept, 0.0), cosine)
            if store.row_ranks[name.row] == 0:
                preferred[name.concept] = max(preferred.get(name.concept, 0.0), cosine)
        return {
            concept: ranking.ConceptFeatures(
                nearest_cosine=cosine,
                preferred_cosine=preferred.get(concept, 0.0),
                preferred_ratio=mention.ratio(store.key(store.concept_keys[concept])),
                initials=log1p(initials.get(concept, 0)),
                in_document=float(concept in named),
                abbreviation_in_document=float(concept in named and mention.abbreviation),
            )
            for concept, cosine in nearest.items()
        }

    def _rank(self, names: Iterable[NameMatch], model: ranking.Model, k: int) -> list[Hit]:
        """Returns the k most probable concepts, each by the name that matches best."""
        best: dict[int, tuple[float, NameMatch]] = {}
        for name in names:
            score = model.score(name.features)
            # The first of equals stays: rows come in the order of keys, whose preferred names are first.
            if name.concept not in best or score > best[name.concept][0]:
                best[name.concept] = score, name
        scores = {concept: score for concept, (score, _) in best.items()}
        probable = model.probabilities(scores, self._source)

        def order(concept: int) -> tuple[int, float, int, int]:
            match, score = best[concept][1], probable[concept]
            # Only names that are the very mention are alike: of others the more probable is the better one.
            sure = match.match == "exact" and score >= LINKED
            place = self._preference(concept) if sure else len(self._preferred)
            return place, -score, self._store.row_ranks[match.row], concept

        return [
            self._hit(c, best[c][1].row, best[c][1].match, probable[c])
            for c in sorted(probable, key=order)[:k]
            if probable[c] >= self._threshold
        ]

    def _source(self, concept: int) -> str:
        """Returns the vocabulary of a concept: those of different ones do not compete."""
        # Read from the concept on disk, and not for a base of one vocabulary, where all compete.
        return self._store.concept(concept).source if len(self._store.manifest.sources) > 1 else ""

    def _preference(self, concept: int) -> int:
        """Returns the place of a concept's vocabulary among the preferred ones; others are before them."""
        return self._preferred.get(self._store.concept(concept).source, -1) if self._preferred else 0

    def _hit(
        self, concept: int, row: int, match: Match, score: float, *, start: int = 0, end: int = 0
    ) -> Hit:
        return Hit(self._store.concept(concept), self._store.alias(row), match, score, start, end)

    def scan(self, text: str) -> list[Hit]:
        """Returns the names that stand in a text, in its order; where names overlap the longest stays.

        Of several concepts that bear a name, the one of the first vocabulary is taken.
        """
        hits = []
        for start, end, rows in self._scanner.longest(text):
            # min() keeps the first of equals, which is the preferred name of its vocabulary.
            row = min((row for row, _ in rows), key=self._vocabulary)
            hits.append(self._hit(self._store.row_concepts[row], row, "exact", 1.0, start=start, end=end))
        return sorted(hits, key=lambda hit: hit.start)

    def _vocabulary(self, row: int) -> int:
        """Returns the place of a name's vocabulary among those of the base."""
        return self._vocabularies.get(self._store.concept(self._store.row_concepts[row]).source, 0)

    def concepts_in(self, text: str) -> frozenset[int]:
        """Returns the concepts that a text names; names of up to five characters may be anything."""
        concepts = self._store.row_concepts
        return frozenset(
            concepts[row]
            for _, _, rows in self._scanner.longest(text)
            for row, alias in rows
            if len(alias) > 5
        )


def _match_of(kind: ranking.Kind) -> Match:
    return "exact" if kind == "variant" else kind


def _is_doubtful(form: str, hits: Sequence[Hit]) -> bool:
    """Tells whether to search by meaning; the vector of a bare abbreviation says less than its letters."""
    certain = bool(hits) and hits[0].score >= _CERTAIN
    return bool(form.strip()) and not certain and not ranking.is_abbreviation(form)
