"""OBO Graphs JSON: the same ontologies as OBO, and the same rules (see ``obo``).

Read as a stream of nodes and edges, twice: first for the hierarchy. Properties are passed over.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import TypeAlias

import orjson

from dirag.data import Concept
from dirag.errors import KnowledgeError
from dirag.knowledge.sources.identifiers import curies, from_iri
from dirag.knowledge.sources.opening import binary
from dirag.knowledge.sources.parents import nearest_types
from dirag.knowledge.sources.reading import Reading, Rejected, clean

Node: TypeAlias = dict[str, object]

_CHUNK = 1 << 20
_LONGEST = 1 << 26  # characters of one node; a file that is no JSON would be read to its end
_ARRAY = re.compile(r'(?<!\\)"(nodes|edges)"\s*:\s*\[')
_BLANK = re.compile(r"[\s,]*")
_REPLACED_BY = "http://purl.obolibrary.org/obo/IAO_0100001"
_OTHER_IDS = (
    "http://www.geneontology.org/formats/oboInOwl#hasAlternativeId",
    "http://www.w3.org/2004/02/skos/core#exactMatch",
)


def read(path: Path, reading: Reading) -> Iterator[Concept]:
    """Yields a concept for each node that is neither a property nor deprecated."""
    parents: defaultdict[str, tuple[str, ...]] = defaultdict(tuple)
    replaced: defaultdict[str, list[str]] = defaultdict(list)
    for array, member in _members(path, Rejected()):  # what is wrong is counted in the second pass
        if array == "edges" and member.get("pred") == "is_a":
            child, parent = _id(member, "sub"), _id(member, "obj")
            parents[child] = tuple(dict.fromkeys((*parents[child], parent)))
        elif array == "nodes" and _meta(member).get("deprecated") is True:
            for new in _properties(member, _REPLACED_BY):
                replaced[from_iri(new)].append(_id(member, "id"))
    for array, node in _members(path, reading.rejected):
        identifier, meta = _id(node, "id"), _meta(node)
        if array == "edges" or node.get("type") == "PROPERTY" or meta.get("deprecated") is True:
            continue
        name = " ".join(str(node.get("lbl") or "").split())
        if not identifier or not name:
            reading.rejected.add("node without id or name", f"{path.name}: {identifier or 'a node'}")
            continue
        definition = meta.get("definition")
        others = [*_properties(node, *_OTHER_IDS), *_values(meta.get("xrefs"), "val"), *replaced[identifier]]
        yield Concept(
            identifier,
            name,
            clean(list(_synonyms(meta, reading, f"{path.name}: {identifier}")), name),
            nearest_types(identifier, parents, reading.types.obo),
            str(definition.get("val") or "") if isinstance(definition, dict) else "",
            reading.source,
            parents.get(identifier, ()),
            curies(map(from_iri, others), reading.types.prefixes, own=identifier),
        )


def _members(path: Path, rejected: Rejected) -> Iterator[tuple[str, Node]]:
    """Yields the nodes and edges of every graph of the file, which is never held whole."""
    decoder = json.JSONDecoder()
    with binary(path) as stream, TextIOWrapper(stream, "utf-8", "replace") as text:
        buffer, place, array = "", 0, ""
        while chunk := text.read(_CHUNK):
            buffer, place = buffer[place:] + chunk, 0
            while True:
                if not array:
                    opening = _ARRAY.search(buffer, place)
                    if not opening:
                        place = max(place, len(buffer) - 64)  # the key may be cut by the end of the chunk
                        break
                    array, place = opening[1], opening.end()
                place = _BLANK.match(buffer, place).end()  # type: ignore[union-attr]
                if buffer.startswith("]", place):
                    array = ""
                    continue
                try:
                    member, end = decoder.raw_decode(buffer, place)
                except json.JSONDecodeError:
                    break  # not whole yet
                # Python's json takes half a surrogate pair and orjson, which writes the base, does not.
                if "\\ud" in buffer[place:end] and not _encodable(member):
                    rejected.add("text with half a surrogate pair", f"{path.name}: {member!r:.60}")
                elif isinstance(member, dict):
                    yield array, member
                else:
                    rejected.add(f"one of the {array} that is no object", path.name)
                place = end
            if len(buffer) - place > _LONGEST:
                break
    if array:
        raise KnowledgeError(f"{path} is not readable as JSON: its list of {array} breaks off or is damaged")


def _encodable(member: object) -> bool:
    try:
        orjson.dumps(member)
    except TypeError:
        return False
    return True


def _id(member: Node, key: str) -> str:
    return from_iri(str(member.get(key) or ""))


def _meta(node: Node) -> Node:
    meta = node.get("meta")
    return meta if isinstance(meta, dict) else {}


def _values(members: object, key: str) -> Iterator[str]:
    for member in members if isinstance(members, list) else ():
        if isinstance(member, dict) and isinstance(value := member.get(key), str):
            yield value


def _properties(node: Node, *predicates: str) -> Iterator[str]:
    properties = _meta(node).get("basicPropertyValues")
    for entry in properties if isinstance(properties, list) else ():
        if isinstance(entry, dict) and entry.get("pred") in predicates:
            yield str(entry.get("val") or "")


def _synonyms(meta: Node, reading: Reading, where: str) -> Iterator[str]:
    synonyms = meta.get("synonyms")
    for entry in synonyms if isinstance(synonyms, list) else ():
        if not isinstance(entry, dict):
            reading.rejected.add("synonym that is no object", where)
            continue
        scope = str(entry.get("pred")).removeprefix("has").removesuffix("Synonym").upper()
        obsolete = "obsolete_synonym" in str(entry.get("synonymType")) and not reading.choice.suppressed
        if scope in reading.choice.scopes and not obsolete:
            yield str(entry.get("val") or "")
