"""Concept files of i2b2 2010: places by line and token, texts beside their labels or as released."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirag.data import Document
from dirag.formats import i2b2, read

TEXT = "Chief complaint :\nHe denies  chest pain .\n\nCT of the Head\n"
LABELS = (
    'c="chest pain" 2:2 2:3||t="problem"\n'
    'c="ct of the head" 4:0 4:3||t="test"\n'  # labels are in lower case
)


def put(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8", newline="")
    return path


def spans(document: Document) -> list[tuple[str, str]]:
    assert all(document.text[e.start : e.end] == e.text for e in document.entities)
    return [(e.text, e.type) for e in document.entities]


@pytest.mark.parametrize(
    "labels, texts",
    [("", ""), ("beth/concept/", "beth/txt/"), ("reference_standard_for_test_data/concepts/", "test_data/")],
)
def test_labels_and_texts_lie_together_or_as_released(tmp_path: Path, labels: str, texts: str) -> None:
    put(tmp_path / f"{labels}record-13.con", LABELS)
    put(tmp_path / f"{texts}record-13.txt", TEXT)
    (document,) = read([str(tmp_path)])
    assert (document.id, document.text, document.issues) == ("record-13", TEXT, ())
    assert spans(document) == [("chest pain", "problem"), ("CT of the Head", "test")]


def test_a_text_without_labels_is_a_document_and_labels_without_text_are_none(tmp_path: Path) -> None:
    put(tmp_path / "a.txt", TEXT)
    put(tmp_path / "b.con", LABELS)
    bare, lost = read([str(tmp_path)], format="i2b2")
    assert (bare.text, bare.entities) == (TEXT, ())
    assert [(issue.code, issue.where) for issue in lost.issues] == [("unreadable", f"{tmp_path}/b.con")]


def test_a_text_that_cannot_be_read_is_told_by_its_own_name(tmp_path: Path) -> None:
    put(tmp_path / "concept" / "a.con", LABELS)
    put(tmp_path / "txt" / "a.txt", TEXT)
    (tmp_path / "txt" / "a.txt").write_bytes(b"one\n\xff")
    (document,) = read([str(tmp_path / "concept")])
    assert [(issue.code, issue.where) for issue in document.issues] == [
        ("unreadable", f"{tmp_path}/concept/../txt/a.txt:2")
    ]


@pytest.mark.parametrize(
    "label, told",
    [
        ('c="chest pain" 2:2 2:3', "it is not text, first and last token, and type"),
        ('c="chest pain" 2:2 2:9||t="problem"', "its tokens 2:2 to 2:9 are not in the text"),
        ('c="chest pain" 9:0 9:1||t="problem"', "its tokens 9:0 to 9:1 are not in the text"),
        ('c="chest pain" 2:1 2:2||t="problem"', "its text does not stand at its tokens 2:1 to 2:2"),
        ('c="head" 0:3 0:3||t="test"', "its tokens 0:3 to 0:3 are not in the text"),
    ],
)
def test_a_label_that_does_not_fit_is_left_out_and_told(tmp_path: Path, label: str, told: str) -> None:
    put(tmp_path / "a.txt", TEXT)
    put(tmp_path / "a.con", f"{LABELS}{label}\n")
    (document,) = read([str(tmp_path / "a.con")])
    assert len(document.entities) == 2
    assert [(i.code, i.where, i.detail) for i in document.issues] == [
        ("unusable-label", f"{tmp_path}/a.con:3", told)
    ]


words = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=6)
lines = st.lists(st.lists(words, min_size=1, max_size=6), min_size=1, max_size=5)


@given(lines, st.sampled_from(["\n", "\r\n"]), st.sampled_from([" ", "  ", "\t"]), st.data())
def test_every_run_of_tokens_of_a_line_can_be_labelled(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[str]],
    ending: str,
    gap: str,
    data: st.DataObject,
) -> None:
    row = data.draw(st.integers(0, len(rows) - 1))
    first = data.draw(st.integers(0, len(rows[row]) - 1))
    last = data.draw(st.integers(first, len(rows[row]) - 1))
    folder = tmp_path_factory.mktemp("law")
    text = ending.join(gap.join(tokens) for tokens in rows)
    covered = " ".join(rows[row][first : last + 1])
    put(folder / "a.txt", text)
    labels = put(folder / "a.con", f'c="{covered.lower()}" {row + 1}:{first} {row + 1}:{last}||t="problem"')
    document = i2b2.read_pair(labels, name="a.con", stem="a")
    assert spans(document) == [(gap.join(rows[row][first : last + 1]), "problem")]
