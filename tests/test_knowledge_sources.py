"""The readers of vocabularies: what is common to them, OBO, ICD-10-CM, MEDIC, tables, and every real file."""

from __future__ import annotations

import gzip
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirag.data import Concept
from dirag.errors import KnowledgeError, UsageError
from dirag.knowledge.semantics import load_types
from dirag.knowledge.sources import read
from dirag.knowledge.sources.detection import detect, files
from dirag.knowledge.sources.identifiers import curie, from_iri
from dirag.knowledge.sources.parents import circles
from dirag.knowledge.sources.reading import Choice, Rejected

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
alt_id: HP:11
def: "A \\"dry\\" cough.\\nOften at night." [PMID:1, orcid:2]
synonym: "Dry  cough" EXACT layperson [PMID:3 "x"]
synonym: "Tussis" RELATED []
synonym: "Airway sign" BROAD []
synonym: "Old cough" EXACT obsolete_synonym []
synonym: no quotes
xref: UMLS:C0000001 "Cough"
xref: MSH:D003371
xref: SNOMEDCT_US_2025_09_01:49727002 {source="MONDO:equivalentTo"}
xref: DOID:7 {source="MONDO:relatedTo"}
xref: PMID:1
xref: url:http\\://x.org
property_value: skos:exactMatch "ORDO:12" xsd:string
is_a: HP:2 {source="x"} ! parent

[Term]
id: HP:2
name: Airway phenotype
is_a: HP:0000118 ! Phenotypic abnormality

[Term]
id: HP:3
name: obsolete Thing
is_obsolete: true
replaced_by: HP:1

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


def load(path: Path, choice: Choice | None = None) -> tuple[dict[str, Concept], Rejected]:
    rejected = Rejected()
    concepts = list(
        read(path, source="toy", types=load_types(), rejected=rejected, choice=choice or Choice())
    )
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
        ("HP:2",),
        ("HP:11", "UMLS:C0000001", "MESH:D003371", "SNOMEDCT:49727002", "ORPHA:12", "HP:3"),
    )
    assert concepts["HP:0000005"].semantic_types == ("mode of inheritance",)
    assert rejected.counts == {"synonym without quotes": 1, "term without id or name": 1}
    assert concepts["HP:0000005"].parents == concepts["HP:0000005"].xrefs == ()
    line = OBO.split("[Term]\nid: HP:4")[0].count("\n") + 1
    assert rejected.first["term without id or name"] == f"toy.obo:{line}"


def test_icd10cm(tmp_path: Path) -> None:
    concepts, rejected = load(write(tmp_path / "list.xml", ICD))
    assert set(concepts) == {f"ICD10CM:{code}" for code in ("A00", "A00.9", "A00.1X1", "Z1")}
    assert concepts["ICD10CM:A00.9"].name == "Cholera, unspecified"
    assert concepts["ICD10CM:A00.9"].synonyms == ("Cholera NOS",)
    assert concepts["ICD10CM:A00.9"].semantic_types == ("infectious disease",)
    assert concepts["ICD10CM:Z1"].semantic_types == ("chapter 99",)
    assert concepts["ICD10CM:A00.9"].parents == concepts["ICD10CM:A00.1X1"].parents == ("ICD10CM:A00",)
    assert concepts["ICD10CM:A00"].parents == concepts["ICD10CM:Z1"].parents == ()
    assert concepts["ICD10CM:A00"].extensions == (("A", "initial encounter"),)
    assert concepts["ICD10CM:A00.9"].extensions == ()
    assert rejected.counts == {"code without name": 1}


def test_codes_that_a_note_excepts_have_characters_of_their_own(tmp_path: Path) -> None:
    note = "7th characters D and S do not apply to codes in category Q01 with 6th character 7 - a, or 8 - b."
    characters = "".join(f'<extension char="{c}">{c}\n {c}</extension>' for c in "ADS")
    codes = "".join(f"<diag><name>Q01.1X{c}</name><desc>Q</desc></diag>" for c in "1789")
    text = f"""<ICD10CM.tabular><chapter><name>1</name><diag><name>Q01</name><desc>Q</desc>
<sevenChrDef>{characters}</sevenChrDef><notes><note>{note}</note></notes>
<diag><name>Q01.1</name><desc>Q</desc>{codes}</diag></diag></chapter></ICD10CM.tabular>"""
    concepts, _ = load(write(tmp_path / "list.xml", text))
    extensions = {id: "".join(c for c, _ in concept.extensions) for id, concept in concepts.items()}
    assert extensions.pop("ICD10CM:Q01") == "ADS"
    assert concepts["ICD10CM:Q01"].extensions[1] == ("D", "D D")
    assert {id for id, characters in extensions.items() if characters == "A"} == {
        "ICD10CM:Q01.1X7",
        "ICD10CM:Q01.1X8",
    }
    assert set(extensions.values()) == {"A", ""}


