"""UIMA CAS as XMI and JSON: offsets in UTF-16, layers, the GraSCCo letters, and cassis as an oracle."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirag.data import Document
from dirag.formats import read

_CORE = "de.tudarmstadt.ukp.dkpro.core.api"
_LAYERS = {
    "webanno.custom.Finding": "Finding",
    f"{_CORE}.ner.type.NamedEntity": "NamedEntity",
    "org.apache.ctakes.typesystem.type.textsem.SignSymptomMention": "SignSymptomMention",
    f"{_CORE}.segmentation.type.Token": "",
    "org.apache.ctakes.typesystem.type.syntax.WordToken": "",
    "uima.tcas.DocumentAnnotation": "",
}
_TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff") | st.just("\U0001f600"),
    min_size=1,
    max_size=12,
)


def _xmi(text: str, annotations: list[dict[str, Any]]) -> bytes:
    lines = []
    for number, annotation in enumerate(annotations):
        package, _, name = annotation["type"].rpartition(".")
        features = "".join(f" {key}={quoteattr(str(value))}" for key, value in annotation["features"].items())
        space = f"http:///{package.replace('.', '/')}.ecore"
        lines.append(
            f'<t{number}:{name} xmlns:t{number}="{space}" xmi:id="{number + 9}" sofa="1"{features}/>'
        )
    sofa = f'<cas:Sofa xmi:id="1" sofaNum="1" sofaID="_InitialView" sofaString={quoteattr(text)}/>'
    spaces = 'xmlns:xmi="http://www.omg.org/XMI" xmlns:cas="http:///uima/cas.ecore"'
    return (
        f'<?xml version="1.0"?><xmi:XMI {spaces} xmi:version="2.0">{"".join(lines)}{sofa}</xmi:XMI>'.encode()
    )


def _json(text: str, annotations: list[dict[str, Any]]) -> bytes:
    items = [
        {"%ID": number + 9, "%TYPE": annotation["type"], "@sofa": 1, **annotation["features"]}
        for number, annotation in enumerate(annotations)
    ]
    sofa = {"%ID": 1, "%TYPE": "uima.cas.Sofa", "sofaID": "_InitialView", "sofaString": text}
    return json.dumps({"%TYPES": {}, "%FEATURE_STRUCTURES": [*items, sofa], "%VIEWS": {}}, indent=2).encode()


def _read(data: bytes) -> Document:
    (document,) = read(["-"], stdin=io.BytesIO(data))
    return document


@given(_TEXTS, st.data())
def test_what_is_written_is_read_back(text: str, data: st.DataObject) -> None:
    annotations, expected = [], []
    for _ in range(data.draw(st.integers(0, 4))):
        start = data.draw(st.integers(0, len(text) - 1))
        end = data.draw(st.integers(start + 1, len(text)))
        layer = data.draw(st.sampled_from(sorted(_LAYERS)))
        features = {
            name: len(text[:at].encode("utf-16-le")) // 2 for name, at in (("begin", start), ("end", end))
        }
        label = data.draw(st.sampled_from(["", "D"]))
        annotations.append({"type": layer, "features": features | ({"value": label} if label else {})})
        if _LAYERS[layer]:
            expected.append((start, end, label or _LAYERS[layer]))
    for written in (_xmi(text, annotations), _json(text, annotations)):
        document = _read(written)
        assert (document.id, document.text) == ("stdin", text)
        assert [(entity.start, entity.end, entity.type) for entity in document.entities] == expected
        assert [issue.code for issue in document.issues] == ([] if text.strip() else ["empty"])


@pytest.mark.parametrize(
    "features, detail",
    [
        ({"begin": 0, "end": 99}, "its offsets do not lie in the text"),
        ({"begin": 2, "end": 2}, "its offsets do not lie in the text"),
        ({"begin": 0}, "its offsets do not lie in the text"),
        ({"begin": "x", "end": 3}, "its offsets do not lie in the text"),
        ({"begin": 1, "end": 2}, "its offsets do not lie in the text"),  # within a character of two units
    ],
)
def test_an_annotation_that_cannot_be_placed_is_an_issue(features: dict[str, Any], detail: str) -> None:
    for write in (_xmi, _json):
        document = _read(write("\U0001f600 flu", [{"type": "custom.Finding", "features": features}]))
        assert (document.entities, [issue.detail for issue in document.issues]) == (
            (),
            [f"annotation 9: {detail}"],
        )


def test_concepts_and_views() -> None:
    features = {"begin": 0, "end": 3, "identifier": "MESH:D1", "sofa": 1}
    entity = {"type": f"{_CORE}.ner.type.NamedEntity", "features": features}
    (found,) = _read(_json("Flu", [entity])).entities
    assert found.link is not None
    assert found.link.concept.id == "MESH:D1"
    other = {"type": "custom.Finding", "features": {"@sofa": 7, "begin": 0, "end": 3}}
    assert [i.detail for i in _read(_json("Flu", [other])).issues] == [
        "annotation 9: it stands in another view"
    ]


@given(st.data())
def test_broken_files_are_one_line(data: st.DataObject) -> None:
    for write in (_xmi, _json):
        whole = write("Flu and cold", [{"type": "custom.Finding", "features": {"begin": 0, "end": 3}}])
        cut = whole[: data.draw(st.integers(200, len(whole) - 3))]
        assert [issue.code for issue in _read(cut).issues] == ["unreadable"]
        flipped = bytearray(whole)
        flipped[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        documents = list(read(["-"], stdin=io.BytesIO(bytes(flipped))))
        assert documents
        assert not any("raised" in issue.detail for document in documents for issue in document.issues)


def test_a_cas_without_a_text_is_unreadable() -> None:
    document = _read(b'{"%TYPES": {}, "%FEATURE_STRUCTURES": []}')
    assert document.issues[0].detail == "it is a CAS without a text"


def test_grascco_in_both_ways(shared_data: Path) -> None:
    folder = shared_data / "corpora" / "grascco-phi-de"
    xmi, whole = (list(read([str(folder / kind)])) for kind in ("xmi", "json"))
    assert [document.id.split(".")[0] for document in xmi] == [d.id.split(".")[0] for d in whole]
    assert (len(whole), sum(len(document.entities) for document in whole)) == (63, 1439)
    for one, other in zip(xmi, whole, strict=True):
        assert one.text == other.text
        assert {(e.start, e.end, e.type) for e in one.entities} == {
            (e.start, e.end, e.type) for e in other.entities
        }
        assert one.issues == other.issues == ()
    assert not list(folder.glob("*.json"))


def test_the_spans_are_those_of_cassis(shared_data: Path) -> None:
    cassis = pytest.importorskip("cassis", reason="dkpro-cassis is not installed")
    folder = shared_data / "corpora" / "grascco-phi-de"
    with (folder / "TypeSystem.xml").open("rb") as file:
        types = cassis.load_typesystem(file)
    for path in sorted((folder / "xmi").glob("*.xmi"))[:8]:
        with path.open("rb") as file:
            cas = cassis.load_cas_from_xmi(file, typesystem=types)
        (document,) = read([str(path)])
        assert document.text == cas.sofa_string
        theirs = sorted((phi.begin, phi.end, phi.kind) for phi in cas.select("webanno.custom.PHI"))
        assert sorted((e.start, e.end, e.type) for e in document.entities) == theirs
