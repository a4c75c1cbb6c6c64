"""Pairs of entities: as many as there can be, by trying all."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from dirag.evaluate.scoring.pairing import Pair, Span, by_span, by_type, overlapping, pairs

SPANS = st.sets(
    st.builds(
        lambda start, length, kind: (start, start + length, kind),
        st.integers(0, 8),
        st.integers(1, 5),
        st.sampled_from("xy"),
    ),
    max_size=5,
)


def overlap(a: Span[str], b: Span[str]) -> bool:
    return any(a[0] <= place < a[1] for place in range(b[0], b[1]))


def most(gold: Sequence[Span[str]], predicted: Sequence[Span[str]]) -> int:
    """The largest number of one-to-one pairs that overlap."""
    if not gold:
        return 0
    first, *rest = gold
    taken = [
        1 + most(rest, [other for other in predicted if other != span])
        for span in predicted
        if overlap(first, span)
    ]
    return max([*taken, most(rest, predicted)])


def check(gold: set[Span[str]], predicted: set[Span[str]], found: Sequence[Pair[str]]) -> None:
    """Each entity is in one pair at most, with one of the other side that overlaps it."""
    assert all(a in gold and b in predicted and overlap(a, b) for a, b in found)
    assert len({a for a, _ in found}) == len({b for _, b in found}) == len(found)


@given(SPANS, SPANS)
def test_there_are_as_many_pairs_as_there_can_be(gold: set[Span[str]], predicted: set[Span[str]]) -> None:
    found = overlapping(gold, predicted)
    check(gold, predicted, found)
    assert len(found) == most(sorted(gold), sorted(predicted))
    assert len(found) == len(overlapping(predicted, gold))


@given(SPANS, SPANS)
def test_pairs_are_made_in_the_order_that_is_told(gold: set[Span[str]], predicted: set[Span[str]]) -> None:
    left, right = gold - predicted, predicted - gold
    found = by_span(left, right)
    check(left, right, found)
    same = [(a, b) for a, b in found if a[:2] == b[:2]]
    spans = {a[:2] for a in left}
    assert len(same) == sum(
        min(sum(a[:2] == span for a in left), sum(b[:2] == span for b in right)) for span in spans
    )
    rest = left - {a for a, _ in same}, right - {b for _, b in same}
    assert len(found) - len(same) == most(sorted(rest[0]), sorted(rest[1]))
    typed, others = by_type(left, right)
    check(left, right, [*typed, *others])
    assert all(a[2] == b[2] for a, b in typed)
    assert len(typed) == sum(
        most([a for a in sorted(left) if a[2] == kind], [b for b in sorted(right) if b[2] == kind])
        for kind in "xy"
    )
    rest = left - {a for a, _ in typed}, right - {b for _, b in typed}
    assert len(others) == most(sorted(rest[0]), sorted(rest[1]))
    assert set(pairs(gold, predicted)) == {(span, span) for span in gold & predicted} | set(found)