def test_obo_scopes_and_obsolete_synonyms_by_choice(tmp_path: Path) -> None:
    path = write(tmp_path / "toy.obo", OBO)
    assert load(path, Choice(scopes=("EXACT",)))[0]["HP:1"].synonyms == ("Dry cough",)
    assert load(path, Choice(scopes=("BROAD",)))[0]["HP:1"].synonyms == ("Airway sign",)
    assert "Old cough" in load(path, Choice(suppressed=True))[0]["HP:1"].synonyms
    with pytest.raises(UsageError, match="did you mean 'EXACT'"):
        Choice(scopes=("EXAKT",))


def test_semantic_types_by_choice(tmp_path: Path) -> None:
    path = write(tmp_path / "toy.obo", OBO)
    assert list(load(path, Choice(semantic_types=("mode of inheritance",)))[0]) == ["HP:0000005"]
    with pytest.raises(KnowledgeError, match="none of the 4 concepts"):
        load(path, Choice(semantic_types=("T047",)))


def test_hierarchies_with_circles_and_gaps_end_and_are_counted(tmp_path: Path) -> None:
    terms = {"X:1": "X:2", "X:2": "X:3", "X:3": "X:1", "X:4": "X:4", "X:5": "X:9", "X:6": "X:1"}
    text = "".join(f"[Term]\nid: {term}\nname: {term}\nis_a: {up}\n\n" for term, up in terms.items())
    concepts, rejected = load(write(tmp_path / "toy.obo", text))
    assert {term: concept.parents for term, concept in concepts.items()} == {
        term: (up,) for term, up in terms.items()
    }
    assert rejected.counts == {
        "concept without a semantic type (kept)": 6,
        "parent that is not there (kept)": 1,
        "parent that closes a circle (kept)": 2,
    }
    assert rejected.first["parent that is not there (kept)"] == "toy.obo: X:5 under X:9"


@given(st.dictionaries(st.sampled_from("abcdefg"), st.lists(st.sampled_from("abcdefgh")).map(tuple)))
def test_circles_are_found_where_there_are_any(parents: dict[str, tuple[str, ...]]) -> None:
    found = list(circles(parents))
    assert all(parent in parents[child] for child, parent in found)
    try:
        TopologicalSorter(parents).prepare()
    except CycleError:
        assert found
    else:
        assert not found
    without = {
        child: tuple(up for up in above if (child, up) not in found) for child, above in parents.items()
    }
    assert not list(circles(without))


@pytest.mark.parametrize("suffix, mark", [(".tsv", "\t"), (".csv", ",")])
def test_tables(tmp_path: Path, suffix: str, mark: str) -> None:
    rows = [
        ["\ufeffid", "extra", "name", "synonyms", "types", "parents", "xrefs"],
        ["X:1", "e", "Köln fever", "KF| Köln  disease |KF", "disease", "X:3|X:3", "MSH:D1|nothing|X:1"],
        ["X:2", "", "", "", ""],
        ["X:3", "", "Ague"],
        ["X:4", "", "Too", "many", "fields", "here", "and", "there"],
        ["X:1", "", "Again", "", "disease"],
    ]
    concepts, rejected = load(
        write(tmp_path / f"own{suffix}", "\r\n".join(mark.join(row) for row in rows) + "\r\n")
    )
    assert concepts["X:1"] == Concept(
        "X:1",
        "Köln fever",
        ("KF", "Köln disease"),
        ("disease",),
        source="toy",
        parents=("X:3",),
        xrefs=("MESH:D1",),
    )
    assert list(concepts) == ["X:1", "X:3"]
    assert rejected.counts == {
        "row without id or name": 1,
        "row with too many fields": 1,
        "id that was there before (left out)": 1,
        "concept without a semantic type (kept)": 1,
    }
    assert rejected.first["row without id or name"] == f"own{suffix}:3"


