"""The SNOMED CT reader: a small release by hand with a broken row of each kind, and the real layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from dirag.data import Concept
from dirag.errors import KnowledgeError
from dirag.knowledge.semantics import load_types
from dirag.knowledge.sources import read
from dirag.knowledge.sources.detection import detect, files
from dirag.knowledge.sources.reading import Choice, Rejected
from dirag.knowledge.sources.snomed import (
    AMERICAN,
    DEFINITION,
    FULLY_SPECIFIED,
    IS_A,
    PREFERRED,
    REPLACED_BY,
)

SYNONYM, ACCEPTABLE, BRITISH = 900000000000013009, 900000000000549004, 900000000000508004

CONCEPTS = [(1, 1), (2, 1), (3, 0), (4, 1), (2, 1), ("x", 1)]
DESCRIPTIONS = [
    (11, 1, 1, "en", FULLY_SPECIFIED, "Anaemia (disorder)"),
    (12, 1, 1, "en", SYNONYM, "Anaemia"),
    (13, 1, 1, "en", SYNONYM, "Anemia"),
    (14, 0, 1, "en", SYNONYM, "Old anaemia"),
    (15, 1, 1, "es", SYNONYM, "anemia en español"),
    (21, 1, 2, "en", FULLY_SPECIFIED, "Disease (disorder)"),
    (31, 1, 3, "en", FULLY_SPECIFIED, "Retired (finding)"),
    (41, 1, 4, "es", SYNONYM, "sólo español"),
    (99, 1, 77, "en", SYNONYM, "of nothing"),
]
RELATIONSHIPS = [
    (51, 1, 1, 2, IS_A),
    (52, 0, 1, 4, IS_A),
    (53, 1, 1, 4, 363698007),
    (54, 1, 2, 9, IS_A),
    (55, 1, 4, 2, IS_A),
    (56, 1, 2, 4, IS_A),
]
PREFERENCES = [
    (12, BRITISH, PREFERRED),
    (13, AMERICAN, PREFERRED),
    (13, BRITISH, ACCEPTABLE),
    (21, AMERICAN, PREFERRED),
]


def write(path: Path, header: str, rows: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\r\n".join([header.replace(" ", "\t"), *rows, ""]), "utf-8", newline="")


@pytest.fixture
def release(tmp_path: Path) -> Path:
    terms, references = tmp_path / "Snapshot" / "Terminology", tmp_path / "Snapshot" / "Refset"
    write(
        terms / "sct2_Concept_Snapshot_INT_20300101.txt",
        "id effectiveTime active moduleId definitionStatusId",
        [f"{concept}\t2030\t{active}\tm\td" for concept, active in CONCEPTS],
    )
    header = "id effectiveTime active moduleId conceptId languageCode typeId term caseSignificanceId"
    rows = [
        f"{row}\t2030\t{on}\tm\t{of}\t{code}\t{kind}\t{term}\tc"
        for row, on, of, code, kind, term in DESCRIPTIONS
    ]
    write(terms / "sct2_Description_Snapshot-en_INT_20300101.txt", header, [*rows, "16\t2030\t1\tm"])
    write(
        terms / "sct2_TextDefinition_Snapshot-en_INT_20300101.txt",
        header,
        [f"17\t2030\t1\tm\t1\ten\t{DEFINITION}\tToo little haemoglobin.\tc"],
    )
    write(
        tmp_path / "Full" / "sct2_Description_Full-en_INT_20300101.txt",
        header,
        ["18\t2001\t1\tm\t1\ten\t1\tFull\tc"],
    )
    write(
        terms / "sct2_Relationship_Snapshot_INT_20300101.txt",
        "id effectiveTime active moduleId sourceId destinationId relationshipGroup typeId modifierId",
        [
            f"{row}\t2030\t{on}\tm\t{child}\t{parent}\t0\t{kind}\tc"
            for row, on, child, parent, kind in RELATIONSHIPS
        ],
    )
    write(
        references / "der2_cRefset_LanguageSnapshot-en_INT_20300101.txt",
        "id effectiveTime active moduleId refsetId referencedComponentId acceptabilityId",
        [f"u\t2030\t1\tm\t{refset}\t{term}\t{how}" for term, refset, how in PREFERENCES],
    )
    write(
        references / "der2_cRefset_AssociationReferenceSnapshot_INT_20300101.txt",
        "id effectiveTime active moduleId refsetId referencedComponentId targetComponentId",
        [f"u\t2030\t1\tm\t{REPLACED_BY}\t3\t1", "u\t2030\t1\tm\t900000000000523009\t4\t1"],
    )
    return tmp_path


def load(path: Path, choice: Choice | None = None) -> tuple[dict[str, Concept], Rejected]:
    rejected = Rejected()
    concepts = read(path, source="snomed", types=load_types(), rejected=rejected, choice=choice or Choice())
    return {concept.id: concept for concept in concepts}, rejected


def test_a_release(release: Path) -> None:
    assert detect(release) == "snomed"
    assert len(files(release)) == 6
    concepts, rejected = load(release)
    assert concepts["SNOMEDCT:1"] == Concept(
        "SNOMEDCT:1",
        "Anemia",
        ("Anaemia",),
        ("disorder",),
        "Too little haemoglobin.",
        "snomed",
        ("SNOMEDCT:2",),
        ("SNOMEDCT:3",),
    )
    assert concepts["SNOMEDCT:2"].name == "Disease"
    assert list(concepts) == ["SNOMEDCT:1", "SNOMEDCT:2"]
    assert rejected.counts == {
        "id that was there before (left out)": 1,
        "row without all fields, or with an id that is no number": 2,
        "description of an unknown concept": 1,
        "concept without a term in the languages chosen": 1,
        "parent that is not there (kept)": 2,
    }
    where = "sct2_Concept_Snapshot_INT_20300101.txt:6"
    assert rejected.first["id that was there before (left out)"] == where


def test_languages_and_inactive_descriptions_by_choice(release: Path) -> None:
    spanish, rejected = load(release, Choice(languages=("es", "en")))
    assert spanish["SNOMEDCT:1"].name == "anemia en español"
    assert "Anaemia" in spanish["SNOMEDCT:1"].synonyms
    assert spanish["SNOMEDCT:4"].semantic_types == ()
    assert rejected.counts["parent that closes a circle (kept)"] == 1
    assert load(release, Choice(languages=("SPA",)))[0]["SNOMEDCT:1"].synonyms == ()
    assert "Old anaemia" in load(release, Choice(suppressed=True))[0]["SNOMEDCT:1"].synonyms
    with pytest.raises(KnowledgeError, match="holds no concept"):
        load(release, Choice(languages=("fr",)))


def test_the_real_layout(shared_data: Path) -> None:
    concepts, _ = load(shared_data / "vocab" / "snomed" / "RF2Release")
    root = concepts["SNOMEDCT:138875005"]
    assert root.name == "SNOMED CT Concept"
    assert not root.parents
    bleeding = concepts["SNOMEDCT:131148009"]
    assert bleeding.name == "Bleeding"
    assert bleeding.semantic_types == ("finding",)
    types = load_types()
    assert {kind for concept in concepts.values() for kind in concept.semantic_types} <= set(
        types.entity_types
    )
