"""OBO ontologies (HPO, Disease Ontology, Symptom Ontology, Uberon, ChEBI, MONDO, FamPlex …).

Obsolete terms are left out; the id of one that names its replacement becomes another id of that. The semantic
type is that of the nearest ancestor in the type map, so the file is read twice: first for the hierarchy.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from dirag.data import Concept
from dirag.knowledge.sources.identifiers import curies
from dirag.knowledge.sources.opening import lines
from dirag.knowledge.sources.parents import nearest_types
from dirag.knowledge.sources.reading import Reading, Rejected, clean

Stanza = list[tuple[str, str]]

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"\s*(.*)', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t", "W": " "}
_WORD = re.compile(r"(?:[^\s\\{]|\\.)*")
_MATCH = re.compile(r'(?:skos:exactMatch|http://www.w3.org/2004/02/skos/core#exactMatch)\s+"?([^\s"]+)')
#: MONDO's word for cross-references that are not to the same concept.
_LOOSE = re.compile(r"MONDO:(relatedTo|otherHierarchy|mondoIs\w+|directSiblingOf)")


def read(path: Path, reading: Reading) -> Iterator[Concept]:
    """Yields a concept for each term that is not obsolete."""
    parents: dict[str, tuple[str, ...]] = {}
    replaced: defaultdict[str, list[str]] = defaultdict(list)
    for _, stanza in _terms(path, Rejected()):  # what is wrong is counted in the second pass
        identifier = _first(stanza, "id")
        if _obsolete(stanza):
            for new in _values(stanza, "replaced_by"):
                replaced[_word(new)].append(identifier)
        else:
            parents[identifier] = tuple(dict.fromkeys(map(_word, _values(stanza, "is_a"))))
    for line, stanza in _terms(path, reading.rejected):
        if not _obsolete(stanza):
            where = f"{path.name}:{line}"
            identifier, name = _first(stanza, "id"), " ".join(_unescape(_first(stanza, "name")).split())
            if not identifier or not name:
                reading.rejected.add("term without id or name", where)
                continue
            definition = _QUOTED.match(_first(stanza, "def"))
            yield Concept(
                identifier,
                name,
                clean(list(_synonyms(stanza, reading, where)), name),
                nearest_types(identifier, parents, reading.types.obo),
                _unescape(definition[1]) if definition else "",
                reading.source,
                parents[identifier],
                curies((*_xrefs(stanza), *replaced[identifier]), reading.types.prefixes, own=identifier),
            )


def _terms(path: Path, rejected: Rejected) -> Iterator[tuple[int, Stanza]]:
    """Yields the [Term] stanzas with the line where each starts."""
    start = 0
    stanza: Stanza | None = None
    for number, line in lines(path, rejected):
        if line.startswith("["):
            if stanza is not None:
                yield start, stanza
            start, stanza = number, [] if line.startswith("[Term]") else None
        elif stanza is not None and ":" in line:
            tag, _, value = line.partition(":")
            stanza.append((tag, value.strip()))
    if stanza is not None:
        yield start, stanza


def _values(stanza: Stanza, tag: str) -> Iterable[str]:
    return (value for name, value in stanza if name == tag)


def _first(stanza: Stanza, tag: str) -> str:
    return next(iter(_values(stanza, tag)), "")


def _obsolete(stanza: Stanza) -> bool:
    return ("is_obsolete", "true") in stanza


def _synonyms(stanza: Stanza, reading: Reading, where: str) -> Iterator[str]:
    for value in _values(stanza, "synonym"):
        match = _QUOTED.match(value)
        if not match:
            reading.rejected.add("synonym without quotes", where)
            continue
        scope, *kinds = match[2].split("[")[0].split() or ["RELATED"]
        obsolete = "obsolete_synonym" in kinds and not reading.choice.suppressed
        if scope in reading.choice.scopes and not obsolete:
            yield _unescape(match[1])


def _xrefs(stanza: Stanza) -> Iterator[str]:
    """Yields alternative ids, cross-references and exact matches."""
    for tag, value in stanza:
        if tag == "alt_id" or (tag == "xref" and not _LOOSE.search(value)):
            yield _unescape(_word(value))
        elif tag == "property_value" and (match := _MATCH.match(value)):
            yield match[1]


def _word(value: str) -> str:
    """Returns the id at the beginning, without comment and qualifiers."""
    match = _WORD.match(value)
    return match[0] if match else ""


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), text)
