"""Two runs compared: figures that are those of each run by itself, and where they differ."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dirag.data import Document, Entity
from dirag.evaluate.bootstrap import interval, randomisation
from dirag.evaluate.compare import compare
from dirag.evaluate.scoring.score import score

TEXT = "abcdefghij"
Spans = Sequence[tuple[int, int, str]]


def document(id: int, spans: Spans) -> Document:
    return Document(str(id), TEXT, tuple(Entity(s, e, kind, TEXT[s:e]) for s, e, kind in spans))


GOLD = [document(0, [(0, 2, "x"), (4, 6, "y"), (7, 9, "x")]), document(1, [(0, 2, "y")]), document(2, [])]
A = [
    document(0, [(0, 2, "x"), (4, 7, "y"), (9, 10, "z")]),
    document(1, [(0, 2, "x")]),
    document(2, [(0, 1, "x")]),
]
B = [document(1, [(0, 2, "y")]), document(0, [(0, 2, "x"), (4, 7, "x")]), document(2, [(0, 1, "x")])]


def test_each_run_scores_as_by_itself() -> None:
    made = compare(GOLD, A, B, types=("x", "y"), seed=3)
    assert list(made.per_type) == ["x", "y"]
    for kinds, difference in (
        (("x", "y"), made.whole),
        *((([kind]), d) for kind, d in made.per_type.items()),
    ):
        a, b = (score(GOLD, run, types=kinds) for run in (A, B))
        assert (difference.a, difference.b) == (a.micro, b.micro)
        assert difference.f1 == b.micro.f1 - a.micro.f1
        rows = [each.of("strict").per_document for each in (a, b)]
        assert (difference.ci_a, difference.ci_b) == tuple(interval(table, seed=3) for table in rows)
        assert difference.p == randomisation(*rows, seed=3)
        assert difference.between[0] <= difference.f1 <= difference.between[1]


def test_entities_that_differ_are_counted_by_what_each_run_makes_of_them() -> None:
    made = compare(GOLD, A, B, types=("x", "y"))
    assert made.fates == {("wrong boundaries", "both wrong"): 1, ("wrong type", "correct"): 1}
    everything = compare(GOLD, A, B, types=("x", "y", "z"))
    assert everything.fates == {**made.fates, ("spurious", "absent"): 1}


def test_the_other_way_round_it_is_the_opposite() -> None:
    there, back = compare(GOLD, A, B, types=("x", "y")), compare(GOLD, B, A, types=("x", "y"))
    assert there.whole.f1 == -back.whole.f1
    assert there.whole.between == pytest.approx((-back.whole.between[1], -back.whole.between[0]))
    assert there.whole.p == back.whole.p
    assert there.fates == {(b, a): number for (a, b), number in back.fates.items()}


def test_a_run_and_itself_do_not_differ() -> None:
    made = compare(GOLD, A, A, types=("x", "y"))
    assert (made.whole.f1, made.whole.between, made.whole.p, made.fates) == (0.0, (0.0, 0.0), 1.0, {})


def test_documents_without_predictions_are_told_and_missed() -> None:
    made = compare(GOLD, A, B[1:], types=("x", "y"))
    assert made.missing == (0, 1)
    assert made.fates["wrong type", "missed"] == 1
