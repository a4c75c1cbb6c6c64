"""Parquet: rows of texts, of tokens with class labels, of other values; files that are broken."""

from __future__ import annotations

import datetime
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.data import Document
from dirag.formats import read

pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
parquet = pytest.importorskip("pyarrow.parquet")


def _written(rows: list[dict[str, Any]], metadata: dict[str, str] | None = None) -> bytes:
    table, out = pyarrow.Table.from_pylist(rows), io.BytesIO()
    parquet.write_table(table.replace_schema_metadata(metadata), out)
    return out.getvalue()


def _read(data: bytes, **options: Any) -> list[Document]:
    return list(read(["-"], stdin=io.BytesIO(data), **options))


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)


@settings(deadline=None)
@given(st.lists(st.tuples(_TEXTS, st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=4))
def test_rows_are_documents(rows: list[tuple[str, int]]) -> None:
    data = _written(
        [
            {
                "id": n,
                "text": text,
                "n": number,
                "entities": [{"start": 0, "end": 1, "type": "D", "text": text[0]}],
            }
            for n, (text, number) in enumerate(rows)
        ]
    )
    documents = _read(data)
    assert [(d.id, d.text, d.meta["n"]) for d in documents] == [(str(n), *row) for n, row in enumerate(rows)]
    assert all([(e.start, e.end, e.type) for e in d.entities] == [(0, 1, "D")] for d in documents)


def test_class_labels_are_read_by_name(tmp_path: Path) -> None:
    features = {
        "ner_tags": {"feature": {"names": ["O", "B-D", "I-D"], "_type": "ClassLabel"}, "_type": "Sequence"}
    }
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    rows = [{"id": "1", "tokens": ["Has", "flu"], "ner_tags": [0, 1]}]
    (tmp_path / "a.parquet").write_bytes(_written(rows, metadata))
    (document,) = read([str(tmp_path)])
    assert [(e.start, e.end, e.type) for e in document.entities] == [(4, 7, "D")]
    (document,) = _read(_written(rows))
    assert [issue.detail for issue in document.issues] == [
        "its ner_tags are numbers, whose names are unknown"
    ]


def test_other_values_are_strings_and_another_column_can_be_named() -> None:
    data = _written([{"note": "flu", "day": datetime.date(2020, 1, 2), "raw": b"x", "no": None}])
    (document,) = _read(data, text_field="note")
    assert (document.text, dict(document.meta)) == ("flu", {"day": "2020-01-02", "raw": "b'x'", "no": None})
    (document,) = _read(data)
    assert document.issues[0].detail == "no column 'text'; --text-field names another"


@settings(deadline=None)
@given(st.data())
def test_a_broken_file_is_one_line(data: st.DataObject) -> None:
    whole = _written([{"text": "flu"}] * 3)
    (document,) = _read(whole[: data.draw(st.integers(4, len(whole) - 1))])
    assert document.issues[0].detail.startswith("it is broken Parquet")
