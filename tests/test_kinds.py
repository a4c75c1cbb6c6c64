"""Errors by kind: every entity in exactly one, the same from both sides, and what each rule says."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirag.evaluate.kinds import KINDS, SWAPPED, Span, judge

SPANS = st.lists(
    st.builds(
        lambda start, size, kind: (start, start + size, kind),
        st.integers(0, 20),
        st.integers(1, 6),
        st.sampled_from("ab"),
    ),
    max_size=8,
)
ONE_SIDED = {"missed", "spurious"}


def overlaps(span: Span, others: Sequence[Span]) -> list[Span]:
    return [other for other in others if set(range(*span[:2])) & set(range(*other[:2]))]


@given(SPANS, SPANS)
def test_every_entity_is_of_exactly_one_kind(gold: list[Span], predicted: list[Span]) -> None:
    made = judge(gold, predicted)
    assert list(made.gold) == sorted(set(gold))
    assert list(made.predicted) == sorted(set(predicted))
    assert set(made.gold.values()) <= set(KINDS) - {"spurious"}
    assert set(made.predicted.values()) <= set(KINDS) - {"missed"}


@given(SPANS, SPANS)
def test_correct_is_what_is_on_both_sides(gold: list[Span], predicted: list[Span]) -> None:
    made = judge(gold, predicted)
    for side in (made.gold, made.predicted):
        assert {span for span, kind in side.items() if kind == "correct"} == set(gold) & set(predicted)


@given(SPANS, SPANS)
def test_swapping_the_sides_swaps_the_kinds(gold: list[Span], predicted: list[Span]) -> None:
    made, turned = judge(gold, predicted), judge(predicted, gold)
    assert {span: SWAPPED.get(kind, kind) for span, kind in made.gold.items()} == turned.predicted
    assert {span: SWAPPED.get(kind, kind) for span, kind in made.predicted.items()} == turned.gold


@given(SPANS, SPANS)
def test_an_entity_is_alone_if_it_overlaps_no_wrong_one(gold: list[Span], predicted: list[Span]) -> None:
    made = judge(gold, predicted)
    for side, other in ((made.gold, made.predicted), (made.predicted, made.gold)):
        wrong = [span for span, kind in other.items() if kind != "correct"]
        for span, kind in side.items():
            if kind != "correct":
                assert (kind in ONE_SIDED) == (not overlaps(span, wrong))


@given(SPANS, SPANS)
def test_pairs_are_as_many_on_both_sides(gold: list[Span], predicted: list[Span]) -> None:
    made = judge(gold, predicted)
    of_gold, of_predicted = list(made.gold.values()), list(made.predicted.values())
    for kind in ("correct", "wrong type", "too long", "too short", "shifted", "type and boundary"):
        assert of_gold.count(kind) == of_predicted.count(kind)
    assert of_predicted.count("split") >= 2 * of_gold.count("split")
    assert of_gold.count("merged") >= 2 * of_predicted.count("merged")


@given(SPANS, SPANS, st.integers(1, 100))
def test_documents_side_by_side_are_judged_apart(gold: list[Span], predicted: list[Span], gap: int) -> None:
    def moved(spans: list[Span]) -> list[Span]:
        return [(start + 26 + gap, end + 26 + gap, kind) for start, end, kind in spans]

    once, twice = judge(gold, predicted), judge(gold + moved(gold), predicted + moved(predicted))
    assert list(twice.gold.values()) == 2 * list(once.gold.values())
    assert list(twice.predicted.values()) == 2 * list(once.predicted.values())


@pytest.mark.parametrize(
    "gold, predicted, kind",
    [
        ([(0, 5, "a")], [(0, 5, "a")], "correct"),
        ([(0, 5, "a")], [(0, 5, "b")], "wrong type"),
        ([(2, 5, "a")], [(0, 5, "a")], "too long"),
        ([(2, 5, "a")], [(0, 8, "a")], "too long"),
        ([(0, 5, "a")], [(1, 4, "a")], "too short"),
        ([(0, 5, "a")], [(3, 8, "a")], "shifted"),
        ([(0, 5, "a")], [(3, 8, "b")], "type and boundary"),
        ([(0, 9, "a")], [(0, 3, "a"), (5, 9, "b")], "split"),
        ([(0, 3, "a"), (5, 9, "b")], [(0, 9, "a")], "merged"),
        ([(0, 3, "a"), (4, 9, "a")], [(0, 5, "a"), (6, 9, "a")], "entangled"),
        ([(0, 9, "a")], [(0, 5, "a"), (3, 9, "a")], "entangled"),
    ],
)
def test_each_rule_by_example(gold: list[Span], predicted: list[Span], kind: str) -> None:
    made = judge(gold, predicted)
    assert {*made.gold.values(), *made.predicted.values()} == {kind}


def test_what_overlaps_a_correct_entity_alone_is_spurious_or_missed() -> None:
    made = judge([(0, 9, "a"), (0, 3, "a")], [(0, 9, "a"), (5, 9, "a")])
    assert list(made.gold.values()) == ["missed", "correct"]
    assert list(made.predicted.values()) == ["correct", "spurious"]
