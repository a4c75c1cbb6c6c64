"""The terminal view: marks, table, and no character of a note that a terminal would obey."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirag.data import Concept, Document, Entity, Hit, Issue, Result
from dirag.formats.terminal import render

_TEXT = "Familial colon cancer and flu."
_HIT = Hit(Concept("D015179", "Colorectal Neoplasms"), "colon cancer", "fuzzy", 0.9, 9, 21)
_RESULT = Result(
    Document("n1", _TEXT),
    (
        Entity(0, 21, "disease", "Familial colon cancer", 0.5),
        Entity(9, 21, "disease", "colon cancer", 0.987, _HIT),
        Entity(26, 29, "disease", "flu"),
    ),
    (Issue("invented", "n1:0", "2 mentions"),),
)


def test_view_without_colour() -> None:
    assert render(_RESULT, colour=False, width=100) == (
        "n1\n\n[Familial colon cancer|disease] and [flu|disease].\n\n"
        "type     mention                offsets  concept  name                  score\n"
        "disease  Familial colon cancer  0-21                                    0.50\n"
        "disease  colon cancer           9-21     D015179  Colorectal Neoplasms  0.99\n"
        "disease  flu                    26-29\n\n"
        "! invented  n1:0  2 mentions\n"
    )


def test_status_has_a_column_where_a_mention_has_one() -> None:
    first, *others = _RESULT.entities
    negated = replace(first, status=("negated", "family"))
    shown = render(
        replace(_RESULT, entities=(negated, replace(others[1], status=()))), colour=False, width=100
    )
    assert shown.split("\n\n")[2] == (
        "type     mention                offsets  status           score\n"
        "disease  Familial colon cancer  0-21     negated, family  0.50\n"
        "disease  flu                    26-29"
    )
    assert "status" not in render(_RESULT, colour=False, width=100)


def test_colour_adds_nothing_but_styles() -> None:
    bare = re.sub(r"\x1b\[[0-9;]*m", "", render(_RESULT, colour=True, width=100))
    assert "Familial colon cancer and flu.\n" in bare
    assert "\x1b[" in render(_RESULT, colour=True, width=100)
    assert bare.split("\n\n")[2:] == render(_RESULT, colour=False, width=100).split("\n\n")[2:]


@given(st.text(st.characters(codec=None)), st.text(min_size=1), st.integers(20, 90))
def test_nothing_that_a_terminal_obeys_comes_through(text: str, name: str, width: int) -> None:
    entities = (Entity(0, len(text), name, text, link=Hit(Concept(name, name), name, "exact", 1, 0, 1)),)
    result = Result(Document(name, text), entities if text else (), (Issue("failed", name, name),))
    shown = render(result, colour=False, width=width)
    shown.encode()
    assert {unicodedata.category(c) for c in shown if c not in "\n\u200c\u200d"}.isdisjoint(
        {"Cc", "Cf", "Cs", "Zl", "Zp"}
    )


def test_escape_sequences_are_shown() -> None:
    text = "a\x1b[2Jb\x07c\u202ed\u009be\rf\r\ng"
    assert "a␛[2Jb␇c<U+202E>d<U+009B>e␍f\ng" in render(Result(Document("n", text)), colour=True, width=80)


@pytest.mark.parametrize("width", [30, 60, 100])
def test_lines_and_table_fit_the_width(width: int) -> None:
    text = "fever and cough with night sweats " * 20
    entities = [Entity(m.start(), m.end(), "sign", m[0]) for m in re.finditer("fever|night sweats", text)]
    lines = render(Result(Document("n", text), tuple(entities)), colour=False, width=width).splitlines()
    assert max(len(line) for line in lines) <= width
