"""BioC, as XML or JSON: passages with their offsets, and annotations with places in the document.

The text is that of the passages, or of their sentences, each at its offset; a gap between them is a line feed
and spaces. An annotation stands in its passage, whatever that passage's offset. One of several places with
nothing but white space between is one span, others are reported. Relations are left out; the infons of the
document are in ``meta``, those of passages in its ``passages``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeGuard
from xml.etree.ElementTree import Element

from dirag.data import Concept, Document, Entity, Hit, Issue
from dirag.formats.elements import elements
from dirag.formats.shapes import BadRecordError
from dirag.formats.streams import Stream
from dirag.formats.text import unreadable

if TYPE_CHECKING:
    from dirag.data import Json

_WIDEST_GAP = 1000
_TYPES = ("type", "Type", "entity_type")
_IDENTIFIERS = ("identifier", "Identifier", "MESH", "OMIM", "NCBI Gene", "UMLS", "CUI", "concept_id")
_NO_CONCEPT = frozenset({"", "-", "-1", "None"})


def read_xml(stream: Stream, *, name: str, stem: str) -> Iterator[Document]:
    """Yields the documents of a collection, each as soon as it is whole."""
    for number, (line, element) in enumerate(elements(stream, ("document",)), start=1):
        where, fallback = f"{name}:{line}", f"{stem}:{number}"
        try:
            yield document(_record(element), where=where, fallback=fallback)
        except BadRecordError as error:
            yield unreadable(fallback, where=where, detail=str(error), line=line)


def is_document(value: Json) -> TypeGuard[dict[str, Any]]:
    """Tells whether a record of JSON is a document of BioC."""
    passages = value.get("passages") if isinstance(value, dict) else None
    return isinstance(passages, list) and all(isinstance(p, dict) and "offset" in p for p in passages)


def document(record: dict[str, Any], *, where: str, fallback: str) -> Document:
    """Returns the document of a record as BioC has it in JSON. Raises BadRecordError."""
    layout = _Layout()
    labels: list[Any] = list(_list(record, "annotations"))
    for passage in record["passages"]:
        layout.add(passage)
        labels += _list(passage, "annotations")
        for sentence in _list(passage, "sentences"):
            labels += _list(sentence, "annotations")
    text = "".join(layout.pieces)
    issues = [] if text.strip() else [Issue("empty", where)]
    entities: list[Entity] = []
    for number, label in enumerate(labels, start=1):
        entity = _entity(label, text, layout)
        if isinstance(entity, Entity):
            entities.append(entity)
        else:
            issues.append(Issue("unusable-label", where, f"annotation {number}: {entity}"))
    id_ = record.get("id")
    meta: dict[str, Json] = dict(_infons(record))
    if layout.infons:
        meta["passages"] = layout.infons
    return Document(
        str(id_) if id_ not in (None, "") else fallback, text, tuple(entities), meta, tuple(issues)
    )


class _Layout:
    """The text of the passages, and where each piece of it stands in the file and in ours."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.infons: list[Json] = []
        self._places: list[tuple[int, int, int]] = []  # offset in the file, offset in ours, length
        self._length = 0

    def add(self, passage: Any) -> None:
        """Appends a passage, at its offset as far as that lies behind what there is."""
        before = len(self._places)
        sentences = _list(passage, "sentences")
        parts = [passage] if isinstance(passage.get("text"), str) or not sentences else sentences
        for part in parts:
            offset, text = _integer(part.get("offset"), "offset"), part.get("text") or ""
            if not isinstance(text, str):
                raise BadRecordError("the text of a passage is no string")
            self._append(offset, text)
        if infons := _infons(passage):
            self.infons.append({"start": self._places[before][1], "end": self._length, **infons})

    def _append(self, offset: int, text: str) -> None:
        if self._places:
            last, _, length = self._places[-1]
            gap = offset - (last + length)
            filling = "\n".ljust(gap) if 0 < gap <= _WIDEST_GAP else "\n" if gap else ""
            self.pieces.append(filling)
            self._length += len(filling)
        self._places.append((offset, self._length, len(text)))
        self.pieces.append(text)
        self._length += len(text)

    def place(self, offset: int) -> int | None:
        """Returns where an offset of the file lies in our text, None where no passage has it."""
        for first, place, length in self._places:
            if first <= offset < first + length:
                return place + offset - first
        return None


def _entity(label: Any, text: str, layout: _Layout) -> Entity | str:
    """Returns the entity of an annotation, or what is wrong with it."""
    if not isinstance(label, dict):
        return "it is no object"
    infons = _infons(label)
    type_ = next((infons[name] for name in _TYPES if infons.get(name)), None)
    if not isinstance(type_, str):
        return "it has no type"
    spans: list[tuple[int, int]] = []
    for location in _list(label, "locations"):
        try:
            offset, length = (_integer(location.get(name), name) for name in ("offset", "length"))
        except (BadRecordError, AttributeError):
            return "its places are no numbers"
        start = layout.place(offset)
        if start is None or not 0 < length <= len(text) - start:
            return f"its place {offset}+{length} does not lie in a passage"
        spans.append((start, start + length))
    if not spans:
        return "it has no place"
    spans.sort()
    if not all(last <= first and not text[last:first].strip() for (_, last), (first, _) in pairwise(spans)):
        return "its span is discontinuous"
    start, end = spans[0][0], spans[-1][1]
    covered, given = text[start:end], label.get("text")
    if isinstance(given, str) and given.split() != covered.split():
        return f"its text does not stand at its offsets {start}..{end}"
    identifier = next((str(infons[name]) for name in _IDENTIFIERS if infons.get(name)), "")
    if identifier in _NO_CONCEPT:
        return Entity(start, end, type_, covered)
    return Entity(
        start, end, type_, covered, link=Hit(Concept(identifier, ""), covered, "exact", 1.0, start, end)
    )


def _record(element: Element) -> dict[str, Any]:
    """Returns an element of XML as BioC has it in JSON."""
    return {
        "id": element.findtext("id"),
        "infons": {infon.get("key", ""): infon.text or "" for infon in element.findall("infon")},
        "offset": element.findtext("offset"),
        "text": element.findtext("text"),
        "locations": [dict(location.attrib) for location in element.findall("location")],
        **{f"{name}s": [_record(part) for part in element.findall(name)] for name in _PARTS},
    }


_PARTS = ("passage", "sentence", "annotation")


def _list(record: Any, name: str) -> list[Any]:
    value = record.get(name) if isinstance(record, dict) else None
    return value if isinstance(value, list) else []


def _infons(record: Any) -> dict[str, Any]:
    infons = record.get("infons") if isinstance(record, dict) else None
    return infons if isinstance(infons, dict) else {}


def _integer(value: Any, name: str) -> int:
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 12:
        value = int(value)
    if type(value) is not int or value < 0:
        raise BadRecordError(f"{name} is no number")
    return value
