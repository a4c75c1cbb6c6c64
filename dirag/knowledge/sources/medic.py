"""The MEDIC disease list as text: ``id|other id|…||name|synonym|…``, one concept a line.

MEDIC holds diseases only, so that is the semantic type. Other ids are kept as concepts' own only in
the first place; they are not names.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dirag.data import Concept
from dirag.errors import KnowledgeError
from dirag.knowledge.semantics import TypeMap
from dirag.knowledge.sources import Rejected, clean


def read(path: Path, *, source: str, types: TypeMap, rejected: Rejected) -> Iterator[Concept]:
    del types
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                ids, separator, names = line.strip().partition("||")
                identifier = ids.split("|")[0].strip()
                name, *synonyms = (" ".join(name.split()) for name in names.split("|"))
                if separator and identifier and name:
                    yield Concept(identifier, name, clean(synonyms, name), ("disease",), source=source)
                elif line.strip():
                    rejected.add("line without id or name", f"{path.name}:{number}")
    except OSError as error:
        raise KnowledgeError(f"cannot read {path}: {error.strerror}") from error
