"""What the default knowledge base is made of: ``kb/default.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from dirag.files import paths


@dataclass(frozen=True, slots=True)
class Defaults:
    """The table: ``vocabularies`` in the order of reading, and by entity type those that give its concepts.

    Those in ``whole`` give what is no entity, too; the names of those in ``evidence`` are evidence beside a
    model. ``names`` are names that notes use, by the id of their concept; ``left_out`` are ids of concepts.
    """

    vocabularies: Sequence[str]
    whole: Sequence[str]
    evidence: Sequence[str]
    entity_types: Mapping[str, Sequence[str]]
    names: Mapping[str, Sequence[str]]
    left_out: Mapping[str, str]

    def types_of(self, vocabulary: str) -> tuple[str, ...]:
        """Returns the entity types whose concepts a vocabulary gives, none where it gives all concepts."""
        if vocabulary in self.whole:
            return ()
        return tuple(type_ for type_, names in self.entity_types.items() if vocabulary in names)


@cache
def read() -> Defaults:
    """Reads the table of the package."""
    return Defaults(**tomllib.loads(paths.path("kb", "default.toml").read_text("utf-8")))
