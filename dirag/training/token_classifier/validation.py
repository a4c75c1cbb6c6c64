"""Tags held-out sentences with a token classifier: strict F1, and the table that calibrates its scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from dirag.corpora.labels import without_corpus
from dirag.data import Entity
from dirag.encoders.token_model import open_model
from dirag.taggers.token_classifier import CalibrationTable, TokenClassifier
from dirag.taggers.token_labels import LabelSet
from dirag.training.corpora import HeldOut

#: Predicted entities that a step of the calibration table stands on at least.
_LEAST = 30
#: Steps of the table, at most.
_STEPS = 40


class Tagged(NamedTuple):
    """The entities that a model finds in the held-out sentences of a corpus, sentence by sentence."""

    held_out: HeldOut
    entities: Sequence[tuple[Entity, ...]]

    @property
    def f1(self) -> float:
        """Returns strict micro F1."""
        return self.held_out.f1(self.entities)

    def outcomes(self) -> Iterator[tuple[float, bool]]:
        """Yields the score of each entity, and whether it is right."""
        for sentence, entities in zip(self.held_out.sentences, self.entities, strict=True):
            gold = {(entity.start, entity.end, entity.type) for entity in sentence.entities}
            for entity in entities:
                yield entity.score or 0.0, (entity.start, entity.end, entity.type) in gold


def tagged(held_out: Sequence[HeldOut], folder: Path, *, threads: int) -> list[Tagged]:
    """Tags the sentences of each corpus with the model in a folder, as it will be run; scores are raw."""
    model = open_model(folder, threads=threads)
    types = {label: without_corpus(label) for label in LabelSet(model.labels).types}
    result = []
    for corpus in held_out:
        tagger = TokenClassifier(model, {label: t for label, t in types.items() if t in corpus.types})
        result.append(Tagged(corpus, corpus.tag(tagger)))
    return result


def calibration(corpora: Sequence[Tagged]) -> CalibrationTable | None:
    """Fits the table from raw scores to shares of right entities; every corpus weighs as much."""
    outcomes = []
    for corpus in corpora:
        of_corpus = list(corpus.outcomes())
        outcomes += [(raw, right, 1 / len(of_corpus)) for raw, right in of_corpus]
    return fitted(outcomes)


def fitted(outcomes: Sequence[tuple[float, bool, float]]) -> CalibrationTable | None:
    """Fits a table to raw scores, whether each is of a right entity, and the weight of each.

    Shares do not fall as scores rise (isotonic regression over bins of equal size). Returns None where there
    are too few entities to fit anything to.
    """
    from sklearn.isotonic import IsotonicRegression

    if len(outcomes) < 2 * _LEAST:
        return None
    ordered = sorted(outcomes)
    size = max(_LEAST, len(ordered) // _STEPS)
    bins = [ordered[at : at + size] for at in range(0, len(ordered), size)]
    weights = [sum(weight for *_, weight in part) for part in bins]
    means = [
        (sum(raw * w for raw, _, w in part) / whole, sum(right * w for _, right, w in part) / whole)
        for part, whole in zip(bins, weights, strict=True)
    ]
    raw, right = zip(*means, strict=True)
    shares = IsotonicRegression(y_min=0, y_max=1).fit_transform(raw, right, sample_weight=weights)
    return CalibrationTable(tuple(round(x, 5) for x in raw), tuple(round(float(y), 5) for y in shares))
