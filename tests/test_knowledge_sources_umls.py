"""The UMLS reader: which names and parents it takes, and what broken files cost."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from dirag.data import Concept
from dirag.errors import KnowledgeError, UsageError
from dirag.knowledge.semantics import load_types
from dirag.knowledge.sources import read
from dirag.knowledge.sources.detection import files
from dirag.knowledge.sources.reading import Choice, Rejected

ATOMS = (
    # CUI, language, TS, STT, is preferred, SAB, TTY, code, string, suppressed
    ("C0000001", "ENG", "S", "PF", "Y", "MSH", "ET", "D000001", "Marsh fever", "N"),
    ("C0000001", "ENG", "P", "PF", "Y", "MSH", "MH", "D000001", "Malaria", "N"),
    ("C0000001", "ENG", "P", "VC", "N", "NCI", "SY", "C3", "malaria\rdisease", "N"),
    ("C0000001", "ENG", "S", "PF", "Y", "NCI", "SY", "NOCODE", "Ague", "O"),
    ("C0000001", "FRE", "P", "PF", "Y", "MSHFRE", "MH", "D000001", "Paludisme", "N"),
    ("C0000002", "ENG", "S", "PF", "N", "MSH", "MH", "D000002", "Infection", "N"),
    ("C0000002", "ENG", "S", "PF", "N", "NCI", "PT", "C4", "Infectious Disorder", "N"),
    ("C0000003", "GER", "P", "PF", "Y", "ICPCGER", "PT", "A01", "Schmerz", "N"),
)
TYPES = (("C0000001", "T047", "Disease or Syndrome"), ("C0000002", "T999", "New Type"))
DEFINITIONS = (
    ("C0000001", "MSHFRE", "Maladie.", "N"),
    ("C0000001", "NCI", "Old.", "O"),
    ("C0000001", "MSH", "A fever.", "N"),
)
#: CUI1, REL, CUI2, RELA, SAB, suppressed
RELATIONS = (
    ("C0000001", "CHD", "C0000003", "", "MSH", "N"),
    ("C0000001", "PAR", "C0000001", "", "MSH", "N"),
    ("C0000001", "PAR", "C0000002", "", "MSH", "N"),
    ("C0000001", "PAR", "C0000002", "inverse_isa", "NCI", "N"),
    ("C0000001", "PAR", "C0000003", "", "MSH", "O"),
    ("C0000001", "RB", "C0000009", "inverse_isa", "NCI", "N"),
    ("C0000001", "RB", "C0000003", "", "NCI", "N"),
)  # fmt: skip
SOURCES = {"MSH": "ENG", "NCI": "ENG", "MSHFRE": "FRE", "ICPCGER": "GER"}


def rrf(*fields: str) -> str:
    return "".join(f"{field}|" for field in fields) + "\n"


def conso(
    cui: str, lat: str, ts: str, stt: str, pref: str, sab: str, tty: str, code: str, text: str, off: str
) -> str:
    return rrf(cui, lat, ts, "L1", stt, "S1", pref, "A1", "", "", "", sab, tty, code, text, "0", off, "")


@pytest.fixture
def release(tmp_path: Path) -> Path:
    ranks = (("0002", "NCI", "PT", "N"), ("0001", "MSH", "MH", "N"))
    tables = {
        "MRCONSO": [conso(*atom) for atom in ATOMS],
        "MRSTY": [rrf(cui, tui, "A1", name, "AT1", "") for cui, tui, name in TYPES],
        "MRDEF": [rrf(cui, "A1", "AT1", "", sab, text, off, "") for cui, sab, text, off in DEFINITIONS],
        "MRREL": [
            rrf(one, "A1", "AUI", rel, two, "A2", "AUI", rela, "R1", "", sab, sab, "", "", off, "")
            for one, rel, two, rela, sab, off in RELATIONS
        ],
        "MRRANK": [rrf(*rank) for rank in ranks],
        "MRSAB": [
            rrf(*([""] * 3), sab, *([""] * 15), language, *([""] * 5)) for sab, language in SOURCES.items()
        ],
    }
    for name, rows in tables.items():
        (tmp_path / f"{name}.RRF").write_text("".join(rows), "utf-8", newline="")
    return tmp_path


def load(path: Path, choice: Choice | None = None) -> tuple[dict[str, Concept], Rejected]:
    rejected = Rejected()
    concepts = read(path, source="umls", types=load_types(), rejected=rejected, choice=choice or Choice())
    return {concept.id: concept for concept in concepts}, rejected


def test_a_release(release: Path) -> None:
    concepts, rejected = load(release)
    assert concepts["UMLS:C0000001"] == Concept(
        "UMLS:C0000001",
        "Malaria",
        ("Marsh fever", "malaria disease"),
        ("Disease or Syndrome",),
        "A fever.",
        "umls",
        ("UMLS:C0000002", "UMLS:C0000009"),
        ("MESH:D000001", "NCIT:C3"),
    )
    assert concepts["UMLS:C0000002"].name == "Infectious Disorder"  # by MRRANK, where no atom is preferred
    assert list(concepts) == ["UMLS:C0000001", "UMLS:C0000002"]
    assert rejected.counts == {
        "semantic type that the type map does not know (kept)": 1,
        "parent that is not there (kept)": 1,
    }
    assert rejected.first["parent that is not there (kept)"] == "MRREL.RRF: C0000009"
    assert load(release / "MRCONSO.RRF")[0] == concepts
    assert len(files(release)) == 6


@pytest.mark.parametrize(
    "choice, names",
    [
        (Choice(languages=("fr",)), {"Paludisme"}),
        (Choice(languages=("FRE", "GER")), {"Paludisme", "Schmerz"}),
        (Choice(languages=("fr", "en")), {"Paludisme", "Infectious Disorder"}),
        (Choice(languages=()), {"Malaria", "Infectious Disorder", "Schmerz"}),
        (Choice(vocabularies=("MSH",)), {"Malaria", "Infection"}),
        (Choice(semantic_types=("T047",)), {"Malaria"}),
        (Choice(semantic_types=("Disease or Syndrome", "New Type")), {"Malaria", "Infectious Disorder"}),
    ],
)
def test_what_is_chosen(release: Path, choice: Choice, names: set[str]) -> None:
    concepts, _ = load(release, choice)
    assert {concept.name for concept in concepts.values()} == names


def test_suppressed_rows_by_choice(release: Path) -> None:
    malaria = load(release, Choice(suppressed=True))[0]["UMLS:C0000001"]
    assert "Ague" in malaria.synonyms
    assert malaria.definition == "Old."
    assert "UMLS:C0000003" in malaria.parents
    assert load(release, Choice(vocabularies=("NCI",)))[0]["UMLS:C0000001"].parents == (
        "UMLS:C0000002",
        "UMLS:C0000009",
    )
    assert load(release, Choice(languages=("fr",)))[0]["UMLS:C0000001"].definition == "Maladie."


def test_what_was_chosen_and_is_not_there_is_said(release: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'MSH'"):
        load(release, Choice(vocabularies=("MSHH",)))
    with pytest.raises(KnowledgeError, match="holds no concept that can be used"):
        load(release, Choice(languages=("it",)))


def test_only_mrconso_is_needed(release: Path) -> None:
    for name in ("MRSTY", "MRDEF", "MRREL", "MRSAB", "MRRANK"):
        (release / f"{name}.RRF").unlink()
    concepts, rejected = load(release)
    assert concepts["UMLS:C0000001"].name == "Malaria"
    assert rejected.counts == {"concept without a semantic type (kept)": 2}


def damaged(path: Path, change: Callable[[str], str]) -> None:
    path.write_bytes(change(path.read_bytes().decode()).encode())


SHORT, STRAY = "MRCONSO row without exactly 18 fields", "row of an unknown concept"


@pytest.mark.parametrize(
    "file, change, reason, where",
    [
        ("MRCONSO", lambda text: text[:-30], SHORT, ":8"),
        ("MRCONSO", lambda text: text + "C0000004|ENG\n\n", SHORT, ":9"),
        ("MRCONSO", lambda text: text + conso("X", *ATOMS[0][1:]), "row without a CUI", ":9"),
        ("MRCONSO", lambda text: text.replace("Infection|", " |"), "name that is empty", ": C0000002"),
        ("MRSTY", lambda text: rrf("C0000000", "T047", "", "x", "", "") + text, STRAY, ": C0000000"),
        ("MRDEF", lambda text: text + rrf("C0000009", *"1234567"), STRAY, ": C0000009"),
        ("MRREL", lambda text: text.replace("C0000009", "no"), "relation to what is no CUI", ": C0000001"),
        ("MRREL", lambda text: text.replace("|R1|", "|", 1), "MRREL row without exactly 16 fields", ":1"),
    ],
)
def test_a_broken_row_costs_itself(
    release: Path, file: str, change: Callable[[str], str], reason: str, where: str
) -> None:
    damaged(release / f"{file}.RRF", change)
    concepts, rejected = load(release)
    assert {"UMLS:C0000001", "UMLS:C0000002"} <= set(concepts)
    assert concepts["UMLS:C0000001"].name == "Malaria"
    assert rejected.counts[reason] == 1
    assert rejected.first[reason] == f"{file}.RRF{where}"


@pytest.mark.parametrize("file", ["MRCONSO", "MRREL"])
def test_files_that_are_not_sorted_are_refused(release: Path, file: str) -> None:
    path = release / f"{file}.RRF"
    first = path.read_text("utf-8").splitlines(keepends=True)[0]
    last = first.replace("C0000001", "C0000004", 1)
    damaged(path, lambda text: text + last + first)
    with pytest.raises(
        KnowledgeError, match=r"is not sorted by concept: C0000001 comes after C000000.; sort it: LC_ALL=C"
    ):
        load(release)


def test_packed_files_are_read(release: Path) -> None:
    expected, _ = load(release)
    path = release / "MRCONSO.RRF"
    (release / "MRCONSO.RRF.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert load(release)[0] == expected


def test_a_broken_release_never_crashes(release: Path) -> None:
    """Bytes changed at random: a concept more or less, or a clear refusal."""
    clean = {path: path.read_bytes() for path in release.iterdir()}
    dice = random.Random(7)
    read, refused = 0, []
    for _ in range(80):
        for path, content in clean.items():
            broken = bytearray(content)
            for _ in range(dice.randrange(4)):
                broken[dice.randrange(len(broken))] = dice.choice(b"|\n\r\xff0C\x00")
            path.write_bytes(broken[: dice.choice((None, None, dice.randrange(len(broken))))])
        try:
            read += bool(load(release)[0])
        except KnowledgeError as error:
            refused.append(str(error))
    assert read > 10
    assert refused
    assert all(str(release) in message for message in refused)


def test_parents_of_the_nci_metathesaurus(shared_data: Path) -> None:
    concepts, rejected = load(shared_data / "vocab" / "umls" / "nci-metathesaurus-sample")
    names = {
        concept.name: {concepts[parent].name for parent in concept.parents if parent in concepts}
        for concept in concepts.values()
    }
    assert names["Abdominal Pain"] == {"Abdomen"}
    assert "Sulfhydryl Compounds" in names["Mercaptopurine"]
    assert "Gene" in names["BRCA1 Gene"]
    assert "BRCA1 Gene" not in names["Gene"]
    assert not [reason for reason in rejected.counts if "kept" not in reason]
    mesh = load(shared_data / "vocab" / "umls" / "nci-metathesaurus-sample", Choice(vocabularies=("MSH",)))[0]
    assert 0 < len(mesh) < len(concepts)
    assert all(xref.startswith("MESH:") for concept in mesh.values() for xref in concept.xrefs)
