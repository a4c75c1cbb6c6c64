"""OBO ontologies (HPO, Symptom Ontology, Disease Ontology, Uberon, ChEBI …): terms with synonyms.

Obsolete terms are left out. Synonyms of every scope are kept except those marked obsolete and those
that a reader should not equate with the term (BROAD). The semantic type is that of the nearest
ancestor in the type map, so the file is read twice: first for the hierarchy, then term by term.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from dirag.data import Concept
from dirag.errors import KnowledgeError
from dirag.knowledge.semantics import TypeMap
from dirag.knowledge.sources import Rejected, clean

Stanza = list[tuple[str, str]]

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"\s*(.*)', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t", "W": " "}


def read(path: Path, *, source: str, types: TypeMap, rejected: Rejected) -> Iterator[Concept]:
    parents = {_first(stanza, "id"): _parents(stanza) for _, stanza in _terms(path)}
    for line, stanza in _terms(path):
        if ("is_obsolete", "true") in stanza:
            continue
        where = f"{path.name}:{line}"
        identifier, name = _first(stanza, "id"), _unescape(_first(stanza, "name")).strip()
        if not identifier or not name:
            rejected.add("term without id or name", where)
            continue
        values = [value for tag, value in stanza if tag == "synonym"]
        for value in values:
            if not _QUOTED.match(value):
                rejected.add("synonym without quotes", where)
        definition = _QUOTED.match(_first(stanza, "def"))
        yield Concept(
            identifier,
            name,
            clean([_synonym(value) for value in values], name),
            _semantic_types(identifier, parents, types),
            _unescape(definition[1]) if definition else "",
            source,
        )


def _terms(path: Path) -> Iterator[tuple[int, Stanza]]:
    """The [Term] stanzas with the line each starts at."""
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            start = 0
            stanza: Stanza | None = None
            for number, line in enumerate(lines, 1):
                if line.startswith("["):
                    if stanza is not None:
                        yield start, stanza
                    start, stanza = number, [] if line.startswith("[Term]") else None
                elif stanza is not None and ":" in line:
                    tag, _, value = line.partition(":")
                    stanza.append((tag, value.strip()))
            if stanza is not None:
                yield start, stanza
    except OSError as error:
        raise KnowledgeError(f"cannot read {path}: {error.strerror}") from error


def _first(stanza: Stanza, tag: str) -> str:
    return next((value for name, value in stanza if name == tag), "")


def _parents(stanza: Stanza) -> list[str]:
    return [value.split("!")[0].split("{")[0].strip() for tag, value in stanza if tag == "is_a"]


def _semantic_types(identifier: str, parents: dict[str, list[str]], types: TypeMap) -> tuple[str, ...]:
    """The types of the nearest mapped ancestors, nearest first."""
    level, seen = [identifier], {identifier}
    while level:
        if found := [types.obo[term] for term in level if term in types.obo]:
            return tuple(dict.fromkeys(found))
        level = [parent for term in level for parent in parents.get(term, ()) if parent not in seen]
        seen.update(level)
    return ()


def _synonym(value: str) -> str:
    match = _QUOTED.match(value)
    if not match or match[2].startswith("BROAD") or "obsolete_synonym" in match[2].split("[")[0]:
        return ""
    return _unescape(match[1])


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), text)
