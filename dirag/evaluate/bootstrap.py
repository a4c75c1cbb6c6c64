"""Intervals and tests by resampling documents: the percentile bootstrap, approximate randomisation.

In come the counts of each document, of one run or of two; out come an interval for micro F1, or for the
difference of two, and the probability of such a difference if the runs were alike. Documents are drawn, not
entities: the mentions of one document are not independent, and drawing them singly gives intervals that are
too narrow. A corpus without document boundaries (the BIO ones) has sentences in their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dirag.evaluate.scoring.counts import Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CELLS = 1 << 22  # of a table of random numbers, at most


def interval(
    per_document: Table, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Returns the bounds of micro F1 at a confidence level, from a row a document, columns as in ``Counts``.

    The same rows and seed give the same bounds. Raises ValueError where there are no documents, for then
    there is nothing to draw from.
    """
    return intervals({"": per_document}, resamples=resamples, level=level, seed=seed)[""]


def intervals(
    tables: Mapping[str, Table], *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Returns the bounds of several tables over the same documents, which are drawn once for all."""
    import numpy as np

    sums = _resampled(np.concatenate([_credits(table) for table in tables.values()], axis=1), resamples, seed)
    return {name: _bounds(f1(sums[:, 2 * i : 2 * i + 2]), level) for i, name in enumerate(tables)}


def share_interval(
    per_document: Table, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Returns the bounds of a share at a confidence level, a row a document: cases, and how many hold."""
    return _bounds(_ratio(_resampled(per_document, resamples, seed)), level)


def paired_interval(
    a: Table, b: Table, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Returns the bounds of the micro F1 of ``b`` less that of ``a``, resampled by the same documents."""
    import numpy as np

    sums = _resampled(np.concatenate([_credits(a), _credits(b)], axis=1), resamples, seed)
    return _bounds(f1(sums[:, 2:]) - f1(sums[:, :2]), level)


def randomisation(a: Table, b: Table, *, shuffles: int = 10_000, seed: int = 0) -> float:
    """Returns the two-sided p-value of a difference in micro F1: approximate randomisation (Noreen 1989).

    In each shuffle the two runs swap each document with probability 1/2; p is the share of the shuffles with
    a difference at least as large, that of the runs themselves counted among them. Raises ValueError where
    there are no documents.
    """
    import numpy as np

    if not len(a):
        raise ValueError("a test of randomisation needs at least one document, and there is none")
    a, b = _credits(a), _credits(b)
    swapped, documents = np.unique(b - a, axis=0, return_counts=True)
    total_a, total_b = a.sum(axis=0), b.sum(axis=0)
    # Differences that are equal as fractions may differ in the last digit as floats: they count as large.
    least = abs(f1(total_b) - f1(total_a)) - 1e-12
    random, as_large = np.random.default_rng(seed), 1
    step = max(1, _CELLS // len(documents))
    for done in range(0, shuffles, step):
        # Documents with the same difference are alike: how many of them are swapped is a binomial number.
        number = random.binomial(documents, 0.5, size=(min(step, shuffles - done), len(documents)))
        shift = number @ swapped
        differences = f1(total_b - shift) - f1(total_a + shift)
        as_large += int(np.count_nonzero(abs(differences) >= least))
    return float(as_large / (shuffles + 1))


def f1(credits: Table) -> NDArray[np.float64]:
    """Returns micro F1 of each row of: gold and predicted together, twice correct and once partial."""
    return _ratio(credits)


def _ratio(rows: Table) -> NDArray[np.float64]:
    """Returns the second column over the first; 0 where that is 0."""
    import numpy as np

    return np.asarray(rows[..., 1] / np.maximum(rows[..., 0], 1), np.float64)


def _credits(per_document: Table) -> Table:
    import numpy as np

    gold, predicted, correct, _, partial = per_document.T.astype(np.int64)
    return np.stack([gold + predicted, 2 * correct + partial], axis=1)


def _resampled(rows: Table, resamples: int, seed: int) -> Table:
    """Returns the sums of the columns over documents drawn with replacement, a row a resample."""
    import numpy as np

    if not len(rows):
        raise ValueError("a confidence interval needs at least one document, and there is none")
    random = np.random.default_rng(seed)
    # Documents with equal counts are alike: a resample is how often each kind of them was drawn.
    kinds, kind = np.unique(rows, axis=0, return_inverse=True)
    # One draw at a time: an index of resamples x documents at once would be 100 MB for BC2GM's training set.
    return np.array([
        np.bincount(kind[random.integers(len(rows), size=len(rows))], minlength=len(kinds)) @ kinds
        for _ in range(resamples)
    ])  # fmt: skip


def _bounds(values: NDArray[np.float64], level: float) -> tuple[float, float]:
    import numpy as np

    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