def test_quotes_in_tables(tmp_path: Path) -> None:
    tsv = 'id\tname\nX:1\t"Fever, ""high"""\nX:2\t"open\nX:3\tBells\' "palsy"\n'
    concepts, _ = load(write(tmp_path / "own.tsv", tsv))
    assert [concept.name for concept in concepts.values()] == ['Fever, "high"', '"open', 'Bells\' "palsy"']
    csv = 'id,name\nX:1,"Fever,\nhigh"\nX:2,"a"b\nX:3,Ague\nX:4,"open\nX:5,lost\n'
    concepts, rejected = load(write(tmp_path / "own.csv", csv))
    assert [concept.name for concept in concepts.values()] == ["Fever, high", "Ague"]
    places = {reason: where for reason, where in rejected.first.items() if "CSV" in reason}
    assert sorted(places.values()) == ["own.csv:4-4", "own.csv:6-7"]


def test_json_lines(tmp_path: Path) -> None:
    lines = [
        '{"id": "X:1", "name": "Ague", "synonyms": ["Marsh fever"], "types": ["disease"], "definition": "d",'
        ' "parents": ["X:4"], "xrefs": ["UMLS_CUI:C1"]}',
        "",
        "[1]",
        '{"id": "X:2", ',
        '{"id": "X:3", "name": "lone \\ud800"}',
        '{"id": 4, "name": "Number", "types": "disease"}',
    ]
    concepts, rejected = load(write(tmp_path / "own.jsonl", "\n".join(lines)))
    assert concepts["X:1"] == Concept(
        "X:1", "Ague", ("Marsh fever",), ("disease",), "d", "toy", ("X:4",), ("UMLS:C1",)
    )
    assert list(concepts) == ["X:1", "4"]
    assert rejected.counts == {
        "line that is no JSON object": 1,
        "line that is not JSON": 2,
        "parent that is not there (kept)": 1,
    }


def test_medic_lines(tmp_path: Path) -> None:
    text = "D1|2||Ague|Fever, Marsh\nC2|MESH:D9||Gout\n\nno bars\nD3||\n17||Rash\n"
    concepts, rejected = load(write(tmp_path / "m.txt", text))
    assert concepts["MESH:D1"] == Concept(
        "MESH:D1", "Ague", ("Fever, Marsh",), ("disease",), source="toy", xrefs=("OMIM:2",)
    )
    assert list(concepts) == ["MESH:D1", "MESH:C2", "OMIM:17"]
    assert concepts["MESH:C2"].xrefs == ("MESH:D9",)
    assert rejected.counts == {"line without id or name": 2}


def test_bad_bytes_and_carriage_returns_cost_a_name_and_not_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.txt"
    path.write_bytes(b"\xef\xbb\xbfD1||Ague|Marsh\rfever\nD2||Caf\xe9 au lait|Spot\r\n")
    concepts, rejected = load(path)
    assert concepts["MESH:D1"].synonyms == ("Marsh fever",)
    assert concepts["MESH:D2"].synonyms == ("Spot",)
    assert rejected.first == {"line with bytes that are no UTF-8 (read as \ufffd)": "m.txt:2"}


def test_gzip_is_read_as_what_is_in_it(tmp_path: Path) -> None:
    plain = write(tmp_path / "toy.obo", OBO)
    packed = tmp_path / "toy.obo.gz"
    packed.write_bytes(gzip.compress(OBO.encode()))
    assert load(packed)[0] == load(plain)[0]
    packed.write_bytes(gzip.compress(OBO.encode() * 100)[:-20])
    with pytest.raises(KnowledgeError, match="cannot read the vocabulary"):
        load(packed)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match="no known vocabulary format"):
        detect(write(tmp_path / "x.bin", "hello"))
    with pytest.raises(KnowledgeError, match="no known vocabulary format"):
        detect(write(tmp_path / "x.owl", '<?xml version="1.0"?>\n<rdf:RDF xmlns="x"/>'))
    with pytest.raises(KnowledgeError, match="cannot read the vocabulary"):
        detect(tmp_path / "absent.obo")
    with pytest.raises(KnowledgeError, match=r"neither MRCONSO\.RRF nor an RF2 snapshot"):
        detect(tmp_path)
    with pytest.raises(KnowledgeError, match="one file of a UMLS release"):
        detect(write(tmp_path / "MRSTY.RRF", "C0000005|T116|A1|Protein|AT1||\n"))
    with pytest.raises(KnowledgeError, match="no column id"):
        load(write(tmp_path / "x.tsv", "code\tname\n"))
    with pytest.raises(KnowledgeError, match="not readable as ICD-10-CM"):
        load(write(tmp_path / "x.xml", ICD.replace("<desc>", "<desc", 2)))
    with pytest.raises(KnowledgeError, match="not readable as ICD-10-CM XML: unknown encoding"):
        load(write(tmp_path / "x.xml", ICD.replace("utf-8", "utf-0")))
    path = write(tmp_path / "y.tsv", "id\tname\n")
    with pytest.raises(UsageError, match="did you mean 'table'"):
        read(path, source="x", types=load_types(), rejected=Rejected(), format="tables")


