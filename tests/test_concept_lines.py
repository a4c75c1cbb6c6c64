"""Concepts for a prompt: which spans are looked up, and which of the hits are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.data import Concept, Hit, Match
from dirag.knowledge.base import KnowledgeBase
from dirag.knowledge.store import writer
from dirag.prompting.concept_lines import LONGEST, SURE, Retriever, windows
from dirag.text.language import english

WORDS = ["gout", "Of", "of", "a", "A", "HER2", "hers", "von", "nai\u0308ve", "3"]


def spelled(parts: Sequence[tuple[str, str]]) -> str:
    return "".join(word + gap for word, gap in parts)


texts = st.lists(
    st.tuples(st.sampled_from(WORDS), st.sampled_from([" ", "-", ", ", ". ", "/", "’s ", " ("])), max_size=9
).map(spelled)


@settings(deadline=None)
@given(texts)
def test_windows_are_all_the_short_phrases_without_function_words_at_their_ends(text: str) -> None:
    def is_window(start: int, end: int) -> bool:
        words = text[start:end].replace("’", "-").replace("/", "-").replace(" ", "-").split("-")
        words = [word for word in words if word]
        whole = not text[start - 1 : start].isalnum() and not text[end : end + 1].isalnum()
        ends = text[start].isalnum() and text[end - 1].isalnum()
        return (
            (whole and ends and text[end : end + 1] != "\u0308" and set(words) <= {*WORDS, "s"})
            and words[0] not in ("Of", "of", "a", "A", "s")
            and words[-1] not in ("of", "a", "s")
            and len(words) <= LONGEST
        )

    every = [(a, b) for a in range(len(text)) for b in range(a + 1, len(text) + 1)]
    assert list(windows(text, english())) == [span for span in every if is_window(*span)]


class Table:
    """An index of a table: how each name matches and how probably; the scan finds the exact ones."""

    def __init__(self, names: Mapping[str, tuple[Match, float]]) -> None:
        self._names = names
        self.asked: list[str] = []

    def lookup(self, queries: Sequence[str], *, k: int = 5, text: str | None = None) -> list[list[Hit]]:
        self.asked += queries
        return [[self._hit(q, 0)][:k] if q in self._names else [] for q in queries]

    def scan(self, text: str) -> list[Hit]:
        return [
            self._hit(text[start:end], start)
            for start, end in windows(text, english())
            if text[start:end] in self._names and self._names[text[start:end]][0] == "exact"
        ]

    def _hit(self, name: str, start: int) -> Hit:
        match, score = self._names[name]
        return Hit(Concept(name, name), name, match, score, start, start + len(name))


def told(text: str, hits: Sequence[Hit]) -> list[str]:
    assert all(text[hit.start : hit.end] == hit.concept.name for hit in hits)
    return [hit.concept.name for hit in hits]


TABLE: dict[str, tuple[Match, float]] = {
    "gout": ("exact", 0.5),
    "acute gout": ("fuzzy", 0.99),
    "asthmas": ("fuzzy", SURE),
    "cystic": ("dense", SURE - 0.01),
    "severe asthmas": ("dense", 0.95),
}
TEXT = "Acute gout, acute gout of severe asthmas; cystic gout."


@pytest.mark.parametrize(
    "matches, limit, expected",
    [
        (["exact"], 9, ["gout"]),
        (["exact", "fuzzy"], 9, ["gout", "severe asthmas"]),
        (["exact", "fuzzy"], 1, ["gout"]),
        (["fuzzy"], 9, ["acute gout", "severe asthmas"]),
        (["fuzzy"], 1, ["acute gout"]),
    ],
)
def test_exact_names_come_first_and_then_the_most_probable(
    matches: list[Match], limit: int, expected: list[str]
) -> None:
    index = Table(TABLE)
    assert told(TEXT, Retriever(index, english(), limit=limit, matches=matches).named(TEXT)) == expected
    assert bool(index.asked) == (matches != ["exact"])


def test_candidates_are_looked_up_and_nothing_else() -> None:
    index = Table(TABLE)
    spans = [(TEXT.index(name), TEXT.index(name) + len(name)) for name in ("acute gout", "cystic", "of")]
    retriever = Retriever(index, english(), limit=9, matches=["exact", "fuzzy"])
    assert told(TEXT, retriever.candidates(TEXT, spans)) == ["acute gout"]
    assert index.asked == ["acute gout", "cystic", "of"]
    assert retriever.candidates(TEXT, []) == []
    improbable = retriever.candidates("gout", [(0, 4)])
    assert told("gout", improbable) == ["gout"]  # an exact name needs no probability


@settings(deadline=None)
@given(texts, st.data(), st.integers(1, 4))
def test_hits_do_not_overlap_nor_repeat_and_are_at_most_the_limit(
    text: str, data: st.DataObject, limit: int
) -> None:
    spans = list(windows(text, english()))
    names = sorted({text[start:end] for start, end in spans})
    kinds: list[Match] = ["exact", "fuzzy", "dense"]
    matched = st.tuples(st.sampled_from(kinds), st.floats(0.8, 1))
    table = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(names, matched)))
    retriever = Retriever(Table(table), english(), limit=limit, matches=("exact", "fuzzy", "dense"))
    for hits in (retriever.named(text), retriever.candidates(text, spans)):
        assert len(told(text, hits)) == len(set(told(text, hits))) <= limit
        assert all(hit.match == "exact" or hit.score >= SURE for hit in hits)
        assert all(one.end <= other.start for one, other in pairwise(hits))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnowledgeBase]:
    folder: Path = tmp_path_factory.mktemp("kb") / "kb"
    concepts = [
        Concept("D1", "adrenoleukodystrophy", (), ("disease",)),
        Concept("D2", "gout", (), ("disease",)),
    ]
    writer.write(concepts, folder)
    opened = KnowledgeBase(folder)
    yield opened
    opened.close()


def test_a_misspelling_over_a_real_base(base: KnowledgeBase) -> None:
    text = "A family with gout and adrenoleukodystropy."

    def lines(*matches: Match) -> list[str]:
        retriever = Retriever(base.index_for(matches=matches), english(), limit=8, matches=matches)
        return [hit.concept.id for hit in retriever.named(text)]

    assert lines("exact") == ["D2"]
    assert lines("exact", "fuzzy") == ["D2", "D1"]
