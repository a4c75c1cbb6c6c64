"""The laws of the answer formats, over random texts and every gold sentence; how free answers are read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from answer_laws import is_admissible
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.answers import ANSWERS, make
from dirag.answers.candidates import CandidateList
from dirag.answers.mentions import Mentions
from dirag.data import Entity, Mention
from dirag.errors import UsageError
from dirag.formats import read
from dirag.text.align import place
from dirag.text.language import english
from dirag.text.occurrences import trim

GOLD = [("ncbi-disease-bio", "conll"), ("bc5cdr-bio", "conll"), ("bc2gm-bio", "conll")]
GOLD += [("ncbi-disease", "pubtator"), ("bc5cdr-pubtator", "pubtator")]
Marked = tuple[str, list[Entity]]
PIECES = [*"aab b;;|[]#\\.,:-'\"*()1 2α\n\r\tİß", "\x00", "\u2028", "\ud800", "\U0001d6fc", "e\u0301"]
PIECES += [
    "none",
    "None",
    "n/a",
    " | D ]",
    "[ ",
    "#1 ",
    "; ",
    " (D)",
    "cancer",
    "breast cancer",
    "NO",
    "\r\n",
]


@st.composite
def marked_texts(draw: st.DrawFn, types: tuple[str, ...] = ("D", "cell line")) -> Marked:
    text = "".join(draw(st.lists(st.sampled_from(PIECES), min_size=1, max_size=14)))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8, unique=True)))
    entities = []
    for start, end in zip(cuts[::2], cuts[1::2], strict=False):
        first, last = trim(text, start, end)
        if first < last:
            entities.append(Entity(first, last, draw(st.sampled_from(types)), text[first:last]))
    return text, entities


def read_back(name: str, types: tuple[str, ...], text: str, answer: str) -> list[Entity]:
    """What is found by the answer; nothing may be left unread or unplaced."""
    mentions, unread = make(name, types).parse(text, answer)
    entities, unplaced = place(text, mentions)
    assert (unread, unplaced) == ([], [])
    return entities


@settings(deadline=None)
@given(marked_texts())
def test_entities_of_any_type_are_candidates(marked: Marked) -> None:
    text, entities = marked
    made = CandidateList(english())
    answer = made.render(text, entities)
    if is_admissible(made.name, text, entities):
        assert made.constrain(text).accepts(answer)
    mentions, issues = made.parse(text, answer)
    found = place(text, mentions)[0]
    assert issues == []
    assert [(e.start, e.end) for e in found] == [(e.start, e.end) for e in entities]


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("types", [("D",), ("D", "cell line")])
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_what_is_rendered_is_read_back_exactly(
    name: str, types: tuple[str, ...], data: st.DataObject
) -> None:
    text, entities = data.draw(marked_texts(types))
    answers = make(name, types)
    answer = answers.render(text, entities)
    assert not any(stop in answer for stop in answers.stop)
    assert read_back(name, types, text, answer) == entities
    assert read_back(name, types, text, " " + answer + " ") == entities
    if is_admissible(name, text, entities):
        constraint = answers.constrain(text)
        assert constraint.accepts(answer)
        assert constraint.accepts(" " + answer)


@pytest.mark.parametrize(("corpus", "form"), GOLD)
def test_every_gold_text_is_read_back_exactly(corpus: str, form: str, shared_data: Path) -> None:
    documents = list(read([str(shared_data / "corpora" / corpus)], format=form))
    types = tuple(sorted({e.type for document in documents for e in document.entities}))
    assert sum(len(document.entities) for document in documents) > 6800
    for name in ANSWERS:
        answers = make(name, types)
        for number, document in enumerate(documents):
            entities = [replace(entity, link=None) for entity in document.entities]
            answer = answers.render(document.text, entities)
            assert read_back(name, types, document.text, answer) == entities, document.id
            # Building an automaton takes longer than all else here, so they are sampled.
            sampled = number % 100 == 0 or ("#" in answer and number % 16 == 0)
            if sampled and is_admissible(name, document.text, entities):
                assert answers.constrain(document.text).accepts(answer), document.id


@pytest.mark.parametrize("name", ANSWERS)
@settings(max_examples=300, deadline=None)
@given(text=st.text(), answer=st.text(), types=st.sampled_from([("D",), ("D", "cell line")]))
def test_no_answer_is_too_broken_to_read(name: str, text: str, answer: str, types: tuple[str, ...]) -> None:
    mentions, _ = make(name, types).parse(text, answer)
    entities, issues = place(text, mentions)
    assert all(text[e.start : e.end] == e.text and e.type in types for e in entities)
    assert bool(mentions) == bool(entities or issues)


TEXT = (
    "Breast cancer, colorectal cancer and 2,4-dinitrophenol: APC (E. coli) in Sjögren's syndrome. NO was low."
)


@pytest.mark.parametrize(
    ("answer", "found", "issues"),
    [
        ("", [], []),
        (" none", [], []),
        ("None.", [], []),
        ("No diseases were mentioned.", [], []),
        ("N/A", [], []),
        ("APC", ["APC"], []),
        ("APC.", ["APC"], []),
        ("APC; APC; APC", ["APC"], []),
        ('"APC", "E. coli"', ["APC", "E. coli"], []),
        ('["APC", "E. coli"]', ["APC", "E. coli"], []),
        ("1. APC\n2. E. coli\n3) none", ["APC", "E. coli"], []),
        ("Here they are:\n- APC\n* breast cancer", ["Breast cancer", "APC"], []),
        ("Diseases: APC; breast cancer", ["Breast cancer", "APC"], []),
        ("APC (disease); E. coli (bacterium)", ["APC", "E. coli"], []),
        ("2,4-dinitrophenol", ["2,4-dinitrophenol"], []),
        ("2,4 dinitrophenol, apc and Breast Cancer", ["Breast cancer", "2,4-dinitrophenol", "APC"], []),
        ("NO", ["NO"], []),
        ("Sjogren’s syndrome", ["Sjögren's syndrome"], []),
        ("cancer", ["cancer", "cancer"], []),
        ("#2 cancer", ["cancer"], []),
        ("#3 cancer", [], ["invented"]),
        ("colorectal can", [], ["invented"]),
        ("Breast cancer; ; cancer;", ["Breast cancer", "cancer"], []),
        ("measles; APC", ["APC"], ["invented"]),
        ("APC\n\nSentence: and so on\nDiseases: measles", ["APC"], ["unparsed"]),
        ("Breast cancer; Breast", ["Breast cancer"], ["unparsed"]),
    ],
)
def test_free_lists_of_one_type(answer: str, found: list[str], issues: list[str]) -> None:
    mentions, unread = make("mentions", ["disease"]).parse(TEXT, answer)
    entities, unplaced = place(TEXT, mentions)
    assert [e.text for e in entities] == found
    assert [issue.code for issue in unread + unplaced] == issues


@pytest.mark.parametrize(
    ("answer", "found", "issues"),
    [
        ("APC (Gene); breast cancer (Diseases)", [("Breast cancer", "disease"), ("APC", "gene")], []),
        (
            "gene: APC; NO; disease: breast cancer",
            [("Breast cancer", "disease"), ("APC", "gene"), ("NO", "gene")],
            [],
        ),
        ("APC (protein)", [], ["unparsed"]),
        ("APC", [], ["unparsed"]),
        ("APC (gene); breast cancer (dis", [("APC", "gene")], ["unparsed"]),
        ("none", [], []),
    ],
)
def test_free_lists_of_several_types(answer: str, found: list[tuple[str, str]], issues: list[str]) -> None:
    mentions, unread = make("mentions", ["disease", "gene"]).parse(TEXT, answer)
    entities, unplaced = place(TEXT, mentions)
    assert [(e.text, e.type) for e in entities] == found
    assert [issue.code for issue in unread + unplaced] == issues


COPIED = "The [3H] label of cancer, of colon cancer and of cancer in mice was seen again and again in cancer."


@pytest.mark.parametrize(
    ("answer", "starts", "issues"),
    [
        (COPIED, [], []),
        (COPIED.replace("of cancer in", "of [ cancer | disease ] in"), [49], []),
        ("Label of cancer, and of [cancer|Disease] in the mice was seen", [49], []),
        ("The label of cancer, colon cancer and cancer in rats was seen in [ cancer | disease ]", [92], []),
        (COPIED.replace("cancer in", "[ cancer | gene ] in"), [], ["unparsed"]),
        (COPIED.replace("[3H]", "3H").replace("colon", "[ a [ b [ colon"), [], ["unparsed", "unparsed"]),
        (COPIED + "\n\nSentence: more", [], ["unparsed"]),
        ("[ measles | disease ]", [], ["invented"]),
        ("cancer | disease ]", [], ["unparsed"]),
    ],
)
def test_free_copies(answer: str, starts: list[int], issues: list[str]) -> None:
    mentions, unread = make("inline", ["disease"]).parse(COPIED, answer)
    entities, unplaced = place(COPIED, mentions)
    assert [e.start for e in entities] == starts
    assert [issue.code for issue in unread + unplaced] == issues


@pytest.mark.parametrize(
    ("answer", "found", "issues"),
    [
        (
            "Entity type is disease. Entity is breast cancer.\nEntity type is gene. Entity is APC [SEP] NO.",
            ["Breast cancer", "APC", "NO"],
            [],
        ),
        ("Entity type is gene. Whatever it says. Entity is APC.", ["APC"], []),
        ("entity TYPE is gene. Entity is APC", ["APC"], []),
        ("Entity type is genes. entity is E. coli [SEP] none", ["E. coli"], []),
        ("Entity type is protein. Entity is APC.", [], ["unparsed"]),
        ("Entity type is gene. Entity", [], ["unparsed"]),
        ("Entity type is gene. Entity is measles [SEP] APC", ["APC"], ["invented"]),
        ("APC (gene)\nEntity type is disease. Entity is none.", ["APC"], []),
        ("Entity type is gene. Entity is .", [], []),
        ("none", [], []),
    ],
)
def test_free_templates(answer: str, found: list[str], issues: list[str]) -> None:
    mentions, unread = make("template", ["disease", "gene"]).parse(TEXT, answer)
    entities, unplaced = place(TEXT, mentions)
    assert [e.text for e in entities] == found
    assert [issue.code for issue in unread + unplaced] == issues


@pytest.mark.parametrize(
    ("answer", "found", "issues"),
    [
        ('{"disease": ["breast cancer"], "gene": ["APC", "#1 NO"]}', ["Breast cancer", "APC", "NO"], []),
        ('```json\n{\n  "Genes": [\n    "APC",\n    "NO"\n  ],\n  "disease": []\n}\n```', ["APC", "NO"], []),
        ('{"gene": "APC", "disease": null}', ["APC"], []),
        ('{"gene": ["APC", "E. co', ["APC"], ["invented"]),
        ('{"gene": ["Sj\\u00f6gren", "APC\\q"]}', ["Sjögren"], ["invented"]),
        ('{"protein": ["APC"], "gene": ["NO"]}', ["NO"], ["unparsed"]),
        ('["APC"]', [], ["unparsed"]),
        ('{"gene": ["APC"]} Note that "NO" is a gas.', ["APC"], ["unparsed"]),
        ('Here it is: {"gene": ["measles", "APC"]}', ["APC"], ["invented"]),
        ("{}", [], []),
        ("APC (gene)", ["APC"], []),
    ],
)
def test_free_objects(answer: str, found: list[str], issues: list[str]) -> None:
    mentions, unread = make("json", ["disease", "gene"]).parse(TEXT, answer)
    entities, unplaced = place(TEXT, mentions)
    assert [e.text for e in entities] == found
    assert [issue.code for issue in unread + unplaced] == issues


@settings(deadline=None, max_examples=100)
@given(marked_texts())
def test_a_rendered_object_is_json(marked: Marked) -> None:
    answer = json.loads(make("json", ["D", "cell line"]).render(*marked))
    assert list(answer) == ["D", "cell line"]
    assert sum(map(len, answer.values())) <= len(marked[1])


def test_templates_hold_descriptions() -> None:
    text, about = "APC and gout .", {"disease": "an illness", "gene": "a stretch of DNA"}
    made = make("template", ["disease", "gene"], descriptions=about)
    answer = made.render(text, [Entity(8, 12, "disease", "gout")])
    assert answer.splitlines() == [
        "Entity type is disease. an illness. Entity is gout.",
        "Entity type is gene. a stretch of DNA. Entity is none.",
    ]
    assert made.constrain(text).accepts(answer)
    mentions, issues = made.parse(text, answer)
    assert [(m.text, m.type) for m in mentions] == [("gout", "disease")]
    assert issues == []
    for unfit in ("two\nlines", "What an Entity is", ""):
        with pytest.raises(UsageError, match="description of 'gene'"):
            make("template", ["gene"], descriptions={"gene": unfit})


@pytest.mark.parametrize("name", ["template", "json"])
def test_each_mention_is_written_after_the_name_of_its_type(name: str) -> None:
    text = "One disease , asthma ."
    made = make(name, ["disease"])
    answer = made.render(text, [Entity(4, 11, "disease", "disease"), Entity(14, 20, "disease", "asthma")])
    mentions, _ = made.parse(text, " " + answer)
    assert [m.text for m in mentions] == ["disease", "asthma"]
    for mention in mentions:
        assert (" " + answer).index(mention.text, mention.after) > answer.index("disease") + len("disease")


def test_a_list_marks_places_only_where_it_would_be_read_otherwise() -> None:
    text = "cancer of the colon, cancer of the breast"
    both = [Entity(0, 6, "disease", "cancer"), Entity(21, 27, "disease", "cancer")]
    answers = Mentions(("disease",), english())
    assert answers.render(text, both) == "cancer"
    assert answers.render(text, both[1:]) == "#2 cancer"
    assert answers.parse(text, "#2 cancer") == ([Mention("cancer", "disease", occurrence=2)], [])
    assert answers.render("antihypertensive", [Entity(4, 12, "disease", "hyperten")]) == "#1 hyperten"


def test_entities_of_other_types_and_overlapping_ones_are_left_out() -> None:
    text = "breast cancer cells"
    entities = [
        Entity(0, 13, "disease", "breast cancer"),
        Entity(0, 6, "disease", "breast"),
        Entity(14, 19, "cell", "cells"),
    ]
    assert Mentions(("disease",), english()).render(text, entities) == "breast cancer"
    assert make("inline", ["disease"]).render(text, entities) == "[ breast cancer | disease ] cells"


@pytest.mark.parametrize(
    "types", [(), ("a", "A"), ("a]",), ("a|b",), ("a(b)",), ("a\nb",), (" a",), ("",), ("a:b",)]
)
def test_types_that_cannot_be_written_are_refused(types: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        make("mentions", types)


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="inline, json, mentions, template"):
        make("mention", ["disease"])
