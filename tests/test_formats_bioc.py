"""BioC as XML and JSON: documents of a small writer, layouts of passages, files that are broken."""

from __future__ import annotations

import io
import json
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirag.data import Document
from dirag.formats import bioc, read

_LETTERS = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
_TEXTS = st.text(_LETTERS | st.just("\n"), min_size=1, max_size=12)


def _read(data: bytes, **options: Any) -> list[Document]:
    return list(read(["-"], stdin=io.BytesIO(data), **options))


@st.composite
def _documents(draw: st.DrawFn) -> dict[str, Any]:
    """Draws a document as BioC has it in JSON, its passages one character apart, two labels in each."""
    passages, offset = [], 0
    for text in draw(st.lists(_TEXTS, min_size=1, max_size=3)):
        labels = []
        for _ in range(draw(st.integers(0, 2))):
            start = draw(st.integers(0, len(text) - 1))
            end = draw(st.integers(start + 1, len(text)))
            infons = {
                "type": draw(st.sampled_from(["D", "E-F"])),
                "identifier": draw(st.sampled_from(["D1", "-"])),
            }
            places = [{"offset": offset + start, "length": end - start}]
            labels.append({"id": "1", "infons": infons, "text": text[start:end], "locations": places})
        passages.append(
            {"offset": offset, "infons": {}, "text": text, "annotations": labels, "sentences": []}
        )
        offset += len(text) + 1
    return {"id": draw(st.text("ab1", min_size=1)), "infons": {"n": draw(_TEXTS)}, "passages": passages}


def _xml(record: dict[str, Any], tag: str = "document") -> str:
    inside = [f"<id>{escape(str(record['id']))}</id>"] if "id" in record and tag == "document" else []
    inside += [f"<infon key={quoteattr(k)}>{escape(v)}</infon>" for k, v in record.get("infons", {}).items()]
    if "offset" in record and tag != "location":
        inside.append(f"<offset>{record['offset']}</offset>")
    if "text" in record:
        inside.append(f"<text>{escape(record['text'])}</text>")
    for place in record.get("locations", []):
        inside.append(f'<location offset="{place["offset"]}" length="{place["length"]}"/>')
    for part in ("passage", "sentence", "annotation"):
        inside += [_xml(item, part) for item in record.get(f"{part}s", [])]
    return f"<{tag}>{''.join(inside)}</{tag}>"


def _collection(*records: dict[str, Any]) -> bytes:
    head = '<?xml version="1.0"?><!DOCTYPE collection SYSTEM "BioC.dtd"><collection><source>s</source>'
    return f"{head}{''.join(map(_xml, records))}</collection>".encode()


@given(st.lists(_documents(), min_size=1, max_size=3))
def test_xml_and_json_say_the_same(records: list[dict[str, Any]]) -> None:
    from_xml = _read(_collection(*records))
    from_json = _read(json.dumps({"source": "s", "documents": records}, indent=1).encode())
    assert from_xml == from_json
    for record, document in zip(records, from_xml, strict=True):
        assert document.id == record["id"]
        assert document.text == "\n".join(passage["text"] for passage in record["passages"])
        assert [issue.code for issue in document.issues] == ([] if document.text.strip() else ["empty"])
        labels = [label for passage in record["passages"] for label in passage["annotations"]]
        assert [(e.start, e.end, e.type) for e in document.entities] == [
            (place["offset"], place["offset"] + place["length"], label["infons"]["type"])
            for label in labels
            for place in label["locations"]
        ]
        concepts = [e.link.concept.id if e.link else "-" for e in document.entities]
        assert concepts == [label["infons"]["identifier"] for label in labels]


