"""Concept scores against what the BioCreative V CDR scorer counts, and by hand."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.data import Concept, Document, Entity, Hit
from dirag.evaluate.scoring.concepts import ids, normal
from dirag.evaluate.scoring.counts import Counts
from dirag.evaluate.scoring.score import score
from dirag.formats import read

TEXT = "abcdefgh"
IDS = st.sampled_from(["D000001", "MESH:D000001", "D000002", "C000003|D000002", "OMIM:1+D000001", ""])
ENTITIES = st.lists(
    st.builds(
        lambda start, kind, id: entity(start, start + 2, kind, id),
        st.integers(0, 6),
        st.sampled_from(["disease", "chemical"]),
        IDS,
    ),
    max_size=5,
)


def entity(start: int, end: int, kind: str, id: str) -> Entity:
    hit = Hit(Concept(id, ""), "", "exact", 1.0, start, end) if id else None
    return Entity(start, end, kind, TEXT[start:end], link=hit)


def documents(sides: Sequence[Sequence[Entity]]) -> list[Document]:
    return [Document(str(i), TEXT, tuple(entities)) for i, entities in enumerate(sides)]


def of_document(entities: Sequence[Entity], kind: str) -> set[str]:
    """What the official scorer counts: the ids of one type, MeSH ids without prefix, parts by themselves."""
    found: set[str] = set()
    for each in entities:
        if each.concept and each.type == kind:
            found.update(part.removeprefix("MESH:") for part in re.split(r"[|+]", each.concept.id))
    return found


def official(gold: Sequence[Document], predicted: Sequence[Document], kind: str) -> tuple[int, int, int]:
    """True positives, false positives and false negatives over documents."""
    tp = fp = fn = 0
    for wanted, found in zip(gold, predicted, strict=True):
        a, b = of_document(wanted.entities, kind), of_document(found.entities, kind)
        tp, fp, fn = tp + len(a & b), fp + len(b - a), fn + len(a - b)
    return tp, fp, fn


def agree(gold: Sequence[Document], predicted: Sequence[Document], kind: str) -> Counts:
    found = score(gold, predicted).concepts
    counts = found["concept"].per_type.get(kind, Counts()) if found else Counts()
    tp, fp, fn = official(gold, predicted, kind)
    if found:
        assert (counts.correct, counts.spurious, counts.missed) == (tp, fp, fn)
    return counts


@settings(deadline=None)
@given(st.lists(st.tuples(ENTITIES, ENTITIES), min_size=1, max_size=4))
def test_sets_of_ids_are_scored_as_officially(pairs: list[tuple[list[Entity], list[Entity]]]) -> None:
    gold, predicted = documents([a for a, _ in pairs]), documents([b for _, b in pairs])
    counts = [agree(gold, predicted, kind) for kind in ("disease", "chemical")]
    found = score(gold, predicted).concepts
    sides = ([each.link for document in side for each in document.entities] for side in (gold, predicted))
    assert bool(found) == all(any(side) for side in sides)
    if found:
        assert found["concept"].micro == counts[0] + counts[1]
        for each in found.values():
            assert len(each.per_document) == len(gold)
            assert sum(each.per_type.values(), Counts()) == each.micro


@pytest.mark.parametrize(
    "corpus, kind",
    [
        ("bc5cdr-pubtator/CDR_TestSet.PubTator.txt", "Disease"),
        ("bc5cdr-pubtator/CDR_TestSet.PubTator.txt", "Chemical"),
        ("ncbi-disease/NCBItestset_corpus.txt", "SpecificDisease"),
    ],
)
def test_corpora_with_noise_are_scored_as_officially(shared_data: Path, corpus: str, kind: str) -> None:
    gold = list(read([str(shared_data / "corpora" / corpus)], format="pubtator"))
    every = [each.link for document in gold for each in document.entities]
    dice = random.Random(0)
    predicted = [
        replace(
            document,
            entities=tuple(
                replace(each, link=dice.choice(every)) if dice.random() < 0.2 else each
                for each in document.entities
                if dice.random() < 0.8
            ),
        )
        for document in gold
    ]
    assert 0.5 < agree(gold, predicted, kind).f1 < 0.9
    assert agree(gold, gold, kind).f1 == 1.0


def test_mentions_and_links_by_hand() -> None:
    gold = [entity(0, 2, "x", "D000001"), entity(2, 4, "x", "D000002|D000003"), entity(4, 6, "x", "")]
    gold += [entity(6, 8, "x", "OMIM:1")]
    found = [entity(0, 2, "x", "D000004"), entity(2, 4, "x", "MESH:D000003"), entity(4, 6, "x", "D000005")]
    found += [entity(6, 7, "x", "OMIM:1")]
    scored = score(documents([gold]), documents([found])).concepts
    # Three gold entities have an id; two of them were found, one of these with the right id.
    assert scored["linking"].micro == Counts(2, 2, 1)
    # All four predictions have an id, one has span, type and id right.
    assert scored["mention"].micro == Counts(3, 4, 1)
    # Of the ids 1, 2, 3 and OMIM:1 in gold, 3 and OMIM:1 were predicted, with 4 and 5.
    assert scored["concept"].micro == Counts(4, 4, 2)


def test_several_ids_of_a_concept_are_one_where_it_is_known() -> None:
    gold, found = documents([[entity(0, 2, "x", "D000001")]]), documents([[entity(0, 2, "x", "OMIM:1")]])
    assert score(gold, found).concepts["concept"].micro == Counts(1, 1, 0)
    ids = {"OMIM:1": "MESH:D000001"}
    scored = score(gold, found, canonical_id=lambda id: ids.get(id, id))
    assert scored.concepts["concept"].micro == Counts(1, 1, 1)
    assert score(gold, found, canonical_id=None).concepts == {}


def test_types_that_are_not_asked_for_have_no_concepts_either() -> None:
    gold = documents([[entity(0, 2, "x", "D000001"), entity(2, 4, "y", "D000002")]])
    assert score(gold, gold, types=["x"]).concepts["concept"].micro == Counts(1, 1, 1)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("D003693", {"MESH:D003693"}),
        (" D003693", {"MESH:D003693"}),
        ("mesh:D003693", {"MESH:D003693"}),
        ("MSH:C535662", {"MESH:C535662"}),
        ("C0004096", {"UMLS:C0004096"}),
        ("OMIM:253000", {"OMIM:253000"}),
        ("MIM:253000", {"OMIM:253000"}),
        ("D006470|D003556", {"MESH:D006470", "MESH:D003556"}),
        ("D006470+OMIM:1", {"MESH:D006470", "OMIM:1"}),
        ("DOID:0014667,DOID:1", {"DOID:0014667", "DOID:1"}),
        ("p|SUB|S|276|T", {"p|SUB|S|276|T"}),
        ("4540", {"4540"}),
    ],
)
def test_ids_in_their_one_form(text: str, expected: set[str]) -> None:
    assert ids(text) == expected
    assert {normal(id) for id in expected} == expected
