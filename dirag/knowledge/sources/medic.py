"""The MEDIC disease list as text: ``id|other id|…||name|synonym|…``, one concept a line.

MEDIC holds diseases only, so that is the semantic type. Its ids are MeSH's (D…, C…) and OMIM's (digits),
written without prefix; they get theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dirag.data import Concept
from dirag.knowledge.sources.identifiers import curies
from dirag.knowledge.sources.opening import lines
from dirag.knowledge.sources.reading import Reading, clean


def read(path: Path, reading: Reading) -> Iterator[Concept]:
    """Yields a concept for each line with an id and a name."""
    for number, line in lines(path, reading.rejected):
        ids, separator, names = line.strip().partition("||")
        first, *others = (_prefixed(identifier.strip()) for identifier in ids.split("|"))
        name, *synonyms = (" ".join(name.split()) for name in names.split("|"))
        if separator and first and name:
            xrefs = curies(others, reading.types.prefixes, own=first)
            yield Concept(
                first, name, clean(synonyms, name), ("disease",), source=reading.source, xrefs=xrefs
            )
        elif line.strip():
            reading.rejected.add("line without id or name", f"{path.name}:{number}")


def _prefixed(identifier: str) -> str:
    if not identifier or ":" in identifier:
        return identifier
    return f"{'OMIM' if identifier.isdecimal() else 'MESH'}:{identifier}"
