"""JSON in any layout, and the records of other annotation tools."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirag.data import Document
from dirag.formats import read, shapes, streams, whole_json


def _read(data: bytes, **options: Any) -> list[Document]:
    return list(read(["-"], stdin=io.BytesIO(data), **options))


def _spans(document: Document) -> list[tuple[int, int, str]]:
    return [(entity.start, entity.end, entity.type) for entity in document.entities]


_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers(-9, 9) | st.text('ab"\\{}[],:\n\u2028', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('a"{', max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
_OBJECTS = st.dictionaries(st.text('a"]', max_size=3), _VALUES, max_size=3)


@given(st.lists(_OBJECTS, max_size=5), st.sampled_from([None, 0, 2]), st.booleans(), st.integers(1, 9))
def test_values_are_cut_out_whole(
    objects: list[dict[str, Any]], indent: int | None, in_array: bool, size: int
) -> None:
    text = json.dumps(objects, indent=indent)
    if not in_array:
        text = "\n".join(json.dumps(item, indent=indent) for item in objects)
    data = text.encode()
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert [orjson.loads(value) for _, value in whole_json.values(pieces)] == objects


@given(st.binary(max_size=60) | st.text('[]{}",:a\\1 \n', max_size=40).map(str.encode))
def test_any_bytes_are_cut_somehow_and_nothing_but_signs_is_lost(data: bytes) -> None:
    try:
        values = b"".join(value for _, value in whole_json.values([data]))
    except streams.BrokenStreamError:
        return
    signs = b" \t\n\r\x0b\x0c,[]\xef\xbb\xbf"
    assert values.translate(None, signs) == data.translate(None, signs)


def test_lines_are_those_on_which_records_begin() -> None:
    data = b'\xef\xbb\xbf\n[\n  {"text": "a",\n "n": 1},\n\n {"text": }, 7,\n {"text": "b"}]\n'
    one, two, three, four = _read(data)
    assert (one.text, four.text) == ("a", "b")
    assert [two.issues[0].where, three.issues[0].where] == ["stdin:6", "stdin:6"]


@pytest.mark.parametrize("indent", [None, 1, 4])
@pytest.mark.parametrize("container", [None, "documents", "data", "PubTator3"])
def test_records_are_read_in_every_layout(indent: int | None, container: str | None) -> None:
    records = [
        {"text": "Has flu", "id": n, "entities": [{"start": 4, "end": 7, "type": "D"}]} for n in (1, 2)
    ]
    whole: Any = {"source": "x", container: records} if container else records
    for data in (whole, records[0]):
        documents = _read(json.dumps(data, indent=indent).encode())
        assert [document.id for document in documents] == (["1", "2"] if data is whole else ["1"])
        assert all(_spans(document) == [(4, 7, "D")] and not document.issues for document in documents)


def test_a_file_that_is_cut_off_keeps_what_is_whole() -> None:
    one, rest = _read(b'[\n{"text": "a"},\n{"text": "b')
    assert (one.text, rest.issues[0].where) == ("a", "stdin:3")
    one, rest = _read(b'[\n{"text": "a"}\n')
    assert (one.text, rest.issues[0].detail) == ("a", "it is cut off: its array has no end")


_TOOLS: dict[str, Any] = {
    "doccano 1": {"text": "Has flu", "label": [[4, 7, "D"]]},
    "doccano labels": {"text": "Has flu", "labels": [[4, 7, "D"]]},
    "doccano data": {"data": "Has flu", "label": [[4, 7, "D"]]},
    "doccano relations": {
        "text": "Has flu",
        "entities": [{"id": 3, "label": "D", "start_offset": 4, "end_offset": 7}],
        "relations": [],
    },
    "prodigy": {
        "text": "Has flu",
        "tokens": [{"text": "Has", "start": 0, "end": 3, "id": 0}],
        "spans": [{"start": 4, "end": 7, "token_start": 1, "token_end": 1, "label": "D"}],
        "answer": "accept",
    },
    "label studio": {
        "data": {"text": "Has flu"},
        "annotations": [
            {"was_cancelled": True, "result": []},
            {
                "result": [
                    {"type": "labels", "value": {"start": 4, "end": 7, "text": "flu", "labels": ["D"]}},
                    {"type": "choices", "value": {"choices": ["x"]}},
                    {"type": "relation", "from_id": "a", "to_id": "b"},
                ]
            },
        ],
    },
    "label studio, other field": {
        "data": {"note": "Has flu"},
        "predictions": [{"result": [{"type": "labels", "value": {"start": 4, "end": 7, "labels": ["D"]}}]}],
    },
    "label studio, minimal": {"text": "Has flu", "label": [{"start": 4, "end": 7, "labels": ["D"]}]},
    "spacy": ["Has flu", {"entities": [[4, 7, "D"]]}],
    "transformers": {
        "text": "Has flu",
        "entities": [{"entity_group": "D", "score": 0.5, "start": 4, "end": 7}],
    },
    "tokens": {"tokens": ["Has", "flu"], "ner_tags": ["O", "B-D"]},
    "tokens of types": {"words": ["Has", "flu"], "tags": ["O", "D"]},
    "gliner": {"tokenized_text": ["Has", "flu"], "ner": [[1, 1, "D"]]},
}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("record", _TOOLS.values(), ids=_TOOLS)
def test_records_of_other_tools(record: Any, indent: int | None) -> None:
    for whole in ([record, record], record):
        data = json.dumps(whole, indent=indent).encode()
        if isinstance(whole, list) and not indent and whole is not record:
            data = b"\n".join(json.dumps(item).encode() for item in whole)
        if record is whole and isinstance(record, list) and indent:
            continue  # a pair by itself, indented, is an array
        for document in _read(data):
            assert (document.text, _spans(document), document.issues) == ("Has flu", [(4, 7, "D")], ())


@pytest.mark.parametrize(
    "record, detail",
    [
        (
            {"text": "flu", "spans": [{"start": 0, "end": 3, "label": "D"}], "answer": "reject"},
            "not accepted",
        ),
        ({"text": "flu", "label": [[0, 9, "D"]]}, "entity 1: its offsets do not lie in the text"),
        ({"text": "flu", "spans": [{"start": 0, "end": 3}]}, "entity 1: it has no type"),
        ({"tokens": ["flu"], "ner_tags": [1]}, "its ner_tags are numbers, whose names are unknown"),
        ({"tokenized_text": ["flu"], "ner": [[0, 1, "D"]]}, "1 of its labels lie outside"),
        ({"data": {"text": "flu"}, "annotations": [{"result": []}, {"result": []}]}, "1 further annotations"),
    ],
)
def test_what_is_lost_is_an_issue(record: Any, detail: str) -> None:
    (document,) = _read(json.dumps(record).encode())
    assert (document.text, document.entities) == ("flu", ())
    (issue,) = document.issues
    assert issue.code == "unusable-label"
    assert detail in issue.detail


def test_labels_that_are_no_spans_stay_as_they_are() -> None:
    (document,) = _read(b'{"text": "flu", "label": "positive", "labels": ["a", "b", "c"], "spans": []}')
    assert dict(document.meta) == {"label": "positive", "labels": ["a", "b", "c"], "spans": []}


@given(st.text("a\U0001f600\u0301b", min_size=1, max_size=8), st.data())
def test_offsets_of_javascript_are_known_by_their_text(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))

    def units(place: int) -> int:
        return len(text[:place].encode("utf-16-le")) // 2

    label = {"start": units(start), "end": units(end), "text": text[start:end], "label": "D"}
    (document,) = _read(json.dumps({"text": text, "spans": [label]}).encode())
    (entity,) = document.entities
    assert entity.text == text[start:end]
    assert text.isascii() is False or (entity.start, entity.end) == (start, end)


@given(
    st.recursive(
        st.none() | st.integers(-3, 9) | st.text("ab", max_size=3),
        lambda s: (
            st.lists(s)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "text",
                        "data",
                        "label",
                        "labels",
                        "entities",
                        "spans",
                        "start",
                        "end",
                        "tokens",
                        "ner_tags",
                        "value",
                        "result",
                        "annotations",
                        "ner",
                    ]
                ),
                s,
            )
        ),
        max_leaves=14,
    )
)
def test_any_record_is_a_document_or_a_sentence(value: Any) -> None:
    for record in shapes.records(value, "text"):
        with suppress(shapes.BadRecordError):
            shapes.own(record, "text")
    assert all(
        isinstance(document, Document) for document in _read(json.dumps(value).encode(), format="json")
    )
