"""Words and keys: equal for spellings of one name, and always with offsets into the text as given."""

from __future__ import annotations

import time
import tracemalloc
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirag.text.language import english
from dirag.text.normalise import is_acronym, normaliser

ENGLISH = normaliser(english())
key, words, variants, normal_form = ENGLISH.key, ENGLISH.words, ENGLISH.variants, ENGLISH.normal_form


TRICKY = st.text(st.sampled_from("aZs2 İıßﬁé\u0301\u0130\r\n\t-_'’(.α😀\u00ad\u200d½²\x00")) | st.text()


@given(TRICKY)
def test_words_lie_in_the_text_in_order(text: str) -> None:
    end = 0
    for form, start, stop in words(text):
        assert form
        assert end <= start < stop <= len(text)
        assert text[start].isalnum()
        end = stop


@given(st.text(), TRICKY, st.text())
def test_offsets_do_not_depend_on_what_folding_does_to_lengths(before: str, middle: str, after: str) -> None:
    text = f"{before} {middle} needle {after}"
    at = text.index(" needle ") + 1
    assert ("needle", at, at + 6) in list(words(text)) or "needle" in before + middle


@given(TRICKY)
def test_every_letter_and_digit_is_in_a_word(text: str) -> None:
    covered = {place for _, start, end in words(text) for place in range(start, end)}
    missed = [
        character for place, character in enumerate(text) if character.isalnum() and place not in covered
    ]
    assert set(missed) <= set("sſ")  # a possessive is no word


@given(TRICKY)
def test_key_is_the_words_and_never_empty(name: str) -> None:
    found = tuple(form for form, _, _ in words(name))
    assert key(name) == (found or tuple(name.casefold().split()) or ("",))
    assert tuple(" ".join(key(name)).split(" ")) == key(name)


@given(st.text(st.characters(categories=["Lu", "Ll"]), min_size=1))
def test_decomposed_text_has_the_same_key(name: str) -> None:
    assert key(unicodedata.normalize("NFD", name)) == key(unicodedata.normalize("NFC", name))


@pytest.mark.parametrize(
    "left, right",
    [
        ("Breast Neoplasms", "breast neoplasm"),
        ("Crohn's disease", "Crohn Disease"),
        ("Crohn’s diseases", "crohn disease"),
        ("HER-2", "HER2"),
        ("β-thalassaemia", "beta thalassemia"),
        ("metastases", "Metastasis"),
        ("type II diabetes", "Type 2 Diabetes"),
        ("oesophageal tumour", "esophageal tumor"),
        ("biopsies", "biopsy"),
        ("Sjögren syndrome", "SJOGREN SYNDROME"),
        ("naive", "nai\u0308ve"),
        ("abscesses", "abscess"),
    ],
)
def test_spellings_of_one_name(left: str, right: str) -> None:
    assert key(left) == key(right)


@pytest.mark.parametrize("word", ["diabetes", "virus", "gas", "sis", "pus", "ass", "lens"])
def test_normal_forms_are_stable(word: str) -> None:
    assert normal_form(word.upper()) == normal_form(word)


@given(
    st.text("abcé\u0301", min_size=2, max_size=8).filter(lambda w: w[0] != "\u0301"),
    st.sampled_from("\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e"),
    st.data(),
)
def test_what_has_no_width_neither_hides_a_word_nor_belongs_to_its_end(
    word: str, mark: str, data: st.DataObject
) -> None:
    cuts = data.draw(st.sets(st.integers(1, len(word) - 1)))
    inside = "".join(mark * (i in cuts and letter != "\u0301") + letter for i, letter in enumerate(word))
    ((plain, _, _),) = words(word)
    ((marked, start, end),) = words(f"{mark}{inside}{mark} ")
    assert marked == plain
    assert (start, end) == (1, 1 + len(inside))


def test_variants() -> None:
    assert set(variants("Neoplasm, Breast")) == {"Breast Neoplasm"}
    assert set(variants("Pneumonia, unspecified organism")) == {"Pneumonia"}
    assert set(variants("Typhoid fever NOS")) == {"Typhoid fever"}
    assert "Human immunodeficiency virus disease" in variants("Human immunodeficiency virus [HIV] disease")
    assert list(variants("Asthma")) == []
    assert list(variants("NOS")) == []


@pytest.mark.parametrize(
    "name, expected", [("ALL", True), ("WT1", True), ("Gout", False), ("pain", False), ("Ovarian", False)]
)
def test_acronyms_are_short_and_not_words(name: str, expected: bool) -> None:
    assert is_acronym(name) is expected


LONG = 200_000


@pytest.mark.parametrize(
    "name",
    [" " * LONG, "a" + "\u0301\u0316" * LONG, "a" * LONG, "(" * LONG, "([" * LONG, "a" + " " * LONG + "("],
    ids=["blanks", "marks of one letter", "a word", "brackets", "brackets of two kinds", "an open bracket"],
)
def test_time_is_linear_in_a_name(name: str) -> None:
    started = time.perf_counter()
    assert all(key(form) for form in (name, *variants(name)))
    assert time.perf_counter() - started < 5


def test_a_word_of_millions_of_letters_takes_little_memory() -> None:
    text = "a" * 5_000_000
    tracemalloc.start()
    try:
        assert [end for _, _, end in words(text)] == [len(text)]
        assert tracemalloc.get_traced_memory()[1] < 200_000_000
    finally:
        tracemalloc.stop()
