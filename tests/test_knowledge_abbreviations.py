"""Abbreviations: a sample judged by hand, laws on any text, known definitions, and a linear time."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from dirag.data import Concept
from dirag.formats import read
from dirag.knowledge.base import KnowledgeBase
from dirag.knowledge.store import writer
from dirag.text import abbreviations
from dirag.text.abbreviations import Abbreviation, expand
from dirag.text.language import english
from dirag.text.segment import segments

PIECES = st.sampled_from(
    [
        "(",
        ")",
        "[",
        "]",
        "AT",
        "DN",
        "at",
        "and",
        "no data",
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


#: Short forms of two to six letters, each with words of those initials.
WORDS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=9)
LONG_FORMS = st.lists(WORDS, min_size=2, max_size=6).map(" ".join)


def find(text: str) -> list[Abbreviation]:
    return abbreviations.find(text, english())


def definitions(text: str) -> dict[str, str]:
    return abbreviations.definitions(text, english())


def test_the_sample_judged_by_hand(shared_data: Path) -> None:
    """200 places drawn from the brackets near which a short form may be defined, whatever is detected."""
    lines = Path(__file__).with_name("golden").joinpath("abbreviations.jsonl").read_text("utf-8").splitlines()
    sample = [json.loads(line) for line in lines]
    texts = dict(_texts(shared_data / "corpora", {row["file"] for row in sample}))
    right = wrong = missed = 0
    for row in sample:
        pairs = (pair for pair in find(texts[row["text"]]) if _is_at(pair, row["bracket"]))
        predicted = [[[pair.start, pair.end], [pair.long_start, pair.long_end]] for pair in pairs]
        gold = [[row["short"], row["long"]]] if row["short"] else []
        right += predicted == gold != []
        wrong += predicted != gold and predicted != []
        missed += predicted != gold and gold != []
    assert (len(sample), right + missed) == (200, 77)
    assert right / (right + wrong) > 0.98
    assert right / (right + missed) > 0.94


def _texts(corpora: Path, files: set[str]) -> Iterator[tuple[str, str]]:
    """Yields each text of these files under the beginning of its sha256."""
    for file in files:
        form = "pubtator" if file.startswith("ncbi") else None  # the others are known by their names
        for document in read([str(corpora / file)], format=form):
            yield hashlib.sha256(document.text.encode()).hexdigest()[:16], document.text


def _is_at(pair: Abbreviation, bracket: int) -> bool:
    """Tells whether the form that stands in brackets is that of this one."""
    return 0 < max(pair.start, pair.long_start) - bracket <= 2


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
        ("a case of myotonic dystrophy (DM)", "DM", "myotonic dystrophy"),
        ("the risk of double bonds (DBs)", "DBs", "double bonds"),
        ("brain gamma-aminobutyric acid (GABA)", "GABA", "gamma-aminobutyric acid"),
        ("levels of and dopamine-7 (DA7)", "DA7", "dopamine-7"),
        ("bis(p-nitrophenyl) phosphate (BNPP)", "BNPP", "bis(p-nitrophenyl) phosphate"),
        ("given (R)-alpha-methylserotonin (RAMS)", "RAMS", "(R)-alpha-methylserotonin"),
        ("given 2,3-oxazinol (OXA)", "OXA", "2,3-oxazinol"),
        ("a Na (+) channel blocker (NCB)", "NCB", "Na (+) channel blocker"),
        ("iris tumor, aniridia, and retardation (ITAR)", "ITAR", "iris tumor, aniridia, and retardation"),
        ("gout, rash, atrophic gastritis (AG)", "AG", "atrophic gastritis"),
        ("a tumor not otherwise specified (NOS)", "NOS", "not otherwise specified"),
        ("doxazosin (dox) and others", "dox", "doxazosin"),
        ("loss of hexokinase A (Hex A)", "Hex A", "hexokinase A"),
        ('"lone fever" (LF)', "LF", "lone fever"),
        ("bone marrow density\u2003(BMD)", "BMD", "bone marrow density"),
        ("No fever. Bone marrow density (BMD)", "BMD", "Bone marrow density"),
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
        "PT 19 (elevated) and PTT 46 (elevated)",
        "CRP 1.4 (normal 0-14), INR 1.5 (normal <0.4)",
        "BP (supine)182/113 HR (supine)94",
        "at C5 (C5-6), triceps (C5-6)",
        "rigidity in limbs (R>L)",
        "patients who grew (group B)",
        "they are both large (Table II)",
        "the risk is ours (OR 0.65)",
        "a rash and fever (AF)",
        "if everything (i.e.) fits",
        "a cardinal sign of aches (cardiac)",
        "four hours (4 h)",
        "CD (CDX)",
        "given Leu-AVP (Leu)",
        "liver (alanine transferase (LAT) is high",
        "AT (ataxia. Telangiectasia)",
        "a tumor, with rashes, and pain of mind (TPM)",
        "Ataxia. Telangiectasia (AT)",
        "ataxia; telangiectasia (AT)",
        "Ataxia: telangiectasia (AT)",
        "ataxia (mild) telangiectasia (AT)",
        "ataxia telangiectasia\n\n(AT)",
        "AT\n\n(ataxia telangiectasia)",
        "AT (ataxia\n\ntelangiectasia)",
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


@given(TEXTS)
def test_a_long_form_is_a_part_of_one_sentence(text: str) -> None:
    for pair in find(text):
        assert len(segments(pair.long)) == 1
        assert not set(pair.long) & set(";\n")
        depths = [
            pair.long[:end].count("(") - pair.long[:end].count(")") for end in range(len(pair.long) + 1)
        ]
        assert min(depths) == 0 == depths[-1]
        assert pair.short not in english().names.function_words
        assert pair.short not in pair.long.split()


@given(LONG_FORMS, st.sampled_from(["", "We saw ", "No fever. ", "A rash, ", "(mild) "]))
def test_initials_define_a_short_form_in_both_ways(long: str, before: str) -> None:
    words = long.split()
    short = "".join(word[0] for word in words).upper()
    assume(short.lower() not in words and words[0] not in english().names.function_words)
    for text in (f"{before}{long} ({short})", f"{before}{long} [{short}, of late]"):
        assert definitions(text) == {short: long}
    assert definitions(f"{before}{short} ({long})") == {short: long}


@given(TEXTS, TEXTS)
@example("ataxia telangiectasia (AT,", ")")
def test_paragraphs_define_apart(one: str, other: str) -> None:
    first = [pair.long for pair in find(one)]
    assert [pair.long for pair in find(f"{one}\n\n{other}")] == [*first, *(p.long for p in find(other))]


@given(st.text("ab 1-", min_size=1, max_size=12), st.text("ab1", min_size=1, max_size=4))
def test_letters_are_matched_as_late_as_they_can_be(text: str, short: str) -> None:
    starts = [
        start
        for start in range(len(text))
        if text[start] == short[0]
        and not (start and text[start - 1].isalnum())
        and _is_within(short, text[start:])
        and short[-1] in "".join(text.split()[-2:])
    ]
    assert abbreviations._long_start(short, text) == max(starts, default=None)


def _is_within(letters: str, text: str) -> bool:
    """Tells whether the letters stand in a text in their order."""
    rest = iter(text)
    return all(letter in rest for letter in letters)


@given(TEXTS)
def test_a_text_without_definitions_changes_nothing(text: str) -> None:
    assert expand(text, {}, english()) == text
    assert definitions(text).keys() == {pair.short for pair in find(text)}


def test_a_definition_holds_in_its_own_document(tmp_path: Path) -> None:
    writer.write(
        [Concept("D:1", "Ataxia telangiectasia"), Concept("D:2", "Atopic tonsillitis")], tmp_path / "kb"
    )
    index = KnowledgeBase(tmp_path / "kb").index_for(matches=["exact"])
    texts = ("Ataxia telangiectasia (AT).", "AT is high.", "Atopic tonsillitis (AT).", "AT is high.", None)
    hits = [index.lookup(["AT"], text=text)[0] for text in texts]
    assert [[hit.concept.id for hit in row] for row in hits] == [["D:1"], [], ["D:2"], [], []]


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
    assert seconds(4000) < 40 * max(min(seconds(400) for _ in range(3)), 0.002)
