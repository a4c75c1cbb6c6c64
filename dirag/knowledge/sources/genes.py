"""Genes: NCBI's ``gene_info`` and HGNC's downloads (the custom one and the complete set).

Names are the symbol, earlier symbols, synonyms and full names. Withdrawn entries and placeholders are left
out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from dirag.data import Concept
from dirag.knowledge.sources.delimited import tabs
from dirag.knowledge.sources.identifiers import curies
from dirag.knowledge.sources.opening import lines
from dirag.knowledge.sources.reading import Reading, clean

_GENE_INFO_NAMES = (
    "Synonyms",
    "description",
    "Full_name_from_nomenclature_authority",
    "Symbol_from_nomenclature_authority",
    "Other_designations",
)
#: The columns of HGNC's complete set under the names of the custom download, in small letters.
_HGNC = {
    "hgnc_id": "hgnc id",
    "symbol": "approved symbol",
    "name": "approved name",
    "prev_symbol": "previous symbols",
    "prev_name": "previous name",
    "alias_symbol": "synonyms",
    "alias symbols": "synonyms",
    "alias_name": "alias name",
    "alias names": "alias name",
    "entrez_id": "entrez gene id",
    "ncbi gene id": "entrez gene id",
    "ensembl_gene_id": "ensembl gene id",
    "omim_id": "omim id",
    "uniprot_ids": "uniprot id",
}
_HGNC_NAMES = ("approved name", "previous symbols", "synonyms", "previous name", "alias name")
_HGNC_XREFS = {
    "entrez gene id": "NCBIGENE",
    "ensembl gene id": "ENSEMBL",
    "omim id": "OMIM",
    "uniprot id": "UNIPROT",
}


def read_gene_info(path: Path, reading: Reading) -> Iterator[Concept]:
    """Yields a concept for each gene of NCBI's table."""
    _, first = next(lines(path, reading.rejected))
    # The header of 2015 has its names parted by blanks, later ones by tabs
    header = first.removeprefix("#").removeprefix("Format:").partition("(tab is used")[0].split()
    for where, row in tabs(path, reading.rejected, header):
        row = {column: "" if value == "-" else value for column, value in row.items()}
        identifier, name = row.get("GeneID", ""), row.get("Symbol", "")
        if len(row) < len(header) or not identifier.isdecimal() or not name:
            reading.rejected.add("row without all fields, id or symbol", where)
        elif name != "NEWENTRY":  # NCBI's placeholder, for notes on genes that have no record
            id = f"NCBIGENE:{identifier}"
            synonyms = [part for column in _GENE_INFO_NAMES for part in row.get(column, "").split("|")]
            xrefs = curies(row.get("dbXrefs", "").split("|"), reading.types.prefixes, own=id)
            yield Concept(id, name, clean(synonyms, name), ("gene",), source=reading.source, xrefs=xrefs)


def read_hgnc(path: Path, reading: Reading) -> Iterator[Concept]:
    """Yields a concept for each approved gene of either download."""
    for where, record in tabs(path, reading.rejected):
        row = {_hgnc_column(column): value for column, value in record.items()}
        id, name = row.get("hgnc id", "").strip(), row.get("approved symbol", "").strip()
        if not id or not name:
            reading.rejected.add("row without id or symbol", where)
        elif "withdrawn" not in row.get("status", "").lower():
            synonyms = [part for column in _HGNC_NAMES for part in _several(row, column)]
            xrefs = (
                f"{prefix}:{part}" for column, prefix in _HGNC_XREFS.items() for part in _several(row, column)
            )
            others = curies(xrefs, reading.types.prefixes, own=id)
            yield Concept(id, name, clean(synonyms, name), ("gene",), source=reading.source, xrefs=others)


@cache
def _hgnc_column(column: str) -> str:
    """Returns our name of a column; the custom download adds a supplier: ``OMIM ID(supplied by OMIM)``."""
    column = column.lower().partition("(")[0].strip()
    return _HGNC.get(column, column)


def _several(row: Mapping[str, str], column: str) -> list[str]:
    value = row.get(column, "")
    if column == "approved name":
        return [value]  # may hold a comma of its own
    # The complete set parts values by bars within quotes, the custom download by commas.
    return [part.strip().strip('"') for part in value.split("|" if "|" in value else ", ")]
