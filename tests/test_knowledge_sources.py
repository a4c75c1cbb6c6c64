"""The readers of vocabularies, on small files in each format and on the real ones where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from dirag.data import Concept
from dirag.errors import KnowledgeError, UsageError
from dirag.knowledge.semantics import load_types
from dirag.knowledge.sources import Rejected, detect, read

OBO = """format-version: 1.2
ontology: toy

[Term]
id: HP:0000118
name: Phenotypic abnormality

[Term]
id: HP:0000005
name: Mode of inheritance

[Term]
id: HP:1
name: Cough \\{dry\\}
def: "A \\"dry\\" cough.\\nOften at night." [PMID:1, orcid:2]
synonym: "Dry  cough" EXACT layperson [PMID:3 "x"]
synonym: "Tussis" RELATED []
synonym: "Airway sign" BROAD []
synonym: "Old cough" EXACT obsolete_synonym []
synonym: no quotes
is_a: HP:2 {source="x"} ! parent

[Term]
id: HP:2
name: Airway phenotype
is_a: HP:0000118 ! Phenotypic abnormality

[Term]
id: HP:3
name: obsolete Thing
is_obsolete: true

[Term]
id: HP:4

[Typedef]
id: part_of
name: part of
"""

ICD = """<?xml version="1.0" encoding="utf-8"?>
<ICD10CM.tabular><version>2026</version>
<chapter><name>1</name><desc>Certain infectious diseases</desc>
<section id="A00-A09"><desc>Intestinal</desc>
<diag><name>A00</name><desc>Cholera</desc>
 <sevenChrDef><extension char="A">initial encounter</extension></sevenChrDef>
 <diag><name>A00.9</name><desc>Cholera,
   unspecified</desc><inclusionTerm><note>Cholera NOS</note><note>Cholera NOS</note></inclusionTerm>
  <excludes1><note>typhoid</note></excludes1></diag>
 <diag placeholder="true"><name>A00.1X</name><desc>Cholera</desc>
   <diag><name>A00.1X1</name><desc>Cholera, right</desc></diag></diag>
 <diag><name>A00.5</name><desc></desc></diag>
