from __future__ import annotations

import itertools
import random
import statistics
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.evaluate.bootstrap import interval
from dirag.evaluate.score import Counts

COUNTS = st.builds(
    lambda correct, missed, wrong: Counts(correct + missed, correct + wrong, correct),
    st.integers(0, 5),
    st.integers(0, 5),
    st.integers(0, 5),
)


def quantile(values: list[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return next(v for i, v in enumerate(ordered, 1) if i / len(ordered) >= share - 1e-12)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_the_bounds_are_those_of_all_resamples_there_are(level: float) -> None:
    counts = [Counts(3, 3, 3), Counts(4, 2, 1), Counts(0, 2, 0), Counts(5, 5, 4)]
    every = [sum(draw, Counts()).f1 for draw in itertools.product(counts, repeat=len(counts))]
    low, high = interval(counts, resamples=20_000, level=level)
    slack = 0.01  # in the share, for the sampling of 20,000 among the 256
    tail = (1 - level) / 2
    assert quantile(every, tail - slack) <= low <= quantile(every, tail + slack)
    assert quantile(every, 1 - tail - slack) <= high <= quantile(every, 1 - tail + slack)


@given(st.lists(COUNTS, min_size=1, max_size=8), st.integers(0, 9))
@settings(deadline=None)  # numpy is imported in the first example
def test_the_laws_of_an_interval(counts: list[Counts], seed: int) -> None:
    low, high = interval(counts, resamples=50, seed=seed)
    single = [c.f1 for c in counts]
    assert 0.0 <= low <= high <= 1.0
    assert min(single) - 1e-9 <= low
    assert high <= max(single) + 1e-9
    assert (low, high) == interval(counts, resamples=50, seed=seed)
    narrow = interval(counts, resamples=50, level=0.5, seed=seed)
    assert low <= narrow[0] <= narrow[1] <= high


def test_it_covers_the_truth_about_as_often_as_it_says() -> None:
    """Documents with one gold entity each, found with probability 0.7: F1 of the population is 0.7."""
    random_ = random.Random(1)
    covered = []
    for _ in range(100):
        found = [random_.random() < 0.7 for _ in range(200)]
        low, high = interval([Counts(1, 1, int(f)) for f in found], resamples=400)
        covered.append(low <= 0.7 <= high)
    assert 0.88 <= statistics.mean(covered) <= 1.0


def test_seeds_differ_and_no_documents_are_refused() -> None:
    counts = [Counts(i % 3 + 1, 2, i % 2) for i in range(50)]
    assert interval(counts, seed=1) != interval(counts, seed=2)
    with pytest.raises(ValueError, match="at least one document"):
        interval([])


def test_a_test_set_takes_well_under_a_second() -> None:
    counts = [Counts(i % 3, i % 4, min(i % 3, i % 4)) for i in range(940)]
    interval(counts[:1])  # numpy is imported here
    began = time.perf_counter()
    interval(counts)
    assert time.perf_counter() - began < 1.0