def test_xml_that_breaks_off_is_read_that_far(tmp_path: Path) -> None:
    concepts, rejected = load(write(tmp_path / "x.xml", ICD[: ICD.index("<diag placeholder")]))
    assert list(concepts) == ["ICD10CM:A00.9"]
    assert rejected.counts["file that breaks off (what stood whole is read)"] == 1
    assert rejected.counts["parent that is not there (kept)"] == 1
    with pytest.raises(KnowledgeError, match="holds no concept that can be used: 1 x file that breaks off"):
        load(write(tmp_path / "x.xml", ICD[: ICD.index("<name>A00<")]))


@pytest.mark.parametrize("name", ["x.obo", "x.tsv", "x.xml", "MRCONSO.RRF", "x.json", "x.txt"])
@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_file_is_refused_by_name(tmp_path: Path, name: str, text: str) -> None:
    path = write(tmp_path / name, text)
    with pytest.raises(KnowledgeError, match=f"the vocabulary {path} is empty"):
        load(path)


def test_a_file_without_a_concept_is_refused_with_the_commonest_reason(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=r"holds no concept that can be used$"):
        load(write(tmp_path / "x.obo", "format-version: 1.2\n"))
    with pytest.raises(KnowledgeError, match=r"2 x row without id or name, first at x\.tsv:2"):
        load(write(tmp_path / "x.tsv", "id\tname\nX:1\nX:2\t\n"))


def test_the_type_map_can_be_replaced_line_by_line(tmp_path: Path) -> None:
    types = load_types()
    assert types.entities(("phenotype", "neoplasm")) == ("symptom", "disease", "problem")
    assert types.entities(("Chemical of ours",)) == ("chemical of ours",)
    assert types.entities(("external cause",)) == ()
    own = load_types(write(tmp_path / "t.toml", '[entity_types]\nphenotype = ["finding"]\nmine = []\n'))
    assert own.entities(("phenotype", "mine", "neoplasm")) == ("finding", "disease", "problem")
    assert own.obo == types.obo
    for text in (
        "[icd10]\n",
        "obo = 3\n",
        "[obo]\nX = 3\n",
        '[entity_types]\nx = "disease"\n',
        "[",
        "\ud800",
    ):
        (tmp_path / "t.toml").write_bytes(text.encode("utf-8", "surrogatepass"))
        with pytest.raises(KnowledgeError, match=r"t\.toml"):
            load_types(tmp_path / "t.toml")
    with pytest.raises(KnowledgeError, match="cannot read"):
        load_types(tmp_path / "absent.toml")


def test_every_semantic_type_of_the_map_leads_to_entity_types() -> None:
    types = load_types()
    named = {*types.icd10cm.values(), *types.obo.values(), *types.mesh.values(), *types.umls.values()}
    assert named <= set(types.entity_types)
    assert len(types.umls) == len(set(types.umls.values())) >= 127
    assert types.entities((types.umls["T047"],))[0] == "disease"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("MSH:D1", "MESH:D1"),
        ("mesh:D1", "MESH:D1"),
        ("UMLS_CUI:C1", "UMLS:C1"),
        ("SNOMEDCT_US_2025_09_01:1", "SNOMEDCT:1"),
        ("ICD9CM_2005:1.2", "ICD9CM:1.2"),
        ("HGNC:HGNC:5", "HGNC:5"),
        ("HPO:HP:0000001", "HP:0000001"),
        ("Beilstein:5", "Beilstein:5"),
        ("PMID:5", ""),
        ("url:http://x", ""),
        ("http://x.org/y", ""),
        ('BEL:"9-1-1', ""),
        ("no id", ""),
        ("X:", ""),
        (":5", ""),
    ],
)
def test_ids_have_one_form(text: str, expected: str) -> None:
    assert curie(text, load_types().prefixes) == expected


