from __future__ import annotations

import itertools
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.evaluate.bootstrap import interval, intervals, paired_interval, randomisation, share_interval
from dirag.evaluate.scoring.counts import Counts, Table

COUNTS = st.builds(
    lambda correct, partial, missed, wrong: Counts(
        correct + partial + missed, correct + partial + wrong, correct, 0, partial
    ),
    st.integers(0, 5),
    st.integers(0, 2),
    st.integers(0, 5),
    st.integers(0, 5),
)
PAIRS = [
    (Counts(3, 3, 3), Counts(3, 4, 2)),
    (Counts(4, 2, 1), Counts(4, 4, 4)),
    (Counts(0, 2, 0), Counts(0, 0, 0)),
    (Counts(5, 5, 4), Counts(5, 6, 5)),
]


def table(counts: Sequence[Counts]) -> Table:
    """A row a document."""
    return np.array([astuple(each) for each in counts], np.int64).reshape(-1, 5)


def quantile(values: list[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return next(v for i, v in enumerate(ordered, 1) if i / len(ordered) >= share - 1e-12)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_the_bounds_are_those_of_all_resamples_there_are(level: float) -> None:
    counts = [Counts(3, 3, 3), Counts(4, 2, 1), Counts(0, 2, 0), Counts(5, 5, 4)]
    every = [sum(draw, Counts()).f1 for draw in itertools.product(counts, repeat=len(counts))]
    low, high = interval(table(counts), resamples=20_000, level=level)
    slack = 0.01  # in the share, for the sampling of 20,000 among the 256
    tail = (1 - level) / 2
    assert quantile(every, tail - slack) <= low <= quantile(every, tail + slack)
    assert quantile(every, 1 - tail - slack) <= high <= quantile(every, 1 - tail + slack)


@given(st.lists(COUNTS, min_size=1, max_size=8), st.integers(0, 9))
@settings(deadline=None)  # numpy is imported in the first example
def test_the_laws_of_an_interval(counts: list[Counts], seed: int) -> None:
    low, high = interval(table(counts), resamples=50, seed=seed)
    single = [c.f1 for c in counts]
    assert 0.0 <= low <= high <= 1.0
    assert min(single) - 1e-9 <= low
    assert high <= max(single) + 1e-9
    assert (low, high) == interval(table(counts), resamples=50, seed=seed)
    narrow = interval(table(counts), resamples=50, level=0.5, seed=seed)
    assert low <= narrow[0] <= narrow[1] <= high


def test_it_covers_the_truth_about_as_often_as_it_says() -> None:
    """Documents with one gold entity each, found with probability 0.7: F1 of the population is 0.7."""
    random_ = random.Random(1)
    covered = []
    for _ in range(100):
        found = [random_.random() < 0.7 for _ in range(200)]
        low, high = interval(table([Counts(1, 1, int(f)) for f in found]), resamples=400)
        covered.append(low <= 0.7 <= high)
    assert 0.88 <= statistics.mean(covered) <= 1.0


def test_seeds_differ_and_no_documents_are_refused() -> None:
    counts = table([Counts(i % 3 + 1, 2, i % 2) for i in range(50)])
    assert interval(counts, seed=1) != interval(counts, seed=2)
    with pytest.raises(ValueError, match="at least one document"):
        randomisation(table([]), table([]))
    with pytest.raises(ValueError, match="at least one document"):
        interval(table([]))


def test_a_test_set_takes_well_under_a_second() -> None:
    counts = table([Counts(i % 3, i % 4, min(i % 3, i % 4)) for i in range(940)])
    interval(counts[:1])  # numpy is imported here
    began = time.perf_counter()
    interval(counts)
    assert time.perf_counter() - began < 1.0


@given(
    st.lists(st.integers(0, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), min_size=1),
    st.integers(0, 9),
)
@settings(deadline=None)
def test_a_share_has_the_interval_of_an_f1_that_equals_it(cases: list[tuple[int, int]], seed: int) -> None:
    counts = [Counts(number, number, right) for number, right in cases]
    bounds = share_interval(np.array(cases, np.int64), resamples=50, seed=seed)
    assert bounds == interval(table(counts), resamples=50, seed=seed)


def test_several_tables_have_the_intervals_of_each() -> None:
    tables = {
        name: table([Counts(i % 3 + 1, k, i % 2) for i in range(30)]) for k, name in enumerate("abc", 2)
    }
    assert intervals(tables, seed=4) == {name: interval(each, seed=4) for name, each in tables.items()}


# Two runs


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_the_bounds_of_a_difference_are_those_of_all_resamples_of_pairs(level: float) -> None:
    every = []
    for draw in itertools.product(PAIRS, repeat=len(PAIRS)):
        a, b = (sum((pair[run] for pair in draw), Counts()).f1 for run in (0, 1))
        every.append(b - a)
    runs = [table([pair[run] for pair in PAIRS]) for run in (0, 1)]
    low, high = paired_interval(*runs, resamples=20_000, level=level)
    slack, tail = 0.01, (1 - level) / 2
    assert quantile(every, tail - slack) <= low + 1e-9 <= quantile(every, tail + slack) + 2e-9
    assert quantile(every, 1 - tail - slack) <= high + 1e-9 <= quantile(every, 1 - tail + slack) + 2e-9


@given(st.lists(st.tuples(COUNTS, COUNTS), min_size=1, max_size=8), st.integers(0, 3))
@settings(deadline=None, max_examples=50)
def test_p_is_the_share_of_all_ways_to_swap_documents(pairs: list[tuple[Counts, Counts]], seed: int) -> None:
    found = abs(sum((b for _, b in pairs), Counts()).f1 - sum((a for a, _ in pairs), Counts()).f1)
    as_large = []
    for swaps in itertools.product((0, 1), repeat=len(pairs)):
        a, b = Counts(), Counts()
        for pair, swap in zip(pairs, swaps, strict=True):
            a, b = a + pair[swap], b + pair[1 - swap]
        as_large.append(abs(b.f1 - a.f1) >= found - 1e-9)
    p = randomisation(table([a for a, _ in pairs]), table([b for _, b in pairs]), shuffles=4000, seed=seed)
    assert p == pytest.approx(statistics.mean(as_large), abs=0.05)
    assert p == randomisation(
        table([a for a, _ in pairs]), table([b for _, b in pairs]), shuffles=4000, seed=seed
    )


def test_runs_that_are_alike_are_not_told_apart_and_others_are() -> None:
    a = table([Counts(3, 3, i % 4) for i in range(200)])
    assert randomisation(a, a) == 1.0
    assert paired_interval(a, a) == (0.0, 0.0)
    assert randomisation(a, table([Counts(3, 3, 3)] * 200)) == pytest.approx(1 / 10_001)


def test_p_is_uniform_where_the_runs_are_alike() -> None:
    dice = np.random.default_rng(0)
    below = []
    for _ in range(200):
        a, b = (table([Counts(1, 1, int(hit)) for hit in dice.random(60) < 0.7]) for _ in range(2))
        below.append(randomisation(a, b, shuffles=500) <= 0.1)
    assert 0.02 <= statistics.mean(below) <= 0.16