</diag></section></chapter>
<chapter><name>99</name><diag><name>Z1</name><desc>New</desc></diag></chapter>
</ICD10CM.tabular>
"""


def load(path: Path) -> tuple[dict[str, Concept], Rejected]:
    rejected = Rejected()
    concepts = list(read(path, source="toy", types=load_types(), rejected=rejected))
    found = {concept.id: concept for concept in concepts}
    assert len(found) == len(concepts)
    return found, rejected


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_obo(tmp_path: Path) -> None:
    concepts, rejected = load(write(tmp_path / "toy.obo", OBO))
    assert list(concepts) == ["HP:0000118", "HP:0000005", "HP:1", "HP:2"]
    assert concepts["HP:1"] == Concept(
        "HP:1",
        "Cough {dry}",
        ("Dry cough", "Tussis"),
        ("phenotype",),
        'A "dry" cough.\nOften at night.',
        "toy",
    )
    assert concepts["HP:0000005"].semantic_types == ("mode of inheritance",)
    assert rejected.counts == {"synonym without quotes": 1, "term without id or name": 1}
    line = OBO.split("[Term]\nid: HP:4")[0].count("\n") + 1
    assert rejected.first["term without id or name"] == f"toy.obo:{line}"


def test_icd10cm(tmp_path: Path) -> None:
    concepts, rejected = load(write(tmp_path / "list.xml", ICD))
    assert set(concepts) == {f"ICD10CM:{code}" for code in ("A00", "A00.9", "A00.1X1", "Z1")}
    assert concepts["ICD10CM:A00.9"].name == "Cholera, unspecified"
    assert concepts["ICD10CM:A00.9"].synonyms == ("Cholera NOS",)
    assert concepts["ICD10CM:A00.9"].semantic_types == ("infectious disease",)
    assert concepts["ICD10CM:Z1"].semantic_types == ("chapter 99",)
    assert rejected.counts == {"code without name": 1}


@pytest.mark.parametrize("suffix, mark", [(".tsv", "\t"), (".csv", ",")])
def test_tables(tmp_path: Path, suffix: str, mark: str) -> None:
    rows = [
        ["\ufeffid", "extra", "name", "synonyms", "types"],
        ["X:1", "e", "Köln fever", "KF| Köln  disease |KF", "disease"],
        ["X:2", "", "", "", ""],
        ["X:3", "", "Ague"],
        ["X:4", "", "Too", "many", "fields", "here"],
    ]
    concepts, rejected = load(
        write(tmp_path / f"own{suffix}", "\r\n".join(mark.join(row) for row in rows) + "\r\n")
    )
    assert concepts["X:1"] == Concept("X:1", "Köln fever", ("KF", "Köln disease"), ("disease",), source="toy")
    assert list(concepts) == ["X:1", "X:3"]
    assert rejected.counts == {"row without id or name": 1, "row with too many fields": 1}
    assert rejected.first["row without id or name"] == f"own{suffix}:3"


def test_json_lines(tmp_path: Path) -> None:
    lines = [
        '{"id": "X:1", "name": "Ague", "synonyms": ["Marsh fever"], "types": ["disease"], "definition": "d"}',
        "",
        "[1]",
        '{"id": "X:2", ',
        '{"id": "X:3", "name": "lone \\ud800"}',
        '{"id": 4, "name": "Number"}',
    ]
    concepts, rejected = load(write(tmp_path / "own.jsonl", "\n".join(lines)))
    assert concepts["X:1"] == Concept("X:1", "Ague", ("Marsh fever",), ("disease",), "d", "toy")
    assert list(concepts) == ["X:1", "4"]
    assert rejected.counts == {"line that is no JSON object": 1, "line that is not JSON": 2}


def test_medic_lines(tmp_path: Path) -> None:
    text = "D1|2||Ague|Fever, Marsh\nD2||Gout\n\nno bars\nD3||\n"
    concepts, rejected = load(write(tmp_path / "m.txt", text))
    assert concepts["D1"] == Concept("D1", "Ague", ("Fever, Marsh",), ("disease",), source="toy")
    assert list(concepts) == ["D1", "D2"]
    assert rejected.counts == {"line without id or name": 2}


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match="no known vocabulary format"):
        detect(write(tmp_path / "x.bin", "hello"))
    with pytest.raises(KnowledgeError, match="cannot read the vocabulary"):
        detect(tmp_path / "absent.obo")
    with pytest.raises(KnowledgeError, match="no column id"):
        load(write(tmp_path / "x.tsv", "code\tname\n"))
    with pytest.raises(KnowledgeError, match="not readable as ICD-10-CM"):
        load(write(tmp_path / "x.xml", ICD[:400]))
    path = write(tmp_path / "y.tsv", "id\tname\n")
    with pytest.raises(UsageError, match="did you mean 'table'"):
        read(path, source="x", types=load_types(), rejected=Rejected(), format="tables")


def test_the_type_map_can_be_replaced(tmp_path: Path) -> None:
    types = load_types()
    assert types.entities(("phenotype", "neoplasm")) == ("symptom", "disease")
    assert types.entities(("Chemical",)) == ("chemical",)
    assert types.entities(("external cause",)) == ()
    own = write(tmp_path / "t.toml", '[icd10cm]\n[obo]\n[entity_types]\nphenotype = ["finding"]\n')
    assert load_types(own).entities(("phenotype",)) == ("finding",)
    with pytest.raises(KnowledgeError, match="is no type map"):
        load_types(write(own, "[icd10cm]\n"))
    with pytest.raises(KnowledgeError, match="cannot read"):
        load_types(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    "file, concepts, synonyms, example",
    [
        ("icd10cm/icd10c-tabular-April-1-2026.xml", 46_635, 12_500, "ICD10CM:E11.9"),
        ("hpo/hp.obo", 19_034, 21_000, "HP:0001945"),
        ("symp/symp.obo", 895, 200, "SYMP:0000007"),
        ("medic/medic_06Jul2012.txt", 11_914, 64_000, "D001819"),
    ],
)
def test_real_files(shared_data: Path, file: str, concepts: int, synonyms: int, example: str) -> None:
    rejected = Rejected()
    found = list(read(shared_data / "vocab" / file, source="s", types=load_types(), rejected=rejected))
    assert concepts <= len(found) <= concepts + 1
    assert sum(len(concept.synonyms) for concept in found) >= synonyms
    assert example in {concept.id for concept in found}
    assert sum(rejected.counts.values()) <= 1
