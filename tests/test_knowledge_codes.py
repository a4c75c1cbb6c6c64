"""Concepts by id: every way to write one, codes made complete, and the official list as an oracle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dirag.data import Concept
from dirag.errors import KnowledgeError
from dirag.knowledge.base import KnowledgeBase
from dirag.knowledge.index import codes
from dirag.knowledge.semantics import load_types
from dirag.knowledge.sources import read
from dirag.knowledge.sources.reading import Rejected
from dirag.knowledge.store import writer
from dirag.knowledge.store.store import Store

COURSE = (("A", "first visit"), ("D", "later visit"))
CONCEPTS = (
    Concept("ICD10CM:Q10", "Sprain", semantic_types=("disease",), source="icd", extensions=COURSE),
    Concept("ICD10CM:Q10.1", "Mild sprain", parents=("ICD10CM:Q10",)),
    Concept("ICD10CM:Q10.11", "Mild left sprain", parents=("ICD10CM:Q10.1",), xrefs=("UMLS:C7",)),
    Concept(
        "ICD10CM:Q10.111",
        "Mild left old sprain",
        semantic_types=("disease",),
        source="icd",
        parents=("ICD10CM:Q10.11",),
    ),
    Concept("ICD10CM:Q10.2", "Sprain, killed", parents=("ICD10CM:Q10",), extensions=(("A", "first visit"),)),
    Concept("ICD10CM:Q1A", "Ache"),
    Concept("HP:0000007", "Pain", xrefs=("UMLS:C7", "MESH:D7"), parents=("HP:0000009",)),
    Concept("HP:0000009", "Sense", parents=("HP:0000007",)),
    Concept("X:q10", "Quarrel"),
    Concept("FPLX:Akt", "Kinase"),
    Concept("plain", "Plain"),
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    folder = tmp_path_factory.mktemp("codes") / "kb"
    writer.write(CONCEPTS, folder)
    return KnowledgeBase(folder)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(CONCEPTS[:7]), st.booleans(), st.sampled_from([str, str.upper, str.lower]))
def test_every_spelling_finds_a_concept(base: KnowledgeBase, concept: Concept, dot: bool, case: type) -> None:
    prefix, _, local = concept.id.partition(":")
    forms = [concept.id, f"{prefix.lower()}:{local}"] + ([local] if local != "Q10" else [])
    for form in forms:
        assert base.concept(case(form if dot else form.replace(".", ""))) == concept


@pytest.mark.parametrize(
    ("code", "id", "name"),
    [
        ("Q10.111A", "ICD10CM:Q10.111A", "Mild left old sprain, first visit"),
        ("q10111d", "ICD10CM:Q10.111D", "Mild left old sprain, later visit"),
        ("icd10cm:Q10.2XXA", "ICD10CM:Q10.2XXA", "Sprain, killed, first visit"),
    ],
)
def test_codes_are_made_complete(base: KnowledgeBase, code: str, id: str, name: str) -> None:
    concept = base.concept(code)
    assert (concept.id, concept.name) == (id, name)
    [parent] = base.parents(concept)
    assert concept in base.children(parent)
    assert base.children(concept) == []
    assert (concept.semantic_types, concept.source) == (parent.semantic_types, parent.source)


@pytest.mark.parametrize(
    "code",
    [
        "Q10.111B",  # a character that no rule gives
        "Q10.2XXD",  # the rule of the code itself goes before that of its category
        "Q10.11XA",  # a code that has others below it
        "Q10.2A",  # without what stands between
        "Q10.2XA",
        "Q10.2XXXA",
        "Q10.111XA",
        "Q1AXXXA",  # no rule above
        "Q10.",
        "",
        "HP:7",
    ],
)
def test_codes_that_are_none_are_refused(base: KnowledgeBase, code: str) -> None:
    assert codes.find(base._store, code) == []
    with pytest.raises(KnowledgeError, match="has no concept"):
        base.concept(code)


def test_an_own_id_goes_before_a_cross_reference_and_none_is_guessed(base: KnowledgeBase) -> None:
    assert base.concept("mesh:d7").id == "HP:0000007"
    assert base.concept("plain").id == "plain"
    assert base.concept("X:q10").id == base.concept("x:Q10").id == "X:q10"
    with pytest.raises(KnowledgeError, match="several concepts 'q10'; write one of ICD10CM:Q10, X:q10"):
        base.concept("q10")


def test_the_nearest_are_named(base: KnowledgeBase) -> None:
    for code, near in (
        ("q10.3", "ICD10CM:Q10.1, ICD10CM:Q10.2, "),
        ("Q10.111B", "ICD10CM:Q10.111, ICD10CM:Q10.111A, ICD10CM:Q10.111D"),
        ("hp:0000008", "HP:0000007, HP:0000009"),
    ):
        with pytest.raises(KnowledgeError) as caught:
            base.concept(code)
        assert caught.value.hint.startswith(f"the nearest are {near}")


def test_complete_codes_are_those_of_the_official_list(tmp_path: Path, shared_data: Path) -> None:
    folder = shared_data / "vocab/icd10cm"
    tabular = folder / "icd10c-tabular-April-1-2026.xml"
    concepts = read(tabular, source="icd", types=load_types(), rejected=Rejected())
    # Names take most of the time of a build, and say nothing here.
    writer.write((replace(concept, name=concept.id, synonyms=()) for concept in concepts), tmp_path / "kb")
    store = Store(tmp_path / "kb")
    lines = (folder / "code-list-April-2026.txt").read_text("utf-8").split()
    official = {line for line in lines if len(line) == 7 and "-" not in line}
    below = (child for number in range(store.manifest.concepts) for child in codes.children(store, number))
    whole = {child.id.partition(":")[2].replace(".", "") for child in below}
    assert {code for code in whole if len(code) == 7} == official
    assert len(official) > 50_000
    for code in sorted(official)[::500]:
        assert [concept.id.replace(".", "") for _, concept in codes.find(store, code)] == [f"ICD10CM:{code}"]
