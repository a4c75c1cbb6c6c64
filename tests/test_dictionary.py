"""The dictionary tagger: lazily one tagging a segment, wanted types only, exact offsets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hypothesis import given
from hypothesis import strategies as st

from dirag.data import Concept, Document, Hit, Segment
from dirag.knowledge.semantics import TypeMap
from dirag.taggers.dictionary import DictionaryTagger

MAP = TypeMap({}, {}, {"phenotype": ("symptom", "disease"), "history": ()})
CONCEPTS = {
    "ague": Concept("X:1", "Ague", (), ("phenotype",)),
    "iron": Concept("X:2", "Iron", (), ("Chemical",)),
    "past": Concept("X:3", "Past", (), ("history",)),
    "both": Concept("X:4", "Both", (), ("history", "phenotype", "chemical")),
}


class Words:
    """An index that knows four whole words, parted by blanks."""

    def lookup(self, queries: Sequence[str], *, k: int = 5) -> list[list[Hit]]:
        return [[] for _ in queries]

    def scan(self, text: str) -> list[Hit]:
        hits, at = [], 0
        for word in text.split(" "):
            if word in CONCEPTS:
                hits.append(Hit(CONCEPTS[word], word, "exact", 1.0, at, at + len(word)))
            at += len(word) + 1
        return hits


def tags(text: str, *types: str) -> list[tuple[str, str]]:
    (tagging,) = DictionaryTagger(Words(), types, type_map=MAP).tag([Segment(5, text)])
    Document("d", text, tagging.entities)  # checks every offset
    assert all(entity.concept is not None and entity.score == 1.0 for entity in tagging.entities)
    return [(entity.text, entity.type) for entity in tagging.entities]


def test_a_concept_gets_its_first_wanted_type() -> None:
    text = "past ague and iron both"
    assert tags(text, "symptom", "chemical") == [
        ("ague", "symptom"),
        ("iron", "chemical"),
        ("both", "symptom"),
    ]
    assert tags(text, "chemical", "disease") == [
        ("ague", "disease"),
        ("iron", "chemical"),
        ("both", "disease"),
    ]
    assert tags(text, "gene") == []
    assert tags("", "disease") == []


def test_tagging_is_lazy_and_in_order() -> None:
    taken = []

    def segments() -> Iterator[Segment]:
        for text in ("ague", "none", "iron"):
            taken.append(text)
            yield Segment(0, text)

    tagger = DictionaryTagger(Words(), ["disease", "chemical"], type_map=MAP)
    taggings = tagger.tag(segments())
    assert taken == []
    assert [entity.text for entity in next(taggings).entities] == ["ague"]
    assert taken == ["ague"]
    assert [len(tagging.entities) for tagging in taggings] == [0, 1]
    tagger.close()
    tagger.close()


@given(st.lists(st.sampled_from([*CONCEPTS, "İ", "x\r\n", "\u0301"])).map(" ".join))
def test_entities_are_what_stands_in_the_text(text: str) -> None:
    expected = [word for word in text.split(" ") if word in ("ague", "iron", "both")]
    assert [found for found, _ in tags(text, "disease", "chemical")] == expected
