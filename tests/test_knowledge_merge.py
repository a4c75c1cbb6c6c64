"""Merging vocabularies: laws that hold for any input, an oracle for two vocabularies, real files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.data import Concept
from dirag.knowledge.merge import merged
from dirag.knowledge.semantics import load_types
from dirag.knowledge.sources import read
from dirag.knowledge.sources.reading import Rejected

Vocabularies = list[list[Concept]]


@st.composite
def vocabularies(draw: st.DrawFn, most: int = 4) -> Vocabularies:
    """Vocabularies whose ids are unique in each and may recur between them; random cross-references."""
    number = draw(st.integers(1, most))
    ids = [f"{letter}:{digit}" for letter in "ABCD" for digit in range(4)]
    found = []
    for source in range(number):
        own = draw(st.lists(st.sampled_from(ids), unique=True, max_size=5))
        concepts = []
        for identifier in own:
            xrefs = draw(st.lists(st.sampled_from([*ids, "U:1", "U:2"]), max_size=3, unique=True))
            others = tuple(xref for xref in xrefs if xref != identifier)
            synonyms = tuple(draw(st.lists(st.sampled_from("pqr"), max_size=2, unique=True)))
            concept = Concept(
                identifier, f"{identifier} of {source}", synonyms, source=str(source), xrefs=others
            )
            concepts.append(concept)
        found.append(concepts)
    return found


def linked(one: Concept, other: Concept) -> bool:
    return other.id in (one.id, *one.xrefs) or one.id in other.xrefs


@settings(deadline=None)
@given(vocabularies(2))
def test_of_two_vocabularies_those_linked_one_to_one_are_merged(given: Vocabularies) -> None:
    first, second = given if len(given) == 2 else (given[0], [])
    pairs = [(one, other) for one in first for other in second if linked(one, other)]
    uses = Counter(id(concept) for pair in pairs for concept in pair)
    wanted = {(one.name, other.name) for one, other in pairs if uses[id(one)] == uses[id(other)] == 1}
    found = list(merged([first, second]))
    assert {(one.name, name) for one in found for name in one.synonyms if " of 1" in name} == wanted
    assert len(found) == len(first) + len(second) - len(wanted)


@settings(deadline=None)
@given(vocabularies())
def test_nothing_is_lost_or_doubled_and_order_is_kept(given: Vocabularies) -> None:
    found = list(merged(given))
    every = [concept for concepts in given for concept in concepts]
    firsts = [concept.name for concept in found]
    assert firsts == [concept.name for concept in every if concept.name in firsts]
    own = [name for concept in found for name in (concept.name, *concept.synonyms) if " of " in name]
    assert sorted(own) == sorted(concept.name for concept in every)
    for concept in found:
        assert concept.name not in concept.synonyms
        assert concept.id not in concept.xrefs
        kept = [name.rpartition(" ")[2] for name in (concept.name, *concept.synonyms) if " of " in name]
        assert len(set(kept)) == len(kept)  # at most one of each vocabulary
    before = {identifier for concept in every for identifier in (concept.id, *concept.xrefs)}
    assert {identifier for concept in found for identifier in (concept.id, *concept.xrefs)} == before
    assert {name for concept in found for name in concept.synonyms} >= {
        name for concept in every for name in concept.synonyms
    }


@given(vocabularies())
def test_switched_off_it_is_one_after_the_other(given: Vocabularies) -> None:
    assert list(merged(given, link=False)) == [concept for concepts in given for concept in concepts]


def test_one_concept_of_three() -> None:
    first = [Concept("A:1", "ague", ("fever",), ("disease",), "", "a", ("A:0",), ("U:1",))]
    second = [
        Concept("B:1", "Ague", ("fever", "ague"), ("symptom", "disease"), "A fever.", "b", ("B:0",), ("A:1",))
    ]
    third = [Concept("C:1", "malaria", (), ("neoplasm",), "No.", "c", (), ("B:1", "X:9"))]
    assert list(merged([first, second, third])) == [
        Concept(
            "A:1",
            "ague",
            ("fever", "Ague", "malaria"),
            ("disease", "symptom", "neoplasm"),
            "A fever.",
            "a",
            ("A:0", "B:0"),
            ("U:1", "B:1", "C:1", "X:9"),
        )
    ]


def test_what_is_ambiguous_stays_apart() -> None:
    first = [Concept("A:1", "one", xrefs=("B:1",)), Concept("A:2", "two", xrefs=("B:1",))]
    second = [Concept("B:1", "both")]
    assert list(merged([first, second])) == [*first, *second]
    # the middle one is the same as one of each side, which are of one vocabulary
    left, middle = (
        [Concept("A:1", "x", xrefs=("B:1",)), Concept("A:2", "y", xrefs=("C:1",))],
        [Concept("B:1", "z")],
    )
    right = [Concept("C:1", "w", xrefs=("B:1",))]
    assert [len(concept.synonyms) for concept in merged([left, middle, right])] == [1, 1]


def test_every_vocabulary_is_read_once_and_in_order() -> None:
    read_: list[str] = []

    def source(name: str) -> Iterator[Concept]:
        for number in range(3):
            read_.append(f"{name}:{number}")
            yield Concept(f"{name}:{number}", name)

    assert len(list(merged([source("A"), source("B")]))) == 6
    assert read_ == ["A:0", "A:1", "A:2", "B:0", "B:1", "B:2"]


@pytest.mark.parametrize(
    "files, concepts, absorbed",
    [
        (("medic/medic_06Jul2012.txt", "do/NCIthesaurus.obo"), 16_665, 1_774),
    ],
)
def test_real_vocabularies(shared_data: Path, files: tuple[str, ...], concepts: int, absorbed: int) -> None:
    types, rejected = load_types(), Rejected()
    readers = [
        list(read(shared_data / "vocab" / file, source=file, types=types, rejected=rejected))
        for file in files
    ]
    found = list(merged(readers))
    assert sum(map(len, readers)) == concepts
    assert len(found) == concepts - absorbed
    assert len({concept.id for concept in found}) == len(found)
