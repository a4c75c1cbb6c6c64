"""JSON Lines: one record a line, read as ``tag`` takes it and written as ``tag`` gives it.

Blank lines and a byte order mark before the first record are skipped. A line that is not UTF-8, not
JSON, no object or without text costs that record. What is written here is read back to the same bytes.
Integers keep their digits, however many.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeGuard, cast, get_args

import orjson

from dirag.data import ISSUES, Concept, Document, Entity, Hit, Issue, Match, Status
from dirag.errors import InputError
from dirag.formats import bioc, shapes
from dirag.formats.shapes import BadRecordError, kind
from dirag.formats.text import unreadable

if TYPE_CHECKING:
    from dirag.data import Json, Result

_BOM = b"\xef\xbb\xbf"
_OWN_KEYS = frozenset({"id", "entities", "issues", "meta"})
_MATCHES = get_args(Match)
_STATUSES: tuple[Status, ...] = get_args(Status)
_DIGITS = 4
# Searched for with every digit as a zero: on a text a pattern would take longer than the parser.
_LONG_INTEGER, _ZEROS = b"0" * 19, bytes.maketrans(b"123456789", b"0" * 9)


def read(lines: Iterable[bytes], *, name: str, stem: str, text_field: str = "text") -> Iterator[Document]:
    """Yields the records of a source, each as soon as its line is there."""
    for number, line in enumerate(lines, start=1):
        content = line.removeprefix(_BOM) if number == 1 else line
        if not content.strip():
            continue
        where, fallback = f"{name}:{number}", f"{stem}:{number}"
        try:
            yield document(parse(content), where=where, fallback=fallback, text_field=text_field)
        except BadRecordError as error:
            yield unreadable(fallback, where=where, detail=str(error), line=number)


def dumps(result: Result) -> bytes:
    """Returns one output record and its line end; the same result gives the same bytes."""
    document = result.document
    record = {
        "id": document.id,
        "text": document.text,
        "entities": [_entity_record(entity) for entity in result.entities],
        "issues": [{"code": i.code, "where": i.where, "detail": i.detail} for i in result.issues],
        "meta": dict(document.meta),
    }
    try:
        return _json_of(record) + b"\n"
    except (TypeError, ValueError) as error:
        # Only documents made in Python come here: the readers refuse what cannot be written back.
        raise InputError(f"document {document.id!r} cannot be written as JSON: {error}") from error


def _json_of(record: object) -> bytes:
    """Returns an object as JSON. Raises TypeError or ValueError where it cannot be said in JSON."""
    try:
        return orjson.dumps(record)
    except TypeError as error:
        if "64-bit" not in str(error):
            raise
        # orjson has integers of 64 bits only.
        return json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _entity_record(entity: Entity) -> dict[str, Json]:
    record: dict[str, Json] = {
        "start": entity.start,
        "end": entity.end,
        "text": entity.text,
        "type": entity.type,
        "score": None if entity.score is None else round(entity.score, _DIGITS),
    }
    if entity.status is not None:
        record["status"] = list(entity.status)
    return record | {"concept": None if entity.link is None else _concept_record(entity.link)}


def _concept_record(hit: Hit) -> dict[str, Json]:
    return {
        "id": hit.concept.id,
        "name": hit.concept.name,
        "semantic_types": list(hit.concept.semantic_types),
        "score": round(hit.score, _DIGITS),
        "match": hit.match,
    }


def parse(line: bytes, *, of: str = "line") -> Json:
    """Returns the value that a line, or something else, holds as JSON. Raises BadRecordError."""
    try:
        line.decode("utf-8")  # orjson's own error would not say at which byte
        value: Json = orjson.loads(line)
        if _LONG_INTEGER in line.translate(_ZEROS):
            value = json.loads(line)  # orjson makes a float of what has more than 64 bits
    except UnicodeDecodeError as error:
        raise BadRecordError(f"byte {error.start} of the {of} is not valid UTF-8") from None
    except orjson.JSONDecodeError as error:
        raise BadRecordError(f"not valid JSON at character {error.pos} of the {of}: {error.msg}") from None
    except RecursionError:
        raise BadRecordError("nested too deep") from None
    return value


def document(value: Json, *, where: str, fallback: str, text_field: str) -> Document:
    """Returns the document of a record, by the id ``fallback`` where it has none. Raises BadRecordError."""
    if bioc.is_document(value):
        passages = bioc.document(value, where=where, fallback=fallback)
        _refuse_depth(passages.meta)
        return passages
    record, notes = shapes.own(value, text_field)
    text = record.get(text_field)
    if text_field not in record:
        raise BadRecordError(f"no field {text_field!r}")
    if not isinstance(text, str):
        raise BadRecordError(f"field {text_field!r} holds {kind(text)} in place of a string")
    entities, bad_labels = _entities(record.get("entities"), text, where)
    issues = _issues(record.get("issues"))
    if not text.strip() and not any(issue.code in ("empty", "unreadable") for issue in issues):
        issues += (Issue("empty", where),)
    issues += (*(Issue("unusable-label", where, note) for note in notes), *bad_labels)
    return Document(_id(record.get("id"), fallback), text, entities, _meta(record, text_field), issues)


def _id(value: Json, fallback: str) -> str:
    if value is None:
        return fallback
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise BadRecordError(f"field 'id' holds {kind(value)} in place of a string or an integer")
    return str(value)


def _meta(record: dict[str, Json], text_field: str) -> dict[str, Json]:
    """Returns keys that are not ours, beside those of ``meta``, which stays one key where they clash."""
    known = {*_OWN_KEYS, text_field}
    if _own_issues(record.get("issues")) is None:
        known.discard("issues")
    extra = {key: value for key, value in record.items() if key not in known}
    inner = record.get("meta")
    if isinstance(inner, dict) and not inner.keys() & extra.keys():
        meta = {**inner, **extra}
    else:
        meta = extra if inner is None else {**extra, "meta": inner}
    _refuse_depth(meta)
    return meta


def _refuse_depth(meta: Mapping[str, Json]) -> None:
    try:
        _json_of({"meta": dict(meta)})  # as deep as in the record
    except (TypeError, RecursionError):
        raise BadRecordError("nested too deep to be written again") from None


def _issues(value: Json) -> tuple[Issue, ...]:
    return tuple(Issue(**issue) for issue in _own_issues(value) or ())


def _own_issues(value: Json) -> list[dict[str, str]] | None:
    """Returns issues as ``dumps`` writes them; None where the key is some other thing of the user's."""
    if value is None:
        return []
    if isinstance(value, list) and all(_is_issue(item) for item in value):
        return cast("list[dict[str, str]]", value)
    return None


