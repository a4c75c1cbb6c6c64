"""Statistics of names against a count that looks at every span of every sentence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.data import Document, Entity
from dirag.taggers.known_names import UNSEEN, KnownName, NameStatistics
from dirag.text.language import english
from dirag.text.normalise import normaliser

NAMES = normaliser(english())


WORDS = ["asthma", "Asthma", "asthmaX", "renal", "failure", "ALL", "ALLs", "all", "of", "cancer", "a-b"]


@st.composite
def annotated(draw: st.DrawFn) -> Document:
    """A sentence of a few words with entities that do not overlap; some begin or end inside a word."""
    words = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=7))
    text, starts = "", []
    for word in words:
        starts.append(len(text))
        text += word + " "
    entities, at = [], 0
    while at < len(words):
        length = draw(st.integers(0, 2))
        if length:
            end = min(at + length, len(words))
            start, stop = starts[at], starts[end - 1] + len(words[end - 1])
            if stop - start > 3:
                start += draw(st.sampled_from([0, 0, 0, 1]))
                stop -= draw(st.sampled_from([0, 0, 0, 1, 2]))
            kind = draw(st.sampled_from(["disease", "gene"]))
            entities.append(Entity(start, stop, kind, text[start:stop]))
        at += max(1, length)
    return Document("", text.strip(), tuple(entities))


def form(surface: str) -> tuple[str, ...]:
    """How a name is compared: its words, and its own spelling where it is short."""
    words = tuple(word for word, _, _ in NAMES.words(surface))
    return (*words, "=" + surface) if len(surface) <= 4 else words


def spans(text: str) -> list[tuple[int, int]]:
    words = list(NAMES.words(text))
    return [(one[1], other[2]) for i, one in enumerate(words) for other in words[i:]]


def letters(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())


def brute_force(pool: Sequence[Document], text: str) -> set[KnownName]:
    """Every span of the text with its share, counted over the distinct sentences that are not the text."""
    others = {letters(document.text): document for document in pool}
    others.pop(letters(text), None)
    annotations = Counter(
        (form(entity.text), entity.type)
        for other in others.values()
        for entity in other.entities
        if (entity.start, entity.end) in spans(other.text)
    )
    standing = Counter(form(other.text[s:e]) for other in others.values() for s, e in spans(other.text))
    found = set()
    for start, end in spans(text):
        name = form(text[start:end])
        share, kind = max((annotations[name, kind], kind) for kind in ("disease", "gene"))
        if share:
            found.add(KnownName(start, end, kind, share / standing[name]))
    return found


@settings(deadline=None, max_examples=150)
@given(st.lists(annotated(), max_size=6), annotated())
def test_names_and_shares_are_those_of_a_count_by_hand(pool: list[Document], asked: Document) -> None:
    statistics = NameStatistics(pool, english())
    for text in (asked.text, *(document.text for document in pool[:2])):
        found = statistics.find(text)
        assert set(found) == brute_force(pool, text)
        assert len(set(found)) == len(found)
        assert [(name.start, name.end) for name in found] == sorted((n.start, n.end) for n in found)
        assert all(0 < name.share <= 1 for name in found)


def test_an_annotation_inside_a_word_is_no_evidence_for_the_word() -> None:
    inside = Document("1", "Two ALLs.", (Entity(4, 7, "disease", "ALL"),))
    assert NameStatistics([inside], english()).find("Has ALL.") == []
    other = Document("2", "All of ALL.")
    assert NameStatistics([inside, other], english()).find("Has ALL.") == []
    stands = Document("3", "Of ALL.", (Entity(3, 6, "disease", "ALL"),))
    assert NameStatistics([inside, other, stands], english()).find("Has ALL.") == [
        KnownName(4, 7, "disease", 0.5)
    ]


def test_a_sentence_is_no_evidence_for_itself() -> None:
    sentence = Document("1", "Gout was seen.", (Entity(0, 4, "disease", "Gout"),))
    statistics = NameStatistics([sentence, sentence], english())
    assert statistics.find("Gout, was seen") == []
    assert statistics.find("Gout came back.") == [KnownName(0, 4, "disease", 1.0)]


def test_short_names_keep_their_case_and_long_ones_do_not() -> None:
    entities = (Entity(0, 3, "disease", "ALL"), Entity(8, 14, "disease", "asthma"))
    statistics = NameStatistics([Document("1", "ALL and asthma .", entities)], english())
    assert [name.start for name in statistics.find("all had ASTHMA , none had ALL")] == [8, 26]


def gouts(text: str) -> list[Entity]:
    """A vocabulary of one name."""
    starts = [at for at in range(len(text)) if text.startswith("gout", at)]
    return [Entity(at, at + 4, "symptom", "gout") for at in starts]


def test_a_name_of_the_vocabulary_is_known_with_the_share_that_lies_in_entities() -> None:
    asked = "Is it gout?"
    assert NameStatistics([], english(), names=gouts).find(asked) == [
        KnownName(6, 10, "symptom", UNSEEN, annotated=False)
    ]
    never = [Document("1", "No gout here.")]
    assert NameStatistics(never, english(), names=gouts).find(asked) == []
    assert NameStatistics(never, english(), names=gouts).find(never[0].text) == []
    inside = Document("2", "Of acute gout.", (Entity(3, 13, "disease", "acute gout"),))
    once = NameStatistics([*never, inside], english(), names=gouts)
    assert once.find(asked) == [KnownName(6, 10, "symptom", 0.5, annotated=False)]
    annotated = Document("3", "Has gout.", (Entity(4, 8, "disease", "gout"),))
    assert NameStatistics([annotated], english(), names=gouts).find(asked) == [
        KnownName(6, 10, "disease", 1.0)
    ]


def test_a_name_that_the_pool_lacks_has_the_share_of_those_that_stand_there_once() -> None:
    def all_words(text: str) -> list[Entity]:
        """A vocabulary of every word; "of" stands twice."""
        return [Entity(m.start(), m.end(), "symptom", m[0]) for m in re.finditer(r"\w+", text)]

    annotated = Document("1", "Of acute gout.", (Entity(9, 13, "disease", "gout"),))
    none = Document("2", "Of asthma")
    statistics = NameStatistics([annotated, none], english(), names=all_words)
    assert statistics.find("Fever") == [KnownName(0, 5, "symptom", 1 / 3, annotated=False)]


def test_the_last_word_tells_the_type_where_the_pool_agrees() -> None:
    failures = ["renal failure", "heart failure", "liver failure"]
    pool = [Document(name, name, (Entity(0, len(name), "disease", name),)) for name in failures]
    entity = Entity(0, 15, "gene", "pump failure of")
    end = Entity(0, 12, "gene", "pump failure")
    assert [e.type for e in NameStatistics(pool, english()).typed("pump failure of", [entity, end])] == [
        "gene",
        "disease",
    ]
    own = Entity(0, 13, "gene", "renal failure")
    assert [e.type for e in NameStatistics(pool[:1], english()).typed("renal failure", [own])] == ["gene"]
    odd = Document("odd", "a failure", (Entity(2, 9, "symptom", "failure"),))
    assert [e.type for e in NameStatistics([*pool[:2], odd], english()).typed("pump failure", [end])] == [
        "gene"
    ]
