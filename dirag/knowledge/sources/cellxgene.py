"""Ontologies as CZ CELLxGENE ships them: one JSON object from ids to terms, gzip'ed.

A term has ``label``, ``synonyms``, ``description``, ``deprecated`` and ``ancestors``, each with the number of
steps up to it: parents are those one step up. The semantic type is found as for OBO.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dirag.data import Concept
from dirag.knowledge.sources.opening import json_value
from dirag.knowledge.sources.parents import nearest_types
from dirag.knowledge.sources.reading import Reading, clean


def read(path: Path, reading: Reading) -> Iterator[Concept]:
    """Yields a concept for each term that is not deprecated."""
    terms = json_value(path)
    parents = {
        id: tuple(above for above, steps in term.get("ancestors", {}).items() if steps == 1)
        for id, term in terms.items()
    }
    for id, term in terms.items():
        name = " ".join(str(term.get("label") or "").split())
        if not name:
            reading.rejected.add("term without name", f"{path.name}: {id}")
        elif not term.get("deprecated"):
            yield Concept(
                id,
                name,
                clean(term.get("synonyms", []), name),
                nearest_types(id, parents, reading.types.obo),
                str(term.get("description") or ""),
                reading.source,
                parents[id],
            )