def _is_issue(item: Json) -> bool:
    return (
        isinstance(item, dict)
        and item.keys() == {"code", "where", "detail"}
        and _are_strings(list(item.values()))
        and item["code"] in ISSUES
    )


def _entities(value: Json, text: str, where: str) -> tuple[tuple[Entity, ...], tuple[Issue, ...]]:
    if value is None:
        return (), ()
    if not isinstance(value, list):
        return (), (
            Issue("unusable-label", where, f"field 'entities' holds {kind(value)} in place of an array"),
        )
    entities: list[Entity] = []
    issues: list[Issue] = []
    for ordinal, item in enumerate(value, start=1):
        try:
            entities.append(_entity(item, text))
        except BadRecordError as error:
            issues.append(Issue("unusable-label", where, f"entity {ordinal}: {error}"))
    return tuple(entities), tuple(issues)


def _entity(item: Json, text: str) -> Entity:
    if not isinstance(item, dict):
        raise BadRecordError(f"{kind(item)} in place of an object")
    start, end, type_ = item.get("start"), item.get("end"), item.get("type")
    if not _is_offset(start) or not _is_offset(end) or not 0 <= start < end <= len(text):
        raise BadRecordError("its offsets do not lie in the text")
    if not isinstance(type_, str) or not type_:
        raise BadRecordError("it has no type")
    covered = text[start:end]
    if item.get("text", covered) != covered:
        raise BadRecordError("its text does not stand at its offsets")
    score, status = _score(item.get("score")), _status(item.get("status"))
    return Entity(start, end, type_, covered, score, _hit(item.get("concept"), covered, start, end), status)


def _hit(value: Json, alias: str, start: int, end: int) -> Hit | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BadRecordError(f"its concept is {kind(value)} in place of an object")
    id_, name, types = value.get("id"), value.get("name", ""), value.get("semantic_types", [])
    match = value.get("match", "exact")
    if (
        not isinstance(id_, str)
        or not isinstance(name, str)
        or not _are_strings(types)
        or match not in _MATCHES
    ):
        raise BadRecordError("its concept is not as this program writes it")
    score = _score(value.get("score"))
    concept = Concept(id_, name, semantic_types=tuple(types))
    return Hit(concept, alias, cast("Match", match), 1.0 if score is None else score, start, end)


def _score(value: Json) -> float | None:
    if value is None:
        return None
    # In Python True is a number, in JSON it is none.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise BadRecordError("its score is not a number from 0 to 1")
    return float(value)


def _status(value: Json) -> tuple[Status, ...] | None:
    if not isinstance(value, list):
        return None  # none, or a key of the user's own
    if unknown := [label for label in value if label not in _STATUSES]:
        known = ", ".join(_STATUSES)
        raise BadRecordError(f"{len(unknown)} of its {len(value)} labels of status are none of {known}")
    return tuple(label for label in _STATUSES if label in value)


def _is_offset(value: Json) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _are_strings(value: Json) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
