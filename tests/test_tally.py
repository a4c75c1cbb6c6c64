"""Counts in every scheme against what the schemes say, by trying all pairs, and against nervaluate."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nervaluate import Evaluator

from dirag.data import Document, Entity
from dirag.evaluate.scoring.counts import Counts
from dirag.evaluate.scoring.pairing import Span
from dirag.evaluate.scoring.score import SCHEMES, score

Spans = set[Span[str]]

#: White space of all kinds, at and inside entities; characters beyond ASCII, and half of one.
TEXT = "ab cd\u00a0e\u2009  f\U0001f9ecg-h\ud800\n"
SPANS = st.sets(
    st.builds(
        lambda start, length, kind: (start, min(len(TEXT), start + length), kind),
        st.integers(0, len(TEXT) - 1),
        st.integers(1, 6),
        st.sampled_from("xyz"),
    ),
    max_size=4,
)
PAIRS = st.lists(st.tuples(SPANS, SPANS), min_size=1, max_size=3)


def documents(sides: Sequence[Spans]) -> list[Document]:
    return [
        Document(str(i), TEXT, tuple(Entity(s, e, kind, TEXT[s:e]) for s, e, kind in sorted(spans)))
        for i, spans in enumerate(sides)
    ]


def overlap(a: Span[str], b: Span[str]) -> bool:
    return a[0] < b[1] and b[0] < a[1]


def ways(
    gold: Sequence[Span[str]], predicted: frozenset[Span[str]]
) -> Iterator[list[tuple[Span[str], Span[str]]]]:
    """Every set of one-to-one pairs that overlap."""
    if not gold:
        yield []
        return
    first, *rest = gold
    yield from ways(rest, predicted)
    for span in predicted:
        if overlap(first, span):
            for way in ways(rest, predicted - {span}):
                yield [(first, span), *way]


def right(scheme: str, a: Span[str], b: Span[str]) -> bool:
    """Whether a pair is correct."""
    return (scheme in ("partial", "exact", "type") or a == b) and (
        a[2] == b[2] if scheme == "type" else a[:2] == b[:2]
    )


def best(scheme: str, gold: Spans, predicted: Spans, *, equal_first: bool = True) -> Counts:
    """The counts with the most correct pairs and then the most others, of all pairs there may be.

    Strict counts are of the same pairs as exact ones, so that equal spans count as such.
    """
    equal = gold & predicted if equal_first else set[Span[str]]()
    by = "exact" if scheme == "strict" and equal_first else scheme
    found = (0, 0)
    for way in ways(sorted(gold - equal), frozenset(predicted - equal)):
        correct = sum(right(by, a, b) for a, b in way)
        found = max(found, (correct, len(way) - correct))
    correct, others = found
    if by != scheme:
        correct, others = 0, correct + others
    partial = others if scheme == "partial" else 0
    return Counts(len(gold), len(predicted), correct + len(equal), others - partial, partial)


def tokens(spans: Spans) -> set[tuple[int, str]]:
    places = [match.span() for match in re.finditer(r"\S+", TEXT)]
    return {(i, span[2]) for span in spans for i, (s, e) in enumerate(places) if overlap(span, (s, e, ""))}


@settings(deadline=None, max_examples=100)
@given(PAIRS)
def test_counts_are_those_of_the_best_pairs(pairs: list[tuple[Spans, Spans]]) -> None:
    found = score(documents([gold for gold, _ in pairs]), documents([predicted for _, predicted in pairs]))
    for scheme in ("strict", "exact", "partial"):
        for row, sides in zip(found.of(scheme).per_document.tolist(), pairs, strict=True):
            assert Counts(*row) == best(scheme, *sides)
    for row, sides in zip(found.of("type").per_document.tolist(), pairs, strict=True):
        counts, wanted = Counts(*row), best("type", *sides)
        assert (counts.gold, counts.predicted, counts.correct) == (
            wanted.gold,
            wanted.predicted,
            wanted.correct,
        )
        # Which of several largest sets of correct pairs is taken, is not decided by what it leaves over.
        assert counts.incorrect <= wanted.incorrect
    for row, (gold, predicted) in zip(found.of("token").per_document.tolist(), pairs, strict=True):
        of_gold, of_predicted = tokens(gold), tokens(predicted)
        assert Counts(*row) == Counts(len(of_gold), len(of_predicted), len(of_gold & of_predicted))


@settings(deadline=None, max_examples=40)
@given(PAIRS)
def test_a_type_is_scored_as_if_there_were_no_other(pairs: list[tuple[Spans, Spans]]) -> None:
    gold, predicted = (documents([sides[i] for sides in pairs]) for i in (0, 1))
    whole = score(gold, predicted)
    for kind in "xyz":
        alone = score(gold, predicted, types=[kind])
        for scheme in SCHEMES:
            assert whole.of(scheme).per_type.get(kind, Counts()) == alone.of(scheme).micro
        others = {(i, span) for i, (_, spans) in enumerate(pairs) for span in spans if span[2] != kind}
        assert alone.ignored == len(others)


@settings(deadline=None, max_examples=40)
@given(PAIRS)
def test_each_document_counts_by_itself_and_sides_can_be_swapped(pairs: list[tuple[Spans, Spans]]) -> None:
    gold, predicted = (documents([sides[i] for sides in pairs]) for i in (0, 1))
    together, swapped = score(gold, predicted), score(predicted, gold)
    for scheme in SCHEMES:
        rows = [
            score([a], [b]).of(scheme).per_document.tolist()[0] for a, b in zip(gold, predicted, strict=True)
        ]
        assert together.of(scheme).per_document.tolist() == rows
        there, back = together.of(scheme).micro, swapped.of(scheme).micro
        assert (there.precision, there.recall) == (back.recall, back.precision)


@given(SPANS, SPANS)
@settings(deadline=None)
def test_no_other_pairs_are_better_where_entities_do_not_overlap(gold: Spans, predicted: Spans) -> None:
    flat = [{a for a in side if not any(overlap(a, b) for b in side if b < a)} for side in (gold, predicted)]
    found = score(documents(flat[:1]), documents(flat[1:]))
    for scheme in ("strict", "exact", "partial", "type"):
        assert found.of(scheme).micro.f1 == best(scheme, flat[0], flat[1], equal_first=False).f1


def test_nested_entities_are_each_counted() -> None:
    """Gold has a disease in a disease; a system that finds the outer one alone misses the inner."""
    found = score(documents([{(0, 5, "x"), (3, 5, "x")}]), documents([{(0, 5, "x")}]))
    assert found.of("type").micro == found.of("strict").micro == Counts(2, 1, 1)


@pytest.mark.parametrize("seed", range(3))
def test_counts_are_nervaluates_where_no_entity_is_contested(seed: int) -> None:
    """Its pairs depend on the order of the list where one entity overlaps two; its ends are inclusive."""
    dice = random.Random(seed)
    sides: tuple[list[Spans], list[Spans]] = ([], [])
    for _ in range(400):
        gold, predicted = set[Span[str]](), set[Span[str]]()
        for place in range(0, len(TEXT) - 4, 4):
            start, kind = place + dice.randint(0, 1), dice.choice("xyz")
            span = (start, start + dice.randint(1, 2), kind)
            other = (
                start,
                span[1] + dice.choice([0, 0, 1]),
                kind if dice.random() < 0.7 else dice.choice("xyz"),
            )
            gold |= {span} if dice.random() < 0.8 else set()
            predicted |= {other} if dice.random() < 0.8 else set()
        sides[0].append(gold)
        sides[1].append(predicted)
    theirs = Evaluator(*(_dicts(side) for side in sides), tags=["x", "y", "z"], loader="dict").evaluate()
    ours = score(documents(sides[0]), documents(sides[1]))
    for scheme, name in {
        "strict": "strict",
        "exact": "exact",
        "partial": "partial",
        "type": "ent_type",
    }.items():
        counts, figures = ours.of(scheme).micro, theirs["overall"][name]
        for field in ("correct", "incorrect", "partial", "missed", "spurious"):
            assert getattr(counts, field) == getattr(figures, field), (scheme, field)
        assert (counts.gold, counts.predicted) == (figures.possible, figures.actual)


def _dicts(side: Sequence[Spans]) -> list[list[dict[str, object]]]:
    return [[{"label": kind, "start": s, "end": e - 1} for s, e, kind in sorted(spans)] for spans in side]
