"""What readers of vocabularies share: what to take, what was rejected, names made clean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from dirag.data import Concept
from dirag.errors import unknown
from dirag.knowledge.semantics import TypeMap

#: How a synonym relates to its term in OBO.
SCOPES = ("EXACT", "NARROW", "RELATED", "BROAD")


@dataclass(slots=True)
class Rejected:
    """What was left out, or kept in doubt: how often for each reason, and where first."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, where: str) -> None:
        """Counts one more row that is out for this reason."""
        self.counts[reason] += 1
        self.first.setdefault(reason, where)


@dataclass(frozen=True, slots=True)
class Choice:
    """What to take of a vocabulary; an empty tuple takes everything.

    ``languages`` in order of preference ("en" or "ENG"), where a source has several; ``vocabularies`` are
    those that the UMLS is made of, by its abbreviations; ``semantic_types`` names, or identifiers such as
    T047. ``suppressed`` takes names that their publisher marks as obsolete, too.
    """

    languages: tuple[str, ...] = ("en",)
    vocabularies: tuple[str, ...] = ()
    semantic_types: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ("EXACT", "NARROW", "RELATED")
    suppressed: bool = False

    def __post_init__(self) -> None:
        for scope in self.scopes:
            if scope not in SCOPES:
                raise unknown("synonym scope", scope, SCOPES)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader works with; ``source`` names the vocabulary in each concept."""

    source: str
    types: TypeMap
    rejected: Rejected
    choice: Choice = Choice()


class VocabularyReader(Protocol):
    """Reads one vocabulary."""

    def __call__(self, path: Path, reading: Reading) -> Iterator[Concept]: ...


def clean(names: list[str], name: str) -> tuple[str, ...]:
    """Returns synonyms with single spaces, without repeats and without the name itself."""
    stripped = (" ".join(synonym.split()) for synonym in names)
    return tuple(synonym for synonym in dict.fromkeys(stripped) if synonym and synonym != name)
