"""Concept scores: whether the ids of predicted entities are those of the gold standard.

In come the entities of a document, with or without concepts; out come counts in three schemes. An id is
compared as ``PREFIX:local``; one without prefix gets it where its form tells (MeSH, UMLS), and
``canonical_id`` may lead further, to the one id of a concept that has several. Ids joined by ``|``, ``+``,
``,`` or ``;``, as alternatives or as the parts of a composite mention, are each an id by themselves: all of
them count in a document's set, and a mention is right by any one of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple
from functools import cache, lru_cache
from itertools import chain
from typing import TypeAlias

from dirag.data import Document, Entity
from dirag.evaluate.scoring.counts import Counts, SchemeScore
from dirag.evaluate.scoring.pairing import Span
from dirag.knowledge.semantics import load_types
from dirag.knowledge.sources.identifiers import curie

#: From the id of a concept to the one by which it is compared.
CanonicalId: TypeAlias = Callable[[str], str]

#: Each scheme with what it counts.
SCHEMES: Mapping[str, str] = {
    "concept": "ids of each document as a set, as in BioCreative V CDR",
    "mention": "entities that have an id: span, type and id are right",
    "linking": "of the entities that have an id and were found with span and type: the id is right",
}

_NOTHING = Counts()
_NONE: frozenset[str] = frozenset()
_JOINT = re.compile(r"[|+,;]")
_ID = re.compile(r"([\w. -]+:)?[A-Za-z]{0,3}[\d.-]*\d")
# MeSH descriptors (D) and supplementary concepts (C) have six or nine digits, UMLS concepts seven.
_FORMS = ((re.compile(r"[CD](\d{6}|\d{9})"), "MESH"), (re.compile(r"C\d{7}"), "UMLS"))


def ids(text: str, canonical_id: CanonicalId = str) -> frozenset[str]:
    """Returns the ids in an id as it is annotated; one that does not fall into ids is taken as it is."""
    parts = [part.strip() for part in _JOINT.split(text)]
    if not all(_ID.fullmatch(part) for part in parts):
        parts = [text.strip()]
    return frozenset(canonical_id(normal(part)) for part in parts if part)


def all_ids(documents: Iterable[Document]) -> set[str]:
    """Returns every id that the entities of some documents have."""
    links = (entity.link for document in documents for entity in document.entities)
    return set(chain.from_iterable(ids(text) for text in {hit.concept.id for hit in links if hit}))


def normal(id: str) -> str:
    """Returns an id with its prefix in the one form that the vocabularies are read with."""
    if ":" in id:
        return curie(id, _prefixes()) or id
    return next((f"{prefix}:{id}" for form, prefix in _FORMS if form.fullmatch(id)), id)


@cache
def _prefixes() -> Mapping[str, str]:
    return load_types().prefixes


class Linking:
    """Adds up what the documents of a gold standard and their predictions say of concepts."""

    def __init__(self, canonical_id: CanonicalId = str) -> None:
        # A corpus names few ids, each many times, and each look-up may go to a knowledge base.
        self._ids = lru_cache(maxsize=1 << 16)(lambda text: ids(text, canonical_id))
        # Of the documents that have ids; in the table of scores, the others are rows of zeros.
        self._documents: dict[int, dict[str, Counts]] = {}
        self._types: dict[str, dict[str, Counts]] = {scheme: {} for scheme in SCHEMES}

    def add(self, place: int, gold: Iterable[Entity], predicted: Iterable[Entity]) -> None:
        """Adds the entities of the document at a place, those of the types that count."""
        of_gold, of_predicted = self._by_span(gold), self._by_span(predicted)
        if not any(of_gold.values()) and not any(of_predicted.values()):
            return
        totals = dict.fromkeys(SCHEMES, _NOTHING)
        for kind in {span[2] for span in (*of_gold, *of_predicted)}:
            for scheme, counts in _counted(_of(kind, of_gold), _of(kind, of_predicted)).items():
                totals[scheme] += counts
                if counts != _NOTHING:
                    self._types[scheme][kind] = self._types[scheme].get(kind, _NOTHING) + counts
        self._documents[place] = totals

    def scores(self, documents: int) -> dict[str, SchemeScore]:
        """Returns the scores in each scheme over so many documents; none where either side has no ids."""
        total = sum(self._types["concept"].values(), _NOTHING)
        if not total.gold or not total.predicted:
            return {}
        import numpy as np

        tables = {scheme: np.zeros((documents, len(astuple(_NOTHING))), np.int64) for scheme in SCHEMES}
        for place, totals in self._documents.items():
            for scheme, counts in totals.items():
                tables[scheme][place] = astuple(counts)
        return {
            scheme: SchemeScore(dict(sorted(self._types[scheme].items())), table)
            for scheme, table in tables.items()
        }

    def _by_span(self, entities: Iterable[Entity]) -> dict[Span[str], frozenset[str]]:
        """Returns the ids of each entity; one that is listed twice has the ids of both."""
        by_span: dict[Span[str], frozenset[str]] = {}
        for entity in entities:
            span = (entity.start, entity.end, entity.type)
            ids_of_entity = self._ids(entity.concept.id) if entity.concept else _NONE
            by_span[span] = by_span.get(span, _NONE) | ids_of_entity
        return by_span


def _counted(
    gold: Mapping[Span[str], frozenset[str]], predicted: Mapping[Span[str], frozenset[str]]
) -> dict[str, Counts]:
    """Returns the counts of the entities of one type of one document, by scheme."""
    of_gold, of_predicted = _NONE.union(*gold.values()), _NONE.union(*predicted.values())
    in_both = [span for span, ids_of_entity in gold.items() if ids_of_entity and span in predicted]
    right = sum(not gold[span].isdisjoint(predicted[span]) for span in in_both)
    linked = sum(map(bool, gold.values())), sum(map(bool, predicted.values()))
    return {
        "concept": Counts(len(of_gold), len(of_predicted), len(of_gold & of_predicted)),
        "mention": Counts(*linked, right),
        "linking": Counts(len(in_both), len(in_both), right),
    }


def _of(kind: str, entities: Mapping[Span[str], frozenset[str]]) -> dict[Span[str], frozenset[str]]:
    return {span: of_entity for span, of_entity in entities.items() if span[2] == kind}
