"""Scores of status: whether what is said of a mention is what the gold standard says of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from dirag.data import Entity, Status
from dirag.evaluate.scoring.counts import Counts
from dirag.evaluate.scoring.pairing import Span


class StatusCounts:
    """Adds up, by label, the gold entities with a status that were found with span and type."""

    def __init__(self) -> None:
        self._counts = {label: Counts() for label in get_args(Status)}

    def add(self, gold: Iterable[Entity], predicted: Iterable[Entity]) -> None:
        """Adds the entities of one document, those of the types that count."""
        if not (of_gold := _by_span(gold)):
            return
        of_predicted = _by_span(predicted)
        for span in of_gold.keys() & of_predicted.keys():
            for label in self._counts:
                pair = label in of_gold[span], label in of_predicted[span]
                self._counts[label] += Counts(*pair, all(pair))

    def scores(self) -> dict[str, Counts]:
        """Returns the counts of each label that either side has; none where either side has no status."""
        return {label: counts for label, counts in self._counts.items() if counts.gold or counts.predicted}


def _by_span(entities: Iterable[Entity]) -> dict[Span[str], tuple[Status, ...]]:
    return {(e.start, e.end, e.type): e.status for e in entities if e.status is not None}