@pytest.mark.parametrize(
    "passages, text, places",
    [
        ([(10, "Flu."), (15, "Flu")], "Flu.\nFlu", [0, 5]),
        ([(0, "Flu."), (7, "Flu")], "Flu.\n  Flu", [0, 7]),
        ([(0, "Flu."), (4, "Flu")], "Flu.Flu", [0, 4]),
        ([(0, "Flu."), (2, "x")], "Flu.\nx", [0]),
        ([(0, "Flu."), (10**9, "Flu")], "Flu.\nFlu", [0, 5]),
    ],
)
def test_passages_stand_at_their_offsets(
    passages: list[tuple[int, str]], text: str, places: list[int]
) -> None:
    def label(offset: int) -> dict[str, Any]:
        return {"infons": {"type": "D"}, "text": "Flu", "locations": [{"offset": offset, "length": 3}]}

    parts = [{"offset": at, "text": t, "annotations": [label(at)] * ("Flu" in t)} for at, t in passages]
    sentences = {"passages": [{"offset": parts[0]["offset"], "sentences": parts}]}
    for record in ({"passages": parts}, sentences):
        (document,) = _read(json.dumps(record).encode())
        assert (document.text, [e.start for e in document.entities]) == (text, places)


@pytest.mark.parametrize(
    "label, detail",
    [
        ({"infons": {}, "locations": [{"offset": 0, "length": 3}]}, "it has no type"),
        ({"infons": {"type": "D"}, "locations": []}, "it has no place"),
        ({"infons": {"type": "D"}, "locations": [{"offset": 99, "length": 3}]}, "does not lie in a passage"),
        ({"infons": {"type": "D"}, "locations": [{"offset": 0, "length": 99}]}, "does not lie in a passage"),
        ({"infons": {"type": "D"}, "locations": [{"offset": "a", "length": 3}]}, "its places are no numbers"),
        ({"infons": {"type": "D"}, "locations": [5]}, "its places are no numbers"),
        (
            {"infons": {"type": "D"}, "text": "flu", "locations": [{"offset": 0, "length": 3}]},
            "its text does not stand at its offsets 0..3",
        ),
        (
            {"infons": {"type": "D"}, "locations": [{"offset": 0, "length": 3}, {"offset": 8, "length": 4}]},
            "its span is discontinuous",
        ),
        (7, "it is no object"),
    ],
)
def test_an_annotation_that_cannot_be_placed_is_an_issue(label: Any, detail: str) -> None:
    record = {"id": "1", "passages": [{"offset": 0, "text": "Flu and cold", "annotations": [label]}]}
    (document,) = _read(json.dumps(record).encode())
    assert (document.entities, [issue.code for issue in document.issues]) == ((), ["unusable-label"])
    assert detail in document.issues[0].detail


@given(st.data())
def test_a_broken_file_costs_what_is_broken(data: st.DataObject) -> None:
    record = {"id": "1", "passages": [{"offset": 0, "text": "Flu", "annotations": []}]}
    whole = _collection(record, record, record)
    cut = whole[: data.draw(st.integers(70, len(whole) - 1))]
    *documents, last = _read(cut, format="bioc-xml")
    assert [document.text for document in documents] == ["Flu"] * len(documents)
    assert last.issues[0].code == "unreadable"
    flipped = bytearray(whole)
    flipped[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    documents = _read(bytes(flipped), format="bioc-xml")
    assert documents
    assert not any("raised" in issue.detail for document in documents for issue in document.issues)


@pytest.mark.parametrize(
    "declared, used",
    [
        ('<!ENTITY a "b">', "&a;"),
        ('<!ENTITY a SYSTEM "file:///etc/passwd">', "&a;"),
        ('<!ENTITY % a SYSTEM "http://localhost/x"> %a;', ""),
        ("", "&nbsp;"),
    ],
)
def test_entities_are_never_expanded(declared: str, used: str) -> None:
    head = f'<!DOCTYPE collection SYSTEM "BioC.dtd" [{declared}]>'
    passage = f"<passage><offset>0</offset><text>{used}</text></passage>"
    data = f"{head}<collection><document>{passage}</document></collection>".encode()
    (document,) = _read(data, format="bioc-xml")
    assert document.text == ""
    assert "entities of its own" in document.issues[0].detail


def test_depth_is_bounded() -> None:
    (document,) = _read(b"<collection><document>" + b"<a>" * 100_000, format="bioc-xml")
    assert "nested too deep" in document.issues[0].detail


def test_other_records_are_no_documents_of_bioc() -> None:
    assert not bioc.is_document({"passages": [{"text": "a"}]})
    assert not bioc.is_document([])
