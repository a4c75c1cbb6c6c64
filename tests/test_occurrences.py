"""Views lead back to the text they were made of, and search finds what brute force finds."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.text.occurrences import flat_view, flatten, fold, folded_view, is_boundary, search, trim

texts = st.text(st.one_of(st.sampled_from("aAb -\n\r\t\x00’İßé\u0301ﬁ1\ud800"), st.characters()), max_size=30)


@settings(deadline=None)
@given(texts)
def test_views_are_what_they_are_named_after(text: str) -> None:
    assert flat_view(text).text == flatten(text)
    assert folded_view(text).text == fold(text)
    assert "\n" not in flatten(text)
    assert flatten(flatten(text)) == flatten(text)


@settings(deadline=None)
@given(texts, st.data())
def test_every_part_of_a_view_leads_back(text: str, data: st.DataObject) -> None:
    view = flat_view(text)
    assert len(view.starts) == len(view.ends) == len(view.text)
    if view.text:
        start = data.draw(st.integers(0, len(view.text) - 1))
        end = data.draw(st.integers(start + 1, len(view.text)))
        first, last = view.span(start, end)
        assert flatten(text[first:last]) == view.text[start:end]
    folded = folded_view(text)
    assert len(folded.starts) == len(folded.ends) == len(folded.text)
    for i, char in enumerate(folded.text):
        assert char in fold(text[folded.starts[i] : folded.ends[i]])


@settings(deadline=None)
@given(st.text("ab", max_size=20), st.lists(st.text("ab", max_size=4), max_size=6))
def test_search_finds_what_brute_force_finds(text: str, patterns: list[str]) -> None:
    expected = {p: [i for i in range(len(text)) if text.startswith(p, i)] for p in patterns if p}
    assert search(text, patterns) == expected


@settings(deadline=None)
@given(texts, st.data())
def test_trim_takes_blanks_only_from_the_ends(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    first, last = trim(text, start, end)
    assert start <= first <= last <= end
    assert flatten(text[first:last]) == flatten(text[start:end]).strip(" ")


def test_boundaries_are_everywhere_but_inside_letters_and_inside_digits() -> None:
    text = "IL-12α e\u0301t 3,5 İx"
    assert [i for i in range(len(text) + 1) if not is_boundary(text, i)] == [1, 4, 8, 9, 16]


def test_folding_joins_the_spellings_of_a_mention() -> None:
    assert fold("Sjögren's  SYNDROME") == fold("sjogren’s\nsyndrome")
    assert fold("IL-2") == fold("il – 2") == fold("IL\n2")
    assert fold("1,2") != fold("12")