PIECES = st.sampled_from(
    ["HP", "HPO", "hgnc", "MSH", "PMID", "x", "_2005", "_01", ":", ":", "/", '"', " ", "1"]
)


@given(st.lists(PIECES, max_size=8).map("".join))
def test_an_id_in_its_one_form_stays_as_it_is(text: str) -> None:
    prefixes = load_types().prefixes
    once = curie(text, prefixes)
    assert curie(once, prefixes) == once


def test_iris_of_ontologies_are_ids() -> None:
    assert from_iri("http://purl.obolibrary.org/obo/DOID_0050894") == "DOID:0050894"
    assert from_iri("http://purl.obolibrary.org/obo/UBERON_0001") == "UBERON:0001"
    assert from_iri("http://www.orpha.net/ORDO/Orphanet_12") == "Orphanet:12"
    assert from_iri("MESH:D1") == "MESH:D1"


@pytest.mark.parametrize(
    "file, format, concepts, names, parents, xrefs",
    [
        ("icd10cm/icd10c-tabular-April-1-2026.xml", "icd10cm", 46_635, 59_199, 44_717, 0),
        ("hpo/hp.obo", "obo", 19_034, 40_973, 23_392, 22_005),
        ("hpo/hp-2013-11-30.obo", "obo", 10_223, 16_663, 13_458, 8_755),
        ("do/NCIthesaurus.obo", "obo", 4_750, 13_098, 4_780, 23_777),
        ("do/DO_cancer_slim.obo", "obo", 729, 1_992, 657, 3_227),
        ("do/DO_cancer_slim.json", "obographs", 729, 1_992, 657, 3_227),
        ("symp/symp.obo", "obo", 895, 1_142, 898, 389),
        ("symp/symp.json", "obographs", 895, 1_142, 898, 389),
        ("uberon/uberon_import.obo", "obo", 7_576, 24_854, 12_727, 0),
        ("chebi/chebi_import.obo", "obo", 1_583, 7_163, 2_272, 3_372),
        ("mondo/mondo-sample.obo", "obo", 9, 86, 8, 0),
        ("genes/famplex/famplex.obo", "obo", 784, 2_722, 753, 2_231),
        ("mesh/desc2015-subset.xml", "mesh", 2, 10, 0, 2),
        ("mesh/nlm-2006-sample/xml2006sample.xml", "mesh", 1, 6, 0, 1),
        ("medic/medic_06Jul2012.txt", "medic", 11_915, 76_237, 0, 3_028),
        ("drugs/drugbank_vocabulary.csv", "drugbank", 19_842, 55_594, 0, 33_543),
        ("genes/Homo_sapiens.gene_info", "gene_info", 56_424, 258_208, 0, 112_144),
        ("genes/hgnc_custom.tsv", "hgnc", 18_997, 78_590, 0, 68_994),
        ("umls/nci-metathesaurus-sample", "umls", 2_137, 10_840, 752, 3_251),
        ("umls/scispacy-fixture", "umls", 2, 3, 0, 2),
        ("snomed/RF2Release", "snomed", 100, 163, 112, 1),
    ],
)
def test_real_files(
    shared_data: Path, file: str, format: str, concepts: int, names: int, parents: int, xrefs: int
) -> None:
    path = shared_data / "vocab" / file
    assert detect(path) == format
    assert all(part.is_file() for part in files(path))
    found, _ = load(path)
    assert len(found) == concepts
    assert sum(1 + len(concept.synonyms) for concept in found.values()) == names
    assert sum(len(concept.parents) for concept in found.values()) == parents
    assert sum(len(concept.xrefs) for concept in found.values()) == xrefs


def test_json_and_obo_of_one_ontology_say_the_same(shared_data: Path) -> None:
    for stem in ("do/DO_cancer_slim", "symp/symp"):
        left, right = (load(shared_data / "vocab" / f"{stem}{suffix}")[0] for suffix in (".obo", ".json"))
        assert left.keys() == right.keys()
        for identifier, concept in left.items():
            other = right[identifier]
            assert concept.name == other.name
            assert set(concept.synonyms) == set(other.synonyms)
            assert concept.semantic_types == other.semantic_types
            assert set(concept.parents) == set(other.parents)
            assert set(concept.xrefs) == set(other.xrefs)
