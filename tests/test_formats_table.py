"""Tables with a column of texts: round trips through Python's own writer, dialects, rows that are broken."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirag.data import Document
from dirag.formats import read

_CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


def _read(data: bytes, text_field: str = "text", format: str | None = None) -> list[Document]:
    return list(read(["-"], stdin=io.BytesIO(data), text_field=text_field, format=format))


@given(
    st.lists(st.tuples(_CELLS, _CELLS, _CELLS), min_size=1, max_size=5),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["", "\ufeff"]),
)
def test_what_python_writes_is_read_back(rows: list[tuple[str, str, str]], delimiter: str, mark: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([("id", "text", "note"), *rows])
    documents = _read((mark + out.getvalue()).encode())
    ids = [id_ or f"stdin:{n}" for n, (id_, _, _) in enumerate(rows, start=1)]
    assert [document.id for document in documents] == ids
    assert [document.text for document in documents] == [text for _, text, _ in rows]
    assert [document.meta["note"] for document in documents] == [note for _, _, note in rows]


def test_a_broken_row_costs_that_document() -> None:
    one, short, bad, last = _read(b'id,text\n1,"a\nb"\n2\n3,\xff\n4,c\n')
    assert (one.text, last.text) == ("a\nb", "c")
    assert [(i.where, i.detail) for d in (short, bad) for i in d.issues] == [
        ("stdin:4", "1 cells in place of 2"),
        ("stdin:5", "a byte of the row is not valid UTF-8"),
    ]


def test_names_of_columns_in_capitals_without_a_name_and_twice() -> None:
    (document,) = _read(b" Text ;ID;;note;note\nflu;7;a;b;c\n")
    assert (document.id, document.text) == ("7", "flu")
    assert dict(document.meta) == {"column 3": "a", "note": "b", "note 5": "c"}


@pytest.mark.parametrize(
    "header, hint",
    [(b"id,secret", "--text-field names another"), (b"id,Note", "names another, such as Note")],
)
def test_a_table_without_the_column_is_refused_without_quoting_it(header: bytes, hint: str) -> None:
    (document,) = _read(header + b"\n1,flu\n", format="table")
    assert document.issues[0].detail.endswith(hint)
    assert "secret" not in document.issues[0].detail
    (named,) = _read(header + b"\n1,flu\n", text_field=header.split(b",")[1].decode())
    assert named.text == "flu"


def test_a_tsv_of_tokens_is_no_table() -> None:
    (document,) = _read(b"text\tO\nflu\tB-D\nand\tO\n")
    assert [entity.text for entity in document.entities] == ["flu"]


def test_a_note_longer_than_the_librarys_limit() -> None:
    (document,) = _read(b"id,text\n1," + b"a" * 1_000_000 + b"\n")
    assert len(document.text) == 1_000_000
