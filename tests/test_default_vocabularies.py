"""The default knowledge base: its table fits the vocabularies, and its choice is carried out."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

from dirag.assembly.sources import DEFAULT_TYPES
from dirag.files import known, paths
from dirag.knowledge import defaults
from dirag.knowledge.base import KnowledgeBase, VocabularySource, build, open_default
from dirag.knowledge.semantics import load_types
from dirag.knowledge.sources import read
from dirag.knowledge.sources.reading import Rejected

TABLE = defaults.read()
NOTES = runpy.run_path(str(Path(__file__).with_name("benchmarks") / "note_links.py"))
#: An id of ``names`` with the name of its concept, which stands behind in a comment.
_COMMENTED = re.compile(r'^"([^"]+)" = \[.*\]  # (.+)$', re.MULTILINE)


def test_every_type_has_vocabularies_that_can_be_fetched() -> None:
    assert set(DEFAULT_TYPES) == set(TABLE.entity_types)
    assert set(TABLE.vocabularies) == {name for names in TABLE.entity_types.values() for name in names}
    assert all(known.get(name).kind == "vocabulary" for name in TABLE.vocabularies)
    assert set(TABLE.evidence) | set(TABLE.whole) < set(TABLE.vocabularies)


def test_names_are_given_to_no_concept_whose_names_are_evidence() -> None:
    given = TABLE.names.keys() | TABLE.left_out.keys()
    assert not [id for id in given if id.startswith(("HP:", "ICD10CM:"))]
    assert not TABLE.names.keys() & TABLE.left_out.keys()
    assert all(len(names) == len(set(names)) for names in TABLE.names.values())


def test_the_ids_of_the_table_are_of_concepts_so_called(weights: Callable[[str], Path]) -> None:
    types = load_types()
    names = {
        concept.id: concept.name
        for vocabulary in TABLE.vocabularies
        if vocabulary not in TABLE.evidence
        for concept in read(weights(vocabulary), source="", types=types, rejected=Rejected())
    }
    text = paths.path("kb", "default.toml").read_text("utf-8")
    commented = dict(_COMMENTED.findall(text))
    assert commented.keys() == TABLE.names.keys()
    assert {id: names.get(id) for id in commented} == commented
    assert not [id for id in TABLE.left_out if id not in names]


@pytest.fixture
def toys(tmp_path: Path) -> KnowledgeBase:
    rows = ("T:1\tGlee\tsymptom", "T:2\tGloom\tgene|disease", "T:3\tGlow\tgene", "T:4\tGlue\tsymptom")
    (tmp_path / "toys.tsv").write_text("id\tname\ttypes\n" + "\n".join(rows) + "\n", "utf-8")
    source = VocabularySource(
        tmp_path / "toys.tsv",
        TABLE.vocabularies[-1],
        entity_types=("disease", "symptom"),
        names={"T:1": ["Joy"]},
        left_out=frozenset({"T:4"}),
    )
    build([source], tmp_path / "kb")
    return KnowledgeBase(tmp_path / "kb")


def test_a_vocabulary_gives_the_types_and_names_that_are_asked_of_it(toys: KnowledgeBase) -> None:
    assert toys.manifest.concepts == 2
    assert toys.index.lookup(["joy"])[0][0].concept.id == "T:1"
    assert toys.index.lookup(["gloom"])[0][0].concept.semantic_types == ("disease",)
    assert set(toys.linkers_for(DEFAULT_TYPES)) == {"disease", "symptom"}


def test_evidence_is_of_the_vocabularies_that_the_weights_know_and_of_ones_own(
    toys: KnowledgeBase, tmp_path: Path
) -> None:
    assert toys.evidence_for(DEFAULT_TYPES).scan("glee and gloom") == []
    assert len(toys.index_for(DEFAULT_TYPES).scan("glee and gloom")) == 2
    build([VocabularySource(tmp_path / "toys.tsv", "mine")], tmp_path / "own")
    own = KnowledgeBase(tmp_path / "own")
    assert len(own.evidence_for(DEFAULT_TYPES).scan("glee and gloom")) == 2


JUDGED = Path(__file__).with_name("note_links.tsv")
#: The least share of the gold mentions of a type that get a concept.
COVERED = {"chemical": 0.90, "disease": 0.85, "anatomy": 0.70}


def judged() -> list[list[str]]:
    return [line.split("\t") for line in JUDGED.read_text("utf-8").splitlines()]


def test_every_link_judged_by_hand_has_a_verdict_with_a_reason() -> None:
    header, *rows = judged()
    assert header == ["type", "mention", "id", "name", "verdict", "reason"]
    assert len(rows) == len({tuple(row[:4]) for row in rows}) >= 150
    assert {row[4] for row in rows} == {"right", "wrong"}
    assert all(len(row) == 6 and all(row) for row in rows)


@pytest.mark.weights
def test_notes_are_linked_and_rightly(weights: Callable[[str], Path], shared_data: Path) -> None:
    for vocabulary in TABLE.vocabularies:
        weights(vocabulary)
    notes = shared_data / "corpora/clinical-notes/devel.jsonl"
    every = list(NOTES["links"](open_default(offline=True), notes))
    covered = {type_: linked / number for type_, (linked, number) in NOTES["coverage"](every).items()}
    assert {type_ for type_, least in COVERED.items() if covered[type_] < least} == set()
    verdicts = {tuple(row[:4]): row[4] for row in judged()}
    known_ones = [verdicts[key] for link in every if (key := tuple(link.row.split("\t"))) in verdicts]
    assert len(known_ones) > 100
    assert known_ones.count("right") / len(known_ones) >= 0.93
