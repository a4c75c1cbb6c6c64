"""Readers of vocabularies: a file in its publisher's own format to a stream of concepts.

A row that cannot be used is counted with its reason and first place, and never ends the reading; a
file in no known format is refused.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

from dirag.data import Concept
from dirag.errors import KnowledgeError, unknown
from dirag.knowledge.semantics import TypeMap

#: Format name -> the function that reads it.
FORMATS = {
    "icd10cm": "dirag.knowledge.sources.icd10cm:read",
    "obo": "dirag.knowledge.sources.obo:read",
    "table": "dirag.knowledge.sources.table:read",
    "medic": "dirag.knowledge.sources.medic:read",
}


@dataclass(slots=True)
class Rejected:
    """The rows that could not be used: how many for each reason, and where the first one was."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, where: str) -> None:
        self.counts[reason] += 1
        self.first.setdefault(reason, where)


class Reader(Protocol):
    """Reads one file; ``source`` names the vocabulary in each concept."""

    def __call__(
        self, path: Path, *, source: str, types: TypeMap, rejected: Rejected
    ) -> Iterator[Concept]: ...


def read(
    path: Path, *, source: str, types: TypeMap, rejected: Rejected, format: str | None = None
) -> Iterator[Concept]:
    """The concepts of a vocabulary file, in its order."""
    format = format or detect(path)
    if format not in FORMATS:
        raise unknown("vocabulary format", format, FORMATS)
    module, _, name = FORMATS[format].partition(":")
    reader = cast("Reader", getattr(importlib.import_module(module), name))
    return reader(path, source=source, types=types, rejected=rejected)


def detect(path: Path) -> str:
    """The format of a vocabulary file, by its suffix and its first line."""
    try:
        with path.open("rb") as stream:
            head = stream.read(4096)
    except OSError as error:
        raise KnowledgeError(f"cannot read the vocabulary {path}: {error.strerror}") from error
    if path.suffix in (".tsv", ".csv", ".jsonl"):
        return "table"
    if path.suffix == ".obo" or head.startswith(b"format-version:"):
        return "obo"
    if b"<ICD10CM.tabular>" in head:
        return "icd10cm"
    if b"||" in head.split(b"\n", 1)[0]:
        return "medic"
    raise KnowledgeError(
        f"{path} is in no known vocabulary format",
        hint=f"known: {', '.join(sorted(FORMATS))}; a table of your own is .tsv, .csv or .jsonl",
    )


def clean(names: list[str], name: str) -> tuple[str, ...]:
    """Synonyms without blanks around them, without repeats and without the name itself."""
    stripped = (" ".join(synonym.split()) for synonym in names)
    return tuple(synonym for synonym in dict.fromkeys(stripped) if synonym and synonym != name)
