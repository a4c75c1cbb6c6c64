"""Which entity types a concept stands for, by tables that are data (``kb/types.toml``).

A vocabulary's own classes become semantic types when it is read; semantic types become entity types
when it is used. A semantic type without a line stands for itself. A file of one's own is laid over the
default one, line by line.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from dirag.errors import KnowledgeError
from dirag.files import paths

_Table = dict[str, object]


@dataclass(frozen=True, slots=True)
class TypeMap:
    """The tables, each from a vocabulary's own classes to semantic types, but for the two named below.

    ``entity_types`` leads from semantic types to entity types; ``prefixes`` from the ways to write the
    prefix of an id, in capitals, to one of them, and to "" where it is the id of no concept.
    """

    icd10cm: Mapping[str, str]
    obo: Mapping[str, str]
    entity_types: Mapping[str, Sequence[str]]
    umls: Mapping[str, str] = field(default_factory=dict)
    mesh: Mapping[str, str] = field(default_factory=dict)
    prefixes: Mapping[str, str] = field(default_factory=dict)

    def entities(self, semantic_types: Sequence[str]) -> tuple[str, ...]:
        """Returns the entity types of these semantic types, the preferred one first."""
        types = (self.entity_types.get(name, (name.lower(),)) for name in semantic_types)
        return tuple(dict.fromkeys(entity for entities in types for entity in entities))


TABLES = tuple(table.name for table in fields(TypeMap))


def load_types(path: Path | None = None) -> TypeMap:
    """Reads the type map of the package, with the lines of a TOML file of one's own laid over it."""
    tables = _read(paths.path("kb", "types.toml"))
    if path is not None:
        for name, lines in _read(path).items():
            tables[name] = tables.get(name, {}) | lines
    return TypeMap(**tables)  # type: ignore[arg-type]


def _read(path: Path) -> dict[str, _Table]:
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise KnowledgeError(f"cannot read the type map {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KnowledgeError(f"{path} is no type map: {error}") from error
    for name, lines in tables.items():
        if name not in TABLES or not isinstance(lines, dict):
            hint = f"its tables are {', '.join(TABLES)}"
            raise KnowledgeError(f"{path} is no type map: it has {name!r}", hint=hint)
        for key, value in lines.items():
            if not _fits(name, value):
                kind = "a list of strings" if name == "entity_types" else "a string"
                raise KnowledgeError(f"{path}: {name}.{key} is {value!r} and not {kind}")
    return tables


def _fits(table: str, value: object) -> bool:
    if table != "entity_types":
        return isinstance(value, str)
    return isinstance(value, list) and all(isinstance(entity, str) for entity in value)
