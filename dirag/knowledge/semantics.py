"""Which entity types a concept stands for, by a table that is data (``kb/types.toml``) and can be replaced.

A vocabulary's own classes become semantic types when it is read; semantic types become entity types
when it is used. A semantic type without a line stands for itself.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dirag import resources
from dirag.errors import KnowledgeError


@dataclass(frozen=True, slots=True)
class TypeMap:
    """The tables: ICD-10-CM chapter and OBO ancestor to semantic type, semantic type to entity types."""

    icd10cm: Mapping[str, str]
    obo: Mapping[str, str]
    entity_types: Mapping[str, Sequence[str]]

    def entities(self, semantic_types: Sequence[str]) -> tuple[str, ...]:
        """The entity types of these semantic types, the preferred one first."""
        found = (self.entity_types.get(name, (name.lower(),)) for name in semantic_types)
        return tuple(dict.fromkeys(entity for entities in found for entity in entities))


def load_types(path: Path | None = None) -> TypeMap:
    """The type map of a TOML file, or the one that comes with the package."""
    path = path or resources.path("kb", "types.toml")
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        return TypeMap(**table)
    except OSError as error:
        raise KnowledgeError(f"cannot read the type map {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError) as error:
        hint = "it needs exactly the tables icd10cm, obo and entity_types"
        raise KnowledgeError(f"{path} is no type map: {error}", hint=hint) from error
