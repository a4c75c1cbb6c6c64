"""How far scores can be trusted: reliability bins, Brier score, and what each least score would leave.

In: a ``Score``. Out: figures that follow from the score of each predicted entity and from whether it is
correct. Entities without a score are counted, and no least score leaves them out.
"""

from __future__ import annotations

from dataclasses import dataclass

from dirag.data import Json
from dirag.evaluate.scoring.counts import Counts
from dirag.evaluate.scoring.score import Score

#: Where bins begin, and the least scores that are tried.
EDGES = tuple(tenth / 10 for tenth in range(10))


@dataclass(frozen=True, slots=True)
class Bin:
    """The predicted entities that score at least ``low``, and less than where the next bin begins.

    ``score`` is their mean score, ``right`` the share of them that is correct; 0 where there are none.
    """

    low: float
    predicted: int
    score: float
    right: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far the scores of a run can be trusted.

    ``brier`` is the mean squared difference between score and truth (1 or 0), ``ece`` the expected
    calibration error: the difference between mean score and share of correct ones, over the bins.
    ``curve`` holds what would be counted with each of ``EDGES`` as the least score.
    """

    bins: tuple[Bin, ...]
    brier: float
    ece: float
    unscored: int
    curve: tuple[Counts, ...]

    def json(self) -> dict[str, Json]:
        return {
            "brier": round(self.brier, 4),
            "ece": round(self.ece, 4),
            "unscored": self.unscored,
            "bins": [
                {
                    "low": b.low,
                    "predicted": b.predicted,
                    "score": round(b.score, 4),
                    "right": round(b.right, 4),
                }
                for b in self.bins
            ],
            "min_score": [{"at": at, **counts.json()} for at, counts in zip(EDGES, self.curve, strict=True)],
        }


def calibration(scored: Score) -> Calibration:
    """Returns the calibration of the scores of one scoring."""
    import numpy as np

    score, right = scored.judged.T
    unscored = np.isnan(score)
    # A score on an edge falls into the bin above it, 1.0 into the last one, which has no upper edge.
    place = np.searchsorted(EDGES, score[~unscored], side="right") - 1
    columns = (np.ones(len(place)), score[~unscored], right[~unscored])
    sums = np.array([np.bincount(place, column, minlength=len(EDGES)) for column in columns]).T.tolist()
    bins = tuple(
        Bin(low, int(n), in_all / max(1, n), correct / max(1, n))
        for low, (n, in_all, correct) in zip(EDGES, sums, strict=True)
    )
    number, gold = max(1, len(place)), scored.micro.gold
    remaining = [unscored | (score >= low) for low in EDGES]
    return Calibration(
        bins,
        brier=float(np.sum((score - right)[~unscored] ** 2)) / number,
        ece=sum(b.predicted * abs(b.score - b.right) for b in bins) / number,
        unscored=int(unscored.sum()),
        curve=tuple(Counts(gold, int(which.sum()), int(right[which].sum())) for which in remaining),
    )
