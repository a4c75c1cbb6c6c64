"""What a file is by its content, and what is refused in one line."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.formats import read

_REFUSED = {
    "pdf": (b"%PDF-1.7\n%\xe2\xe3", "a PDF file"),
    "zip": (b"PK\x03\x04\x14\0", "a zip archive or an Office document"),
    "rtf": (b"{\\rtf1\\ansi flu}", "an RTF document"),
    "old office": (b"\xd0\xcf\x11\xe0\xa1\xb1", "an old Office"),
    "tar": (b"a.txt".ljust(257, b"\0") + b"ustar\x0000", "a tar archive"),
    "png": (b"\x89PNG\r\n\x1a\n", "an image"),
    "random": (bytes(range(256)) * 4, "binary data"),
    "html": (b"<!DOCTYPE html>\n<html><body>flu</body></html>", "HTML"),
    "fragment": (b"\n<p>Has <b>flu</b>.</p>", "HTML"),
    "xml": (b"<?xml version='1.0'?>\n<!-- a --><ClinicalDocument xmlns='x'>flu", "<ClinicalDocument>"),
    "elements": (b"<NOTE><TEXT>flu</TEXT></NOTE>", "XML of no known format (<NOTE>)"),
    "broken": (b"<?xml version='1.0'", "broken XML"),
}


@pytest.mark.parametrize("name", ["notes", "notes.txt"])
@pytest.mark.parametrize("data, what", _REFUSED.values(), ids=_REFUSED)
def test_what_is_no_text_is_refused_in_one_line(tmp_path: Path, data: bytes, what: str, name: str) -> None:
    (tmp_path / name).write_bytes(data)
    (document,) = read([str(tmp_path / name)])
    (issue,) = document.issues
    assert (document.text, issue.code, issue.where) == ("", "unreadable", str(tmp_path / name))
    assert what in issue.detail
    assert "flu" not in issue.detail


@pytest.mark.parametrize(
    "text", ["<NAME> was seen.", "< 3 days", "[**2001**] flu", "{name} has flu", "<3", "a < b > c", "[flu]"]
)
@pytest.mark.parametrize("name", ["n.txt", "n.note"])
def test_a_note_that_only_begins_with_a_bracket_is_text(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / name).write_text(text)
    (document,) = read([str(tmp_path / name)])
    assert (document.text, document.issues) == (text, ())


def test_who_names_the_format_has_it() -> None:
    (document,) = read(["-"], stdin=io.BytesIO(b"<p>flu</p>"), format="text")
    assert document.text == "<p>flu</p>"


@pytest.mark.parametrize("name", ["a", "a.txt", "a.json", "a.jsonl", "a.csv", "a.tsv", "a.pubtator", "a.gz"])
@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_documents(tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data)
    documents = list(read([str(path)]))
    assert documents
    assert not any("raised" in issue.detail for document in documents for issue in document.issues)


def test_indented_json_is_one_document_whatever_its_suffix(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.json", "c"):
        (tmp_path / name).write_bytes(b'{\n  "text": "flu",\n  "id": 1\n}\n')
    assert [d.text for name in ("a.jsonl", "b.json", "c") for d in read([str(tmp_path / name)])] == [
        "flu"
    ] * 3


_SAMPLES = {
    "a.jsonl": b'{"text": "Has flu", "entities": [{"start": 4, "end": 7, "type": "D"}]}\n' * 3,
    "a.json": b'[\n {"text": "Has flu", "label": [[4, 7, "D"]]},\n {"data": {"text": "Flu"}}\n]\n',
    "a.csv": b'id,text\n1,"Has\nflu"\n2,Flu\n',
    "a.tsv": b"Has\tO\nflu\tB-D\n\nFlu\tB-D\n",
    "a.pubtator": b"1|t|Has flu\n1|a|More.\n1\t4\t7\tflu\tD\tD1\n1\tCID\tD1\tD2\n",
    "a.con": b'c="flu" 1:1 1:1||t="problem"\n',
    "a.ann": b"T1\tD 4 7\tflu\nT2\tD 0 3;4 7\tHas flu\n#1\tAnnotatorNotes T1\tC1\n",
}


@pytest.mark.parametrize("name", _SAMPLES)
@settings(deadline=None)
@given(st.data())
def test_cut_and_flipped_files_are_documents(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp() / f"of-{name}"
    folder.mkdir(exist_ok=True)
    (folder / "a.txt").write_bytes(b"Has flu\n")
    broken = bytearray(_SAMPLES[name])
    for _ in range(data.draw(st.integers(0, 3))):
        broken[data.draw(st.integers(0, len(broken) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    (folder / name).write_bytes(broken[: data.draw(st.integers(0, len(broken)))])
    documents = list(read([str(folder / name)]))
    assert documents
    assert not any("raised" in issue.detail for document in documents for issue in document.issues)
