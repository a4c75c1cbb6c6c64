"""Consistency and faithfulness: systems whose figures are known, and the same figures by brute force."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.data import Document, Entity
from dirag.evaluate.robustness.alignment import Alignment, TextPiece
from dirag.evaluate.robustness.perturb import Perturbed
from dirag.evaluate.robustness.robustness import Outcome, RobustnessRow, rows
from dirag.evaluate.scoring.counts import Counts

TEXT = "no gout or flu"
GOUT, FLU = (3, 7), (11, 14)


def entities(text: str, spans: Iterable[tuple[int, int]]) -> tuple[Entity, ...]:
    return tuple(Entity(start, end, "disease", text[start:end]) for start, end in spans)


def copy(kind: str, edit: TextPiece, gold: Iterable[tuple[int, int]]) -> Perturbed:
    """The text above with one edit; ``gold`` is that of the copy."""
    before = Document("1", TEXT, entities(TEXT, [GOUT, FLU]))
    alignment = Alignment.of(TEXT, [edit])
    new = alignment.apply(TEXT)
    replaced = tuple(e for e in before.entities if (e.start, e.end) == (edit.start, edit.end))
    after = Document("1:x", new, entities(new, gold))
    return Perturbed(kind, before, after, alignment, replaced if kind in ("concept", "non-entity") else ())


UPPER = copy("case", TextPiece(*GOUT, "GOUT"), [GOUT, FLU])
ASTHMA = copy("concept", TextPiece(*GOUT, "asthma"), [(3, 9), (13, 16)])
PHRASE = copy("non-entity", TextPiece(*GOUT, "main road"), [(16, 19)])


def of(outcomes: list[Outcome]) -> dict[str, RobustnessRow]:
    return {row.kind: row for row in rows(outcomes)}


def outcome(made: Perturbed, before: list[tuple[int, int]], after: list[tuple[int, int]]) -> Outcome:
    return Outcome(0, made, entities(TEXT, before), entities(made.after.text, after))


@pytest.mark.parametrize(
    ("made", "before", "after", "right"),
    [
        (UPPER, [GOUT, FLU], [GOUT, FLU], {"documents": (1, 1), "entities": (2, 2)}),
        (UPPER, [GOUT], [FLU], {"documents": (0, 1), "entities": (0, 2)}),
        (
            UPPER,
            [(3, 5)],
            [(3, 5)],
            {"documents": (0, 1), "entities": (0, 2)},
        ),  # cuts the edit: never the same
        (UPPER, [], [], {"documents": (1, 1), "entities": (0, 0)}),
        (ASTHMA, [GOUT, FLU], [(3, 9), (13, 16)], {"followed": (1, 1)}),
        (ASTHMA, [GOUT], [(3, 8)], {"followed": (0, 1)}),
        (ASTHMA, [FLU], [(3, 9)], {"followed": (0, 0)}),  # was not found before
        (PHRASE, [GOUT, FLU], [(16, 19)], {"followed": (1, 1)}),
        (PHRASE, [GOUT], [(8, 12)], {"followed": (0, 1)}),  # still finds a part of the phrase
    ],
)
def test_known_outcomes(
    made: Perturbed,
    before: list[tuple[int, int]],
    after: list[tuple[int, int]],
    right: dict[str, tuple[int, int]],
) -> None:
    seen = outcome(made, before, after)
    row = of([seen])[made.kind]
    assert {name: (share.right, share.of) for name, share in row.shares.items()} == right
    assert seen.broke() == any(number < total for number, total in right.values())
    assert all((share.ci95 is None) == (not share.of) for share in row.shares.values())


def test_strict_counts_are_those_before_and_after() -> None:
    row = of([outcome(ASTHMA, [GOUT], [(3, 9), (0, 2)])])["concept"]
    assert (row.before, row.after) == (Counts(2, 1, 1), Counts(2, 2, 1))


SPANS = st.lists(st.sampled_from([(0, 2), GOUT, FLU, (3, 10), (8, 10)]), unique=True)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), SPANS, SPANS), min_size=1, max_size=6))
def test_consistency_is_that_of_sets_with_an_interval_around_it(
    drawn: list[tuple[int, list[tuple[int, int]], list[tuple[int, int]]]],
) -> None:
    made = [
        Outcome(number, UPPER, entities(TEXT, before), entities(UPPER.after.text, after))
        for number, before, after in drawn
    ]
    found = of(made)
    assert set(found) == {"kept", "case"}
    documents, spans = found["case"].shares["documents"], found["case"].shares["entities"]
    assert (documents.right, documents.of) == (sum(set(b) == set(a) for _, b, a in drawn), len(drawn))
    assert spans.right == sum(len(set(b) & set(a)) for _, b, a in drawn)
    assert spans.of == sum(len(set(b) | set(a)) for _, b, a in drawn)
    assert documents.ci95 is not None
    assert 0 <= documents.ci95[0] <= documents.ci95[1] <= 1
    if len({number for number, _, _ in drawn}) == 1:  # one document, whatever its copies, is drawn always
        assert documents.ci95 == (documents.value, documents.value)
    assert found["kept"].json() | {"kind": "case"} == found["case"].json()


def test_the_sorts_of_edit_are_kept_apart() -> None:
    found = of([outcome(UPPER, [GOUT], [GOUT]), outcome(ASTHMA, [GOUT], []), outcome(PHRASE, [GOUT], [])])
    assert list(found) == ["kept", "case", "changed", "concept", "non-entity"]
    assert found["kept"].shares["entities"].value == 1
    assert found["changed"].shares["followed"].value == 0.5
    assert found["changed"].copies == 2
