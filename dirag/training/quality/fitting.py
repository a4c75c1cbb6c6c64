"""Fits the small model to the labels of an LLM, and measures how well it foretells those it has not seen."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dirag.examples.quality import Quality, QualityModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dirag.protocols import Embedder

FOLDS = 5
#: Inverse strength of the penalty on weights of classes: vectors have length 1, for which 1 is too strong.
_FREEDOM = 10.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """The share of paragraphs whose class the model foretells, beside that of the most frequent class."""

    accuracy: float
    majority: float
    largest: str


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """How well labels of folds that were left out are foretold; ``unit`` is what the folds are made of.

    ``rho`` is Spearman's, None where the labels or what is foretold are all equal.
    """

    unit: str
    rho: float | None
    kind: Agreement
    domain: Agreement


def fit(vectors: NDArray[np.float32], labels: Sequence[Quality], embedder: Embedder) -> QualityModel:
    """Fits ridge regression to the usefulness, logistic regression to kinds and domains."""
    import numpy as np
    from sklearn.linear_model import RidgeCV

    usefulness = np.array([label.usefulness for label in labels])
    # Each penalty is tried on every paragraph left out in turn, which for ridge costs no further fits: a
    # sample of 20 with 1,024 dimensions wants another one than a sample of 5,000.
    ridge = RidgeCV(alphas=np.logspace(-3, 3, 13)).fit(vectors.astype(np.float64), usefulness)
    kinds, of_kinds = _classes(vectors, [label.kind for label in labels])
    domains, of_domains = _classes(vectors, [label.domain for label in labels])
    rows = [np.append(ridge.coef_, ridge.intercept_)[None], of_kinds, of_domains]
    weights = np.concatenate(rows).astype(np.float32)
    return QualityModel(embedder.name, embedder.dimension, kinds, domains, weights)


def _classes(
    vectors: NDArray[np.float32], labels: Sequence[str]
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Returns the classes and a row of weights for each, the constant last."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    classes = tuple(sorted(set(labels)))
    if len(classes) == 1:  # which scikit-learn refuses
        return classes, np.zeros((1, vectors.shape[1] + 1))
    model = LogisticRegression(C=_FREEDOM, max_iter=1000).fit(vectors.astype(np.float64), labels)
    rows = np.column_stack([model.coef_, model.intercept_])
    # Of two classes it has one row, that of the second against the first.
    return classes, np.concatenate([-rows, rows]) if len(classes) == 2 else rows


def validate(
    vectors: NDArray[np.float32],
    labels: Sequence[Quality],
    documents: Sequence[int],
    embedder: Embedder,
    *,
    seed: int,
) -> CrossValidation:
    """Foretells each label by a model of the other folds, in which nothing of its document is."""
    import numpy as np

    several = len(set(documents)) >= FOLDS
    groups = np.array(documents if several else range(len(labels)))
    distinct = sorted(set(groups.tolist()))
    random.Random(seed).shuffle(distinct)
    predictions: list[Quality | None] = [None] * len(labels)
    for fold in range(FOLDS):
        held_out = np.isin(groups, distinct[fold::FOLDS])
        # By the code that scores in earnest: clipping and the choice of a class are measured too.
        others = [label for label, is_out in zip(labels, held_out, strict=True) if not is_out]
        model = fit(vectors[~held_out], others, embedder)
        for place, quality in zip(np.flatnonzero(held_out), model.qualities(vectors[held_out]), strict=True):
            predictions[place] = quality
    pairs = [(label, guess) for label, guess in zip(labels, predictions, strict=True) if guess]
    return CrossValidation(
        "documents" if several else "paragraphs",
        spearman([a.usefulness for a, _ in pairs], [b.usefulness for _, b in pairs]),
        _agreement([(a.kind, b.kind) for a, b in pairs]),
        _agreement([(a.domain, b.domain) for a, b in pairs]),
    )


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Returns the correlation of the ranks of two lists; equal values share the mean of their ranks."""
    import numpy as np

    ranks = []
    for values in (first, second):
        _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
        if len(counts) < 2:
            return None
        ranks.append((counts.cumsum() - (counts - 1) / 2)[places])
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _agreement(pairs: Sequence[tuple[str, str]]) -> Agreement:
    [(largest, count)] = Counter(label for label, _ in pairs).most_common(1)
    hits = sum(label == guess for label, guess in pairs)
    return Agreement(hits / len(pairs), count / len(pairs), largest)
