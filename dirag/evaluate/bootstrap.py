"""Confidence intervals by the percentile bootstrap over documents.

In come the counts of each document, out comes an interval for micro F1. Documents are drawn, not entities:
the mentions of one document are not independent, and drawing them singly gives intervals that are too narrow.
A corpus without document boundaries (the BIO ones) has sentences in their place.
"""

from __future__ import annotations

from collections.abc import Sequence

from dirag.evaluate.score import Counts


def interval(
    counts: Sequence[Counts], *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """The bounds of micro F1 at a confidence level; the same counts and seed give the same bounds.

    Raises ValueError where there are no documents, for then there is nothing to draw from.
    """
    import numpy as np

    if not counts:
        raise ValueError("a confidence interval needs at least one document")
    rows = np.array([(c.gold + c.predicted, c.correct) for c in counts], dtype=np.int64)
    random = np.random.default_rng(seed)
    # One draw at a time: an index of resamples x documents at once would be 100 MB for BC2GM's training set.
    sums = np.array([rows[random.integers(len(rows), size=len(rows))].sum(axis=0) for _ in range(resamples)])
    f1 = 2 * sums[:, 1] / np.maximum(sums[:, 0], 1)
    low, high = np.quantile(f1, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
