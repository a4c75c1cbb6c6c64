"""The status of mentions: what notes say, the laws of the algorithm against a plain one, and gold notes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirag.data import Entity, Segment, Status
from dirag.evaluate.scoring.status import StatusCounts
from dirag.formats import read
from dirag.status.context import ConText, table
from dirag.status.phrases import Phrases
from dirag.text.language import Cue, Language, StatusRules, english
from dirag.text.segment import segments

LABELS: tuple[Status, ...] = get_args(Status)


def marked(text: str) -> tuple[str, list[Entity]]:
    """Returns the text without the brackets around its mentions, and these, all diseases."""
    entities: list[Entity] = []
    bare = ""
    for part in re.split(r"(\[[^]]*\])", text):
        if part.startswith("["):
            entities.append(Entity(len(bare), len(bare) + len(part) - 2, "disease", part[1:-1]))
            part = part[1:-1]
        bare += part
    return bare, entities


def told(text: str) -> list[str]:
    """Returns the first letters of the labels of each mention in brackets: "n" for negated, "-" for none."""
    bare, entities = marked(text)
    classified = ConText(english()).classify(segments(bare), entities)
    letters = {label: label[:2] for label in LABELS}
    return ["+".join(letters[label] for label in entity.status or ()) or "-" for entity in classified]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("No [edema], [rash] or [cough]. [Fever].", "ne ne ne -"),
        ("He denies [pain] but reports [nausea].", "ne -"),
        ("She does not have [pain]; [cough] is present.", "ne -"),
        ("No increase in [edema].", "-"),
        ("Gram-negative [sepsis].", "-"),
        ("[Edema]: none. [Fracture] was ruled out.", "ne ne"),
        ("[Pneumonia] cannot be ruled out. Rule out [MI].", "un un"),
        ("[Empyema] versus [abscess], [fever].", "un un -"),
        ("Possible [pneumonia], [fever] of 39.", "un -"),
        ("There is probable [stenosis] and no [thrombus].", "un ne"),
        ("We could not tell whether he had a [seizure]; it is unclear if [stroke] is present.", "- un"),
        ("Return if [fever] or [vomiting] develops.", "hy hy"),
        ("The risks, including but not limited to [bleeding] and [infection], were explained.", "hy hy"),
        ("Tylenol as needed for [pain]. [Pain] today.", "hy -"),
        ("A man with a history of [stroke] who presents with [cough].", "hi -"),
        ("HISTORY OF PRESENT ILLNESS: A three day history of [cough].", "-"),
        ("A 60-year-old [obese] man had [pneumonia] in 2004. [Gout], resolved.", "- hi hi"),
        ("An [old infarct] and a [recent infarct] were seen.", "hi -"),
        ("No history of [cancer]. Questionable history of [angina].", "ne un+hi"),
        ("His father died of [stroke]; the patient has [gout].", "fa -"),
        ("Mother reports [cough] for three days.", "-"),
        ("PMH: [Gout].\n1. [Asthma], no [cancer].\n\nLUNGS: [Rales].", "hi hi ne -"),
        (
            "PAST MEDICAL HISTORY\n[Gout]\nCV: [hypertension]\n[ASTHMA]\nPlan: treat the [cough].",
            "hi hi hi -",
        ),
        ("PAST MEDICAL HISTORY\n- [Gout]\n- [Asthma]\n\nEXAM ON ADMISSION\nChest: [rales]", "hi hi -"),
        ("Come to the emergency department for [fever]. He came to the ER with [cough].", "hy -"),
        ("Family History: Negative for [cancer]. Mother: [gout].\nExam: [rales].", "ne+fa fa -"),
        ("She is [not eating well] and has [pain], [absent reflexes] and [cramps].", "- - - -"),
    ],
)
def test_what_notes_say(text: str, expected: str) -> None:
    assert told(text) == expected.split()


def test_every_cue_of_english_gives_its_label_to_the_mention_beside_it() -> None:
    english_, context = english().status, ConText(english())
    dead = [
        (cue.label, words)
        for cue in english_.cues
        for phrase in cue.phrases
        for words in spelt_out(phrase)
        for text, mention in beside(cue, words)
        if cue.label not in labels(context, text, mention)
    ]
    assert not dead


def spelt_out(phrase: str) -> list[str]:
    """A phrase in two of its forms: with all of its words and the first choices, with as few and the last."""
    parts = [part if part == "?" else part.strip() for part in phrase.split() if part != "^"]
    full = [part.removesuffix("?" if len(part) > 1 else "").split("|")[0] for part in parts]
    short = [part.split("|")[-1] for part in parts if part == "?" or not part.endswith("?")]
    return [
        " ".join(p.replace("YEAR", "2004").replace("NUMBER", "7") for p in w if p != "^")
        for w in (full, short)
    ]


def beside(cue: Cue, words: str) -> list[tuple[str, Entity]]:
    """The texts in which a mention stands on the sides of a cue on which it bears."""
    before, after = f"{words} xyz", f"xyz {words}"
    texts = {"before": [before], "after": [after], "between": [before, after]}[cue.stands]
    return [(text, Entity(text.index("xyz"), text.index("xyz") + 3, "disease", "xyz")) for text in texts]


def labels(context: ConText, text: str, entity: Entity) -> Sequence[str]:
    [classified] = context.classify([Segment(0, text)], [entity])
    return classified.status or ()


WORDS = st.lists(
    st.sampled_from(["no", "if", "has", "but", ",", "pain", "xx", "over", "no change"]), max_size=9
)
RULES = StatusRules(
    cues=(
        Cue("negated", "before", "clause", ("no",)),
        Cue("hypothetical", "before", "sentence", ("if",)),
        Cue("historical", "after", "phrase", ("over",)),
    ),
    stops={"phrase": (",",), "clause": ("but",), "verb": ("has",)},
    neutral=("no change",),
)


def plain(words: Sequence[str], place: int) -> set[str]:
    """The labels of the word at a place, by trying every cue on every way to it."""
    given = set()
    for at, word in enumerate(words):
        way = words[at + 1 : place] if at < place else words[place + 1 : at][::-1]
        beyond = list(way)
        while beyond and beyond[0] == "has":
            beyond.pop(0)
        if word == "no" and at < place and not {"but", "has"} & set(beyond):
            given.add("negated")
        if word == "if" and at < place:
            given.add("hypothetical")
        if word == "over" and at > place and not {",", "but", "has"} & set(beyond):
            given.add("historical")
    return {label for label in given if not given & table().gives_way.get(label, set())}


@given(WORDS)
def test_scopes_are_those_of_a_plain_algorithm(words: list[str]) -> None:
    language = replace(english(), status=RULES)
    text = " ".join(words)
    starts = [sum(len(word) + 1 for word in words[:at]) for at in range(len(words))]
    entities = [
        Entity(start, start + 4, "disease", "pain")
        for start, word in zip(starts, words, strict=True)
        if word == "pain"
    ]
    classified = ConText(language).classify([Segment(0, text)] if text else [], entities)
    places = [at for at, word in enumerate(words) if word == "pain"]
    assert [set(entity.status or ()) for entity in classified] == [plain(words, at) for at in places]


@given(
    st.permutations(range(5)),
    st.lists(st.sampled_from(["disease", "chemical", "symptom"]), min_size=5, max_size=5),
)
def test_entities_come_back_as_they_were(order: list[int], types: list[str]) -> None:
    text, entities = marked("No [a], [b]. History of [c].\n\nFAMILY HISTORY: [d].\n\nPlan: rule out [e].")
    entities = [replace(entity, type=type_) for entity, type_ in zip(entities, types, strict=True)]
    context, parts = ConText(english()), segments(text)
    classified = context.classify(parts, entities)
    assert [replace(entity, status=None) for entity in classified] == entities
    assert [entity.status is None for entity in classified] == [type_ == "chemical" for type_ in types]
    assert context.classify(parts, [entities[n] for n in order]) == [classified[n] for n in order]


@given(
    st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3), max_size=5),
    st.lists(st.sampled_from("abcd"), max_size=12),
)
def test_places_are_the_longest_from_left_to_right(phrases: list[list[str]], words: list[str]) -> None:
    tree = Phrases((" ".join(phrase), number) for number, phrase in enumerate(phrases))
    expected, at = [], 0
    while at < len(words):
        lengths = [len(phrase) for phrase in phrases if words[at : at + len(phrase)] == phrase]
        if lengths:
            longest = words[at : at + max(lengths)]
            numbers = tuple(n for n, phrase in enumerate(phrases) if phrase == longest)
            expected.append((2 * at, 2 * (at + len(longest)) - 1, numbers))
        at += max(lengths, default=1)
    places = tree.places(" ".join(words))
    assert [(place.start, place.end, place.meanings) for place in places] == expected


def test_phrases_have_choices_gaps_numbers_and_a_beginning() -> None:
    tree = Phrases([("^ in YEAR", 1), ("NUMBER|two years? ago", 2), ("r / o", 3), ("?", 4), ("don't", 5)])
    text = "IN 2004 İ two ago, 12 Years Ago? in 2004 R/O Don’t"
    places = [(text[place.start : place.end], *place.meanings) for place in tree.places(text)]
    assert places == [
        ("IN 2004", 1), ("two ago", 2), ("12 Years Ago", 2), ("?", 4), ("R/O", 3), ("Don’t", 5),
    ]  # fmt: skip


def test_a_long_sentence_takes_time_in_proportion_and_any_text_passes() -> None:
    text = "no if , " * 20_000 + "pain"
    entity = Entity(len(text) - 4, len(text), "disease", "pain")
    [classified] = ConText(english()).classify(segments(text), [entity])
    assert classified.status == ("hypothetical",)


def test_a_language_without_cues_tells_nothing() -> None:
    language: Language = replace(english(), status=StatusRules())
    [classified] = ConText(language).classify([Segment(0, "no pain")], [Entity(3, 7, "disease", "pain")])
    assert classified.status == ()


def test_scores_count_what_was_found_with_span_and_type() -> None:
    def entities(*statuses: tuple[Status, ...] | None) -> list[Entity]:
        return [Entity(n, n + 1, "disease", "x", status=status) for n, status in enumerate(statuses)]

    counts = StatusCounts()
    counts.add(
        entities(("negated",), ("negated", "family"), (), None), entities(("negated",), (), ("family",), ())
    )
    counts.add(entities(("negated",)), [])
    counts.add(entities(("negated",)), entities(None))
    scores = counts.scores()
    assert {label: (c.gold, c.predicted, c.correct) for label, c in scores.items()} == {
        "negated": (2, 1, 1),
        "family": (1, 1, 0),
    }


def test_gold_notes(shared_data: Path) -> None:
    path = shared_data / "corpora" / "clinical-notes" / "devel.jsonl"
    if not path.is_file():
        pytest.skip(f"no notes at {path}")
    counts, context = StatusCounts(), ConText(english())
    for document in read([str(path)], format="jsonl"):
        bare = [replace(entity, status=None) for entity in document.entities]
        counts.add(document.entities, context.classify(segments(document.text), bare))
    bars = {"negated": 0.95, "historical": 0.80, "family": 0.90, "uncertain": 0.70, "hypothetical": 0.70}
    assert {
        label: counts.scores()[label].f1 for label, bar in bars.items() if counts.scores()[label].f1 < bar
    } == {}
