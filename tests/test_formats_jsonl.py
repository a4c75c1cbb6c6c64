"""Laws of the JSONL reader and writer: nothing in a record changes by writing and reading it."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirag.data import ISSUES, Concept, Document, Entity, Hit, Issue, Result, Status
from dirag.errors import InputError
from dirag.formats import jsonl

_STATUSES: tuple[Status, ...] = get_args(Status)
_SCORES = st.none() | st.integers(0, 10_000).map(lambda n: n / 10_000)
_AWKWARD = '\r\n\t\ufeffa\u0130 e\u0301\x00\U0001f469\u200d\U0001f52c\u2028\x85 \\"\x1b[31m'
_texts = st.text(min_size=1) | st.just(_AWKWARD)
_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def _read(data: bytes, *, text_field: str = "text") -> list[Document]:
    lines = data.splitlines(keepends=True) if b"\r" not in data else data.split(b"\n")
    return list(jsonl.read(lines, name="in.jsonl", stem="in", text_field=text_field))


def _rewritten(document: Document) -> bytes:
    return jsonl.dumps(Result(document, document.entities, document.issues))


def _in_order(labels: Collection[Status]) -> tuple[Status, ...]:
    return tuple(label for label in _STATUSES if label in labels)


@st.composite
def _results(draw: st.DrawFn) -> Result:
    text = draw(_texts.filter(str.strip))
    entities = []
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(text) - 1))
        end = draw(st.integers(start + 1, len(text)))
        concept = Concept(
            draw(st.text()), draw(st.text()), semantic_types=tuple(draw(st.lists(st.text(), max_size=2)))
        )
        score = draw(_SCORES)
        hit = Hit(concept, text[start:end], "fuzzy", score, start, end) if score is not None else None
        status = draw(st.none() | st.sets(st.sampled_from(_STATUSES)).map(_in_order))
        kind = draw(st.text(min_size=1))
        entities.append(Entity(start, end, kind, text[start:end], draw(_SCORES), hit, status))
    issue = st.builds(Issue, st.sampled_from(sorted(ISSUES)), st.text(), st.text())
    issues = tuple(draw(st.lists(issue, max_size=2)))
    meta = draw(st.dictionaries(st.text(), _json, max_size=3))
    document = Document(draw(st.text()), text, tuple(entities), meta, issues)
    return Result(document, document.entities, issues)


@given(_results())
def test_what_is_written_is_read_back(result: Result) -> None:
    line = jsonl.dumps(result)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    (document,) = _read(line)
    written = result.document
    assert (document.id, document.text, document.entities) == (written.id, written.text, written.entities)
    assert document.issues == written.issues
    assert _rewritten(document) == line


@given(
    st.dictionaries(
        st.sampled_from(["text", "id", "entities", "issues", "meta", "note", "text "]) | st.text(), _json
    )
)
def test_any_object_is_one_record_and_writing_it_settles(record: dict[str, Any]) -> None:
    (document,) = _read(json.dumps(record).encode())
    if isinstance(record.get("text"), str) and document.text:
        assert document.text == record["text"]
    first = _rewritten(document)
    (again,) = _read(first)
    assert _rewritten(again) == first


@given(
    st.lists(
        st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"")) | st.just(b'{"text": "ok"}'), max_size=8
    )
)
def test_bytes_of_any_kind_cost_one_record_each(lines: list[bytes]) -> None:
    documents = list(jsonl.read([line + b"\n" for line in lines], name="in.jsonl", stem="in"))
    heads = [line.removeprefix(b"\xef\xbb\xbf") if i == 0 else line for i, line in enumerate(lines)]
    assert len(documents) == sum(bool(line.strip()) for line in heads)
    assert sum(document.text == "ok" for document in documents) == lines.count(b'{"text": "ok"}')
    for document in documents:
        assert orjson.loads(_rewritten(document))["id"] == document.id


@pytest.mark.parametrize(
    "line, detail",
    [
        (b'{"text": "secret"', "not valid JSON at character 18 of the line: unexpected end of data"),
        (b'["secret"]', "an array in place of an object"),
        (b'"secret"', "a string in place of an object"),
        (b"12", "a number in place of an object"),
        (b'{"note": "secret"}', "no field 'text'"),
        (b'{"text": null}', "field 'text' holds null in place of a string"),
        (b'{"text": ["secret"]}', "field 'text' holds an array"),
        (b'{"text": "secret \\ud800"}', "not valid JSON"),
        (b'{"text": "secret \xff"}', "byte 17 of the line is not valid UTF-8"),
        (b'{"text": "secret", "id": 1.5}', "field 'id' holds a number"),
        (b'{"text": "secret", "id": true}', "field 'id' holds a boolean"),
        (b'{"text": "secret", "x": ' + b"[" * 400 + b"]" * 400 + b"}", "nested too deep"),
        (b"[" * 2000 + b"]" * 2000, "not valid JSON"),
        (b'{"text": "secret", "x": ' + b"1" * 310 + b"}", "number is infinity"),
    ],
)
def test_a_bad_line_costs_that_line_and_tells_which(line: bytes, detail: str) -> None:
    good = b'{"text": "fine", "id": 7}\n'
    first, bad, last = _read(good + b"\n" + line + b"\n" + good)
    assert (first.id, first.text, first.issues) == ("7", "fine", ()) == (last.id, last.text, last.issues)
    assert (bad.id, bad.text, dict(bad.meta)) == ("in:3", "", {"line": 3})
    (issue,) = bad.issues
    assert (issue.code, issue.where) == ("unreadable", "in.jsonl:3")
    assert detail in issue.detail
    assert "secret" not in issue.detail


@pytest.mark.parametrize(
    "entity, detail",
    [
        ({"start": 0, "end": 9, "type": "d"}, "offsets do not lie in the text"),
        ({"start": 2, "end": 2, "type": "d"}, "offsets do not lie in the text"),
        ({"start": -1, "end": 2, "type": "d"}, "offsets do not lie in the text"),
        ({"start": True, "end": 2, "type": "d"}, "offsets do not lie in the text"),
        ({"start": 0, "end": 3}, "it has no type"),
        ({"start": 0, "end": 3, "type": "d", "text": "flu."}, "text does not stand at its offsets"),
        ({"start": 0, "end": 3, "type": "d", "score": 2}, "score is not a number from 0 to 1"),
        ({"start": 0, "end": 3, "type": "d", "concept": "D1"}, "concept is a string in place of an object"),
        ({"start": 0, "end": 3, "type": "d", "concept": {"name": "flu"}}, "concept is not as this program"),
        (
            {"start": 0, "end": 3, "type": "d", "status": ["absent", {}, "negated"]},
            "2 of its 3 labels of status are none of negated, uncertain,",
        ),
        ("flu", "a string in place of an object"),
    ],
)
def test_an_entity_that_cannot_be_used_is_left_out_and_reported(entity: object, detail: str) -> None:
    good = {"start": 4, "end": 8, "type": "drug"}
    (document,) = _read(orjson.dumps({"text": "flu drug", "entities": [entity, good]}))
    assert document.entities == (Entity(4, 8, "drug", "drug"),)
    (issue,) = document.issues
    assert (issue.code, issue.where) == ("unusable-label", "in.jsonl:1")
    assert issue.detail.startswith("entity 1: ")
    assert detail in issue.detail


@pytest.mark.parametrize(
    "status, expected",
    [
        ("[]", ()),
        ('["family", "negated", "family"]', ("negated", "family")),
        ("null", None),
        ('"active"', None),  # a key of somebody else's
        ('{"negated": true}', None),
    ],
)
def test_a_status_is_a_list_of_labels(status: str, expected: tuple[str, ...] | None) -> None:
    entity = f'{{"start": 0, "end": 3, "type": "disease", "status": {status}}}'
    (document,) = _read(f'{{"text": "flu", "entities": [{entity}]}}'.encode())
    assert (document.entities[0].status, document.issues) == (expected, ())


def test_the_record_is_as_documented() -> None:
    hit = Hit(
        Concept("OMIM:215600", "Copper toxicosis", semantic_types=("T047",)), "copper", "exact", 1.0, 0, 6
    )
    entity = Entity(0, 6, "disease", "copper", 0.123456, hit, ("negated", "family"))
    result = Result(Document("n", "copper", meta={"k": [1]}), (entity,), (Issue("invented", "n", "one"),))
    assert jsonl.dumps(result) == (
        b'{"id":"n","text":"copper","entities":[{"start":0,"end":6,"text":"copper","type":"disease",'
        b'"score":0.1235,"status":["negated","family"],'
        b'"concept":{"id":"OMIM:215600","name":"Copper toxicosis","semantic_types":["T047"],'
        b'"score":1.0,"match":"exact"}}],'
        b'"issues":[{"code":"invented","where":"n","detail":"one"}],"meta":{"k":[1]}}\n'
    )


def test_keys_that_are_not_ours_are_kept() -> None:
    (document,) = _read(
        b'{"body": "t", "text": 3, "b": {"x": [null]}, "meta": {"a": 1}, "issues": 4}', text_field="body"
    )
    assert dict(document.meta) == {"a": 1, "text": 3, "b": {"x": [None]}, "issues": 4}
    (clash,) = _read(b'{"text": "t", "a": 2, "meta": {"a": 1}}')
    assert dict(clash.meta) == {"a": 2, "meta": {"a": 1}}


@given(st.integers(-(10**308), 10**308))
def test_integers_keep_their_digits(number: int) -> None:
    (document,) = _read(b'{"text": "t", "id": %d, "n": {"m": [%d]}}' % (number, number))
    assert (document.id, dict(document.meta)) == (str(number), {"n": {"m": [number]}})
    assert json.loads(_rewritten(document))["meta"] == {"n": {"m": [number]}}


def test_byte_order_mark_blank_lines_and_empty_text() -> None:
    documents = _read(b'\xef\xbb\xbf{"text": "\\ufeffone"}\n  \n\n{"text": ""}\n{"text": " "}')
    assert [(d.id, d.text, [i.code for i in d.issues]) for d in documents] == [
        ("in:1", "\ufeffone", []),
        ("in:4", "", ["empty"]),
        ("in:5", " ", ["empty"]),
    ]


def test_a_document_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be written as JSON"):
        jsonl.dumps(Result(Document("n", "\ud800")))
