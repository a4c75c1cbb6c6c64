"""The open vocabulary of DrugBank as CSV: drugs with their synonyms, accession, CAS and UNII numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dirag.data import Concept
from dirag.knowledge.sources.delimited import commas
from dirag.knowledge.sources.identifiers import curies
from dirag.knowledge.sources.reading import Reading, clean


def read(path: Path, reading: Reading) -> Iterator[Concept]:
    """Yields a concept for each row with an id and a common name."""
    for where, row in commas(path, reading.rejected):
        identifier, name = row.get("DrugBank ID", "").strip(), " ".join(row.get("Common name", "").split())
        if not identifier or not name:
            reading.rejected.add("row without id or name", where)
            continue
        id = f"DRUGBANK:{identifier}"
        accessions = (f"DRUGBANK:{part.strip()}" for part in row.get("Accession Numbers", "").split("|"))
        numbers = (f"{prefix}:{row.get(prefix, '').strip()}" for prefix in ("CAS", "UNII"))
        yield Concept(
            id,
            name,
            clean(row.get("Synonyms", "").split("|"), name),
            ("drug",),
            source=reading.source,
            xrefs=curies((*accessions, *numbers), reading.types.prefixes, own=id),
        )
