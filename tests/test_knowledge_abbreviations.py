"""Abbreviations: known definitions, the laws of the offsets on any text, and a linear time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirag.text.abbreviations import definitions, expand, find
from dirag.text.language import english

PIECES = st.sampled_from(
    [
        "(",
        ")",
        "[",
        "]",
        "AT",
        "ataxia",
        "telangiectasia",
        "A-T",
        ",",
        ";",
        ".",
        "\n\n",
        " ",
        "İ",
        "ß",
        "a",
        "1",
    ]
)
TEXTS = st.lists(PIECES, max_size=40).map("".join) | st.lists(PIECES, max_size=40).map(" ".join) | st.text()


@pytest.mark.parametrize(
    ("text", "short", "long"),
    [
        ("Ataxia telangiectasia (AT) is rare.", "AT", "Ataxia telangiectasia"),
        ("The disease ataxia-telangiectasia (A-T)", "A-T", "ataxia-telangiectasia"),
        ("of von Hippel-Lindau (VHL) disease", "VHL", "von Hippel-Lindau"),
        ("glucose-6-phosphate dehydrogenase (G6PD) deficiency", "G6PD", "glucose-6-phosphate dehydrogenase"),
        ("adenomatous polyposis coli (APC; MIM 175100)", "APC", "adenomatous polyposis coli"),
        ("DMD (Duchenne muscular dystrophy) boys", "DMD", "Duchenne muscular dystrophy"),
        ("retinitis pigmentosa [RP]", "RP", "retinitis pigmentosa"),
        ("ataxia - telangiectasia ( AT ) is rare", "AT", "ataxia - telangiectasia"),
    ],
)
def test_known_definitions(text: str, short: str, long: str) -> None:
    assert definitions(text) == {short: long}


@pytest.mark.parametrize(
    "text",
    [
        "breast cancer (see Table 1)",
        "cancer (12)",
        "a gene (in 5% of patients)",
        "AT (AT)",
        "(AT)",
        "tumour ()",
        "boys (n = 12)",
        "ataxia telangiectasia (XQ)",
    ],
)
def test_brackets_that_define_nothing(text: str) -> None:
    assert definitions(text) == {}


@given(TEXTS)
def test_offsets_tell_what_stands_there(text: str) -> None:
    for pair in find(text):
        assert text[pair.start : pair.end] == pair.short
        assert text[pair.long_start : pair.long_end] == pair.long
        assert pair.long_end <= pair.start or pair.end <= pair.long_start
        assert len(pair.long) > len(pair.short)
        letters = iter(pair.long.lower())
        assert all(c.lower() in letters for c in pair.short if c.isalnum() and len(c.lower()) == 1)


@given(TEXTS)
def test_a_text_without_definitions_changes_nothing(text: str) -> None:
    assert expand(text, {}, english()) == text
    assert definitions(text).keys() == {pair.short for pair in find(text)}


def test_mentions_are_written_out_whole_and_within() -> None:
    defined = {"AT": "ataxia telangiectasia", "A-T": "ataxia-telangiectasia", "VHL": "von Hippel-Lindau"}
    assert expand("A-T", defined, english()) == "ataxia-telangiectasia"
    assert expand("AT patients", defined, english()) == "ataxia telangiectasia patients"
    assert expand("VHL disease", defined, english()) == "von Hippel-Lindau disease"
    assert expand("ATs", defined, english()) == "ataxia telangiectasia"
    assert expand("FLAT ATM", defined, english()) == "FLAT ATM"


def test_the_first_definition_holds() -> None:
    assert definitions("acute pain (AP), later ataxia of Paris (AP)") == {"AP": "acute pain"}


@pytest.mark.parametrize("piece", ["(", "a (", "(a", "A (AB", "word " * 3 + "(WWW) ", "(" + "b" * 150])
def test_time_is_linear_in_the_text(piece: str) -> None:
    def seconds(times: int) -> float:
        begun = time.process_time()
        find(piece * times)
        return time.process_time() - begun

    seconds(100)
    assert seconds(8000) < 40 * max(min(seconds(800) for _ in range(3)), 0.002)
