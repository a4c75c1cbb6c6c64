"""Laws of segmentation over any text, the marks of abstracts and clinical notes, and the real corpora."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirag.data import Document
from dirag.errors import UsageError
from dirag.formats import read
from dirag.text.segment import paragraphs, segments

_NOTE_PIECES = [
    *[
        "The",
        "p.o.",
        "q.d.",
        "E. coli",
        "3.5 mg",
        "Dr.",
        "1.",
        "2)",
        "- ",
        "Dx:",
        "ALLERGIES:",
        "mRNA",
        "\U0001f600",
    ],
    *[
        " ",
        "  ",
        "\n",
        "\r\n",
        "\n\n",
        "\t",
        ".",
        ",",
        "(",
        '"',
        "x" * 30,
        "\u0130",
        "e\u0301",
        "\x00",
        "\u2028",
    ],
]
texts = st.one_of(st.text(), st.lists(st.sampled_from(_NOTE_PIECES), max_size=60).map("".join))


@given(texts, st.integers(1, 80), st.integers(80, 200))
def test_paragraphs_hold_every_character_but_white_space_once(text: str, shortest: int, longest: int) -> None:
    covered = [0] * len(text)
    blocks = paragraphs(text, shortest=shortest, longest=longest)
    for block in blocks:
        assert text[block.start : block.end] == block.text == block.text.strip()
        assert len(block.text) >= shortest or len(blocks) == 1
        for place in range(block.start, block.end):
            covered[place] += 1
    assert all(count <= 1 and (count or char.isspace()) for count, char in zip(covered, text, strict=True))
    for segment in segments(text):
        [_] = [block for block in blocks if block.start <= segment.start and segment.end <= block.end]


def test_paragraphs_stand_between_blank_lines() -> None:
    long, heading = "The patient slept well and had no pain. " * 3, "HISTORY"
    text = f"{heading}\n\n{long}\n \n{long}{long}\n\nDr. X"
    first, second = paragraphs(text)
    assert first.text == f"{heading}\n\n{long}".rstrip()
    assert second.text == f"{long}{long}\n\nDr. X"
    pieces = paragraphs(long * 3, shortest=50, longest=120)
    assert len(pieces) == 3
    assert all(piece.text == long.rstrip() for piece in pieces)


@given(texts, st.integers(8, 60))
def test_segments_hold_every_character_but_white_space(text: str, max_chars: int) -> None:
    covered = [False] * len(text)
    found = segments(text, max_chars=max_chars, overlap=max_chars // 8)
    for segment in found:
        assert text[segment.start : segment.end] == segment.text == segment.text.strip()
        assert 0 < len(segment.text) <= max_chars
        covered[segment.start : segment.end] = [True] * len(segment.text)
    assert all(inside or character.isspace() for inside, character in zip(covered, text, strict=True))
    starts = [segment.start for segment in found]
    assert starts == sorted(set(starts))


@given(st.text(st.sampled_from("abc ,-\u0301"), max_size=400), st.integers(16, 80))
def test_windows_keep_every_short_span_whole(text: str, max_chars: int) -> None:
    overlap = max_chars // 8
    found = segments(text, max_chars=max_chars, overlap=overlap)
    for start in range(len(text) - overlap + 1):
        span = text[start : start + overlap]
        if span == span.strip():
            assert any(s.start <= start and start + overlap <= s.end for s in found)


def test_windows_are_cut_between_tokens() -> None:
    text = " ".join(f"token{i}" for i in range(400))
    tokens = set(text.split())
    found = segments(text, max_chars=100, overlap=12)
    assert len(found) > 30
    assert all(set(segment.text.split()) <= tokens for segment in found)


@pytest.mark.parametrize("max_chars, overlap", [(0, 0), (-5, 0), (80, 11), (80, -1)])
def test_windows_that_could_not_advance_are_refused(max_chars: int, overlap: int) -> None:
    with pytest.raises(UsageError, match=f"{max_chars} characters cannot overlap by {overlap}"):
        segments("text", max_chars=max_chars, overlap=overlap)


@pytest.mark.parametrize(
    "text",
    [
        "Seen by Dr. Smith and Prof. J. R. Jones vs. Mrs. Brown.",
        "Salmonella enterica sv. Typhimurium and vit. D were given.",
        "Pt. denies pain; pt. was given aspirin 81 mg p.o. q.d. and metoprolol 25.5 mg b.i.d. for HTN.",
        "E. coli and S. aureus grew (Fig. 2, Table 1), i.e. no. 5 of approx. 12 cultures (Lee et al. found).",
        "Cryptococcus neoformans var. grubii was seen on Feb. 18, 2016 at 7. 5 kb.",
        "She has St. Anthony's fire, P <. 001 in the U.S. Veterans cohort.",
        "Temp. was 38.5, with q.6h. p.r.n. acetaminophen, as J. B. Lee advised.",
    ],
)
def test_a_full_stop_that_is_no_end(text: str) -> None:
    assert [segment.text for segment in segments(text)] == [text]


@pytest.mark.parametrize(
    "pieces",
    [
        ["It was benign.", "The patient left."],
        ["Was it benign?", '"No," he said!', "(Later it was.)", "3 children are well."],
        ["It grew slowly (see below.)", "mRNA levels rose.", "\u03b2-catenin did not"],
        ["He tested positive for hepatitis C.", "He was a carrier."],
        ["Given aspirin q.d.", "The dose was halved."],
        ['Neck collar size is 17\u00bd".', "He denies pain."],
        ["The rate was 250 ms.", "With pacing, it fell."],
        ["Married.,", "SHX:, retired driver.,", "EXAM:, BP 120/80"],
        ["DIAGNOSES:,", "1.  Abscess, right foot.,", "2.  Foreign body.,", "FLUIDS: , none"],
        ["No complaints.", "ALLERGIES: none.", "MEDICATIONS: aspirin"],
        ["Sent to Dr. X.", "She left."],
    ],
)
def test_the_end_of_a_sentence(pieces: list[str]) -> None:
    glue = "" if pieces[0].endswith(",") else " "
    assert [segment.text for segment in segments(glue.join(pieces))] == pieces


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r", "\u2028"])
def test_lines_of_a_note(line_end: str) -> None:
    lines = [
        "HISTORY OF PRESENT ILLNESS",
        "The patient is a 50-year-old woman with end-stage renal disease and type 2",
        "Diabetes mellitus, on insulin. Last dialysis was on",
        "June 22.",
        "",
        "Dx: renal failure",
        "Hx: HTN",
        "MEDICATIONS:",
        "- aspirin 81 mg",
        "* insulin",
        "1. Lisinopril 10 mg",
        "2. Ramipril",
        "3) Cefalexin",
        "   ",
        "Follow-up in two weeks",
    ]
    text = line_end.join(lines)
    first, second, *rest = [segment.text.replace(line_end, " ") for segment in segments(text)]
    assert first == lines[0]
    assert second == f"{lines[1]} Diabetes mellitus, on insulin."
    assert rest[0] == "Last dialysis was on"  # a short line before a capital: nothing was wrapped here
    assert rest[1:] == [line for line in lines[3:] if line.strip()]


def test_a_number_that_begins_a_wrapped_line_is_no_list_item() -> None:
    text = (
        "She was first seen in our out-patient clinic at the age of\n45. Her mother had died of it early on."
    )
    assert [s.text for s in segments(text)] == [
        "She was first seen in our out-patient clinic at the age of\n45.",
        "Her mother had died of it early on.",
    ]


@pytest.mark.parametrize(
    "unit", ["a", "a. ", "A. b? ", "(", '"a ', ".", "\n", ".)", "A,", "HE:\n", ". (", "; ", "e\u0301", "1. "]
)
def test_time_is_linear(unit: str) -> None:
    text = unit * (400_000 // len(unit))
    began = time.perf_counter()
    segments(text + " " * 100_000 + "x")
    assert time.perf_counter() - began < 5  # measured: under 1; a quadratic rule takes minutes


@pytest.mark.parametrize(
    "path, format",
    [("ncbi-disease", "pubtator"), ("bc5cdr-pubtator", "pubtator"), ("maccrobat2020-half-a", "brat")],
)
def test_boundaries_cut_at_most_two_gold_mentions_in_a_thousand(
    shared_data: Path, path: str, format: str
) -> None:
    documents = list(read([str(shared_data / "corpora" / path)], format=format))
    mentions = sum(len(document.entities) for document in documents)
    cut = sum(_cut_mentions(document) for document in documents)
    count = sum(len(segments(document.text)) for document in documents)
    assert mentions > 6000
    assert cut <= 0.002 * mentions
    # Not by making segments long: 120 to 180 characters a sentence is usual in these texts.
    assert 100 < sum(len(document.text) for document in documents) / count < 180


def _cut_mentions(document: Document) -> int:
    found = segments(document.text)
    return sum(
        not any(s.start <= entity.start and entity.end <= s.end for s in found)
        for entity in document.entities
    )
