"""Records of JSON as other tools write them, brought to the shape of ours.

Known are those of doccano, Prodigy, Label Studio (with or without ``data`` and ``annotations``), spaCy (a
pair of text and ``entities``), GLiNER and of corpora with tokens and tags. Offsets are handed on as they are;
but where a text has characters beyond 16 bits, and labels stand in it only as JavaScript counts, which has
two for each of these, they are counted so. What is dropped, a note says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeGuard

from dirag.formats.bio_tags import ANY_SCHEME, WordSpan, reading_of, to_entities
from dirag.formats.standoff import utf16_places

if TYPE_CHECKING:
    from dirag.data import Json

Record = dict[str, Any]

# Where tools keep the labels of a text, and what they call the parts of a label. The first one counts.
_LABELS = ("entities", "spans", "label", "labels", "annotations", "annotation", "ner", "result")
_STARTS = ("start", "start_offset", "startOffset", "start_char", "begin")
_ENDS = ("end", "end_offset", "endOffset", "end_char", "stop")
_TYPES = ("type", "label", "labels", "entity_group", "entity_type", "category", "tag", "class", "entity")
_TAGS = ("ner_tags", "tags", "labels", "ner", "label")
#: Where records without a text have its tokens.
TOKENS = ("tokens", "tokenized_text", "words")
#: Where one object holds many records.
_CONTAINERS = ("documents", "PubTator3", "data", "examples", "records", "items", "rows", "annotations")


class BadRecordError(Exception):
    """Why something is no record; never holds any of its text."""


def kind(value: Json) -> str:
    """Names the kind of a value, with its article."""
    kinds = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")


def records(value: Json, text_field: str) -> Iterator[Json]:
    """Yields the records of a value: itself, or those that it is a container of."""
    if isinstance(value, dict) and text_field not in value:
        for name in _CONTAINERS:
            inside = value.get(name)
            if isinstance(inside, list) and any(isinstance(item, dict) or _is_pair(item) for item in inside):
                if name == "annotations" and "data" in value:
                    break  # a task of Label Studio
                for item in inside:
                    yield from records(item, text_field) if item is not None else ()
                return
    yield value


def own(value: Json, text_field: str) -> tuple[Record, list[str]]:
    """Returns a record in our shape, and notes on what of it is lost. Raises BadRecordError."""
    if _is_pair(value):
        value = {**value[1], text_field: value[0]}
    if not isinstance(value, dict):
        raise BadRecordError(f"{kind(value)} in place of an object")
    record, notes = _task(value, text_field)
    if text_field not in record:
        record, more = _of_tokens(record, text_field)
        notes += more
    text = record.get(text_field)
    for name in _LABELS:
        labels = record.get(name)
        if not isinstance(text, str) or not isinstance(labels, list) or not any(map(_is_foreign, labels)):
            continue
        if name != "entities" and not all(map(_is_span, labels)):
            continue
        if record.get("answer") in ("reject", "ignore"):
            notes, labels = [*notes, f"its {len(labels)} labels were not accepted"], []
        # One key of labels only: what others hold stays as it is.
        rest = {key: item for key, item in record.items() if key != name}
        spans = [span for item in labels for span in _spans(item)]
        return {**rest, "entities": _in_code_points(text, spans)}, notes
    return record, notes


def _is_pair(value: Any) -> TypeGuard[tuple[str, Record]]:
    """Tells whether a value is a text and its labels, as spaCy was trained on them."""
    if not isinstance(value, list) or len(value) != 2:
        return False
    text, labels = value
    return isinstance(text, str) and isinstance(labels, dict) and isinstance(labels.get("entities"), list)


def _task(record: Record, text_field: str) -> tuple[Record, list[str]]:
    """Takes the text and the labels out of ``data`` and ``annotations``, where they lie in these."""
    data = record.get("data")
    if text_field in record or not isinstance(data, dict | str):
        return record, []
    rest = {key: item for key, item in record.items() if key != "data"}
    if isinstance(data, str):
        return {**rest, text_field: data}, []
    texts = [item for item in data.values() if isinstance(item, str)]
    if text_field not in data and len(texts) == 1:
        data = {text_field if item is texts[0] else key: item for key, item in data.items()}
    rest = {**data, **rest}
    for name in ("annotations", "completions", "predictions"):
        versions = rest.get(name)
        if isinstance(versions, list) and versions and all(_has_result(version) for version in versions):
            del rest[name]
            usable = [version for version in versions if not version.get("was_cancelled")]
            notes = [f"{len(usable) - 1} further {name} of it are left out"] if len(usable) > 1 else []
            return {**rest, "result": usable[0]["result"] if usable else []}, notes
    return rest, []


def _has_result(version: Any) -> TypeGuard[Record]:
    return isinstance(version, dict) and isinstance(version.get("result"), list)


def _of_tokens(record: Record, text_field: str) -> tuple[Record, list[str]]:
    """Joins tokens by spaces where there are only these, with the entities of their tags or word spans."""
    tokens = next((record[name] for name in TOKENS if name in record), None)
    if not _are_strings(tokens) or not tokens:
        return record, []
    rest = {key: item for key, item in record.items() if item is not tokens}
    spans: list[WordSpan] = []
    notes: list[str] = []
    for name in _TAGS:
        tags = rest.get(name)
        if isinstance(tags, list) and len(tags) == len(tokens) and not any(map(_is_word_span, tags)):
            del rest[name]
            if not _are_strings(tags):
                notes = [f"its {name} are numbers, whose names are unknown"]
                break
            read = reading_of(set(tags))
            spans, refused = ANY_SCHEME.spans([read(tag) for tag in tags])
            notes = [f"{len(refused)} of its tags are of no scheme"] if refused else []
            break
        if isinstance(tags, list) and tags and all(map(_is_word_span, tags)):
            del rest[name]
            inside = [span for span in tags if 0 <= span[0] <= span[1] < len(tokens)]
            spans = [WordSpan(first, last + 1, type_) for first, last, type_ in inside]
            notes = (
                [f"{len(tags) - len(inside)} of its labels lie outside"] if len(inside) < len(tags) else []
            )
            break
    # An empty token has no characters to be an entity of.
    spans = [span for span in spans if any(tokens[span.start : span.end])]
    entities = [{"start": e.start, "end": e.end, "type": e.type} for e in to_entities(tokens, spans)]
    return {**rest, text_field: " ".join(tokens), "entities": entities}, notes


def _is_word_span(item: Any) -> TypeGuard[tuple[int, int, str]]:
    return (
        isinstance(item, list)
        and len(item) == 3
        and all(isinstance(n, int) and not isinstance(n, bool) for n in item[:2])
        and isinstance(item[2], str)
    )


def _is_foreign(item: Any) -> bool:
    """Tells whether a label is a span in another shape than ours."""
    return _is_span(item) and not (isinstance(item, dict) and {"start", "end", "type"} <= item.keys())


def _is_span(item: Any) -> bool:
    if isinstance(item, list):
        return _is_word_span(item[:3])
    if not isinstance(item, dict):
        return False
    if "type" in item and ("value" in item or "from_id" in item):
        return True  # of Label Studio, where choices and relations stand beside labels
    return any(name in item for name in _STARTS) and any(name in item for name in _ENDS)


def _spans(item: Any) -> Iterator[Any]:
    """Yields the labels of an item in our shape, one of each type; what is none of a text gives nothing."""
    if isinstance(item, list):
        yield dict(zip(("start", "end", "type"), item, strict=False))
        return
    if not isinstance(item, dict) or not _is_foreign(item):
        yield item
        return
    if "value" in item or "from_id" in item:
        if _is_span(value := item.get("value")):
            yield from _spans({**value, "score": item.get("score")} if isinstance(value, dict) else value)
        return
    label = {
        name: next((item[key] for key in keys if key in item), None)
        for name, keys in (("start", _STARTS), ("end", _ENDS), ("type", _TYPES))
    }
    label |= {name: item[name] for name in ("text", "score", "concept") if item.get(name) is not None}
    types = label["type"] if isinstance(label["type"], list) else [label["type"]]
    yield from ({**label, "type": type_} for type_ in types)


def _in_code_points(text: str, labels: list[Any]) -> list[Any]:
    """Returns labels with offsets that count code points, where those given count UTF-16."""
    places = utf16_places(text)
    given = [label for label in labels if isinstance(label, dict) and isinstance(label.get("text"), str)]
    if places is None or all(_stands(text, label, None) for label in given):
        return labels
    if not all(_stands(text, label, places) for label in given):
        return labels
    return [
        {**label, **{name: places.get(label[name], label[name]) for name in ("start", "end")}}
        if isinstance(label, dict) and all(type(label.get(name)) is int for name in ("start", "end"))
        else label
        for label in labels
    ]


def _stands(text: str, label: Record, places: dict[int, int] | None) -> bool:
    start: Any = label.get("start")
    end: Any = label.get("end")
    if places is not None:
        start, end = places.get(start), places.get(end)
    return (
        type(start) is int
        and type(end) is int
        and 0 <= start <= end <= len(text)
        and text[start:end] == label["text"]
    )


def _are_strings(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
