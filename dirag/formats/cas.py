"""UIMA CAS, as XMI or JSON, as INCEpTION and cTAKES export it: a file is one document.

Annotations of layers that users define, named entities and cTAKES' mentions are entities; tokens, sentences
and what else belongs to the machinery are not. The type is the label that an annotation bears (``value``,
``kind`` …), else the name of its layer; ``identifier`` is its concept. Offsets in UTF-16 are converted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dirag.data import Concept, Document, Entity, Hit, Issue
from dirag.formats import jsonl
from dirag.formats.elements import elements
from dirag.formats.shapes import BadRecordError
from dirag.formats.standoff import utf16_places
from dirag.formats.streams import Stream
from dirag.formats.text import unreadable, whole

#: Layers of the machinery, by the beginning of their name, and those that are entities all the same.
_MACHINERY = re.compile(
    r"uima\.|de\.tudarmstadt\.ukp\.(?:dkpro\.core|clarin\.webanno)\.api\.|org\.dkpro\.core\.api\."
    r"|org\.apache\.ctakes\.typesystem\.type\.(?!textsem\.\w+Mention$)"
)
_ENTITIES = re.compile(r"(?:de\.tudarmstadt\.ukp\.dkpro|org\.dkpro)\.core\.api\.ner\.type\.")
_LABELS = ("value", "label", "kind", "category", "type", "tag", "entity", "class")
_SOFA = "uima.cas.Sofa"
_METADATA = "de.tudarmstadt.ukp.dkpro.core.api.metadata.type.DocumentMetaData"
_XMI_ID = "http://www.omg.org/XMI id"


@dataclass(frozen=True, slots=True)
class _Structure:
    """A feature structure: the full name of its type, its number, that of its sofa, and its features."""

    type: str
    id: str
    sofa: str
    features: Mapping[str, Any]


def read_xmi(stream: Stream, *, name: str, stem: str) -> Iterator[Document]:
    """Yields the document of a file of XMI."""
    structures = (
        _Structure(_type_name(element.tag), element.get(_XMI_ID, ""), element.get("sofa", ""), element.attrib)
        for _, element in elements(stream, None)
    )
    yield _document(structures, name=name, stem=stem)


def read_json(lines: Iterable[bytes], *, name: str, stem: str) -> Iterator[Document]:
    """Yields the document of a file of JSON."""
    try:
        value = jsonl.parse(whole(lines).removeprefix(b"\xef\xbb\xbf"), of="file")
    except BadRecordError as error:
        yield unreadable(stem, where=name, detail=str(error))
        return
    items = value.get("%FEATURE_STRUCTURES") if isinstance(value, dict) else None
    records = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    structures = (
        _Structure(str(item.get("%TYPE", "")), str(item.get("%ID", "")), str(item.get("@sofa", "")), item)
        for item in records
    )
    yield _document(structures, name=name, stem=stem)


def _type_name(tag: str) -> str:
    """Returns the name of a type by that of its element, whose namespace is such as http:///uima/cas.ecore."""
    space, _, local = tag.rpartition(" ")
    package = space.removeprefix("http:///").removesuffix(".ecore").replace("/", ".")
    return f"{package}.{local}" if package and package != "uima.noNamespace" else local


def _document(structures: Iterable[_Structure], *, name: str, stem: str) -> Document:
    sofas: dict[str, str] = {}
    annotations: list[_Structure] = []
    meta = {}
    for structure in structures:
        if structure.type == _SOFA:
            text = structure.features.get("sofaString")
            if isinstance(text, str):
                sofas[structure.id] = text
        elif structure.type == _METADATA:
            meta = {"title": title} if (title := structure.features.get("documentTitle")) else {}
        elif {"begin", "end"} & structure.features.keys() and _is_entity(structure.type):
            annotations.append(structure)
    if not sofas:
        return unreadable(stem, where=name, detail="it is a CAS without a text")
    view, text = next(iter(sofas.items()))
    entities: list[Entity] = []
    issues = [] if text.strip() else [Issue("empty", name)]
    places = utf16_places(text)
    for structure in annotations:
        entity = _entity(structure, text, places) if structure.sofa == view else "it stands in another view"
        if isinstance(entity, Entity):
            entities.append(entity)
        else:
            issues.append(Issue("unusable-label", name, f"annotation {structure.id}: {entity}"))
    return Document(stem, text, tuple(entities), meta, tuple(issues))


def _is_entity(layer: str) -> bool:
    return bool(_ENTITIES.match(layer)) or not _MACHINERY.match(layer)


def _entity(structure: _Structure, text: str, places: Mapping[int, int] | None) -> Entity | str:
    """Returns the entity of an annotation, or what is wrong with it."""
    start, end = (_place(structure.features.get(name), text, places) for name in ("begin", "end"))
    if start is None or end is None or start >= end:
        return "its offsets do not lie in the text"
    features = structure.features
    labels = (features.get(label) for label in _LABELS)
    type_ = next((label for label in labels if isinstance(label, str) and label), "")
    type_ = type_ or structure.type.rpartition(".")[2]
    covered, identifier = text[start:end], features.get("identifier")
    link = None
    if isinstance(identifier, str) and identifier:
        link = Hit(Concept(identifier, ""), covered, "exact", 1.0, start, end)
    return Entity(start, end, type_, covered, link=link)


def _place(value: Any, text: str, places: Mapping[int, int] | None) -> int | None:
    if isinstance(value, str) and value.isdecimal() and len(value) < 12:
        value = int(value)
    if type(value) is not int:
        return None
    place = value if places is None else places.get(value)
    return place if place is not None and 0 <= place <= len(text) else None
