"""How far scores can be trusted: reliability bins, Brier score, and what each least score would leave.

In: a ``Score``. Out: figures that follow from the score of each predicted entity and from whether it is
correct. Entities without a score are counted, and no least score leaves them out.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from dirag.data import Json
from dirag.evaluate.score import Counts, Score

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
    """``brier`` is the mean squared difference between score and truth (1 or 0), ``ece`` the expected
    calibration error: the difference between mean score and share of correct ones, over the bins.

    ``curve`` holds what would be counted with each of ``EDGES`` as the least score.
    """

    bins: tuple[Bin, ...]
    brier: float
    ece: float
    unscored: int
    curve: tuple[Counts, ...]

    def json(self) -> dict[str, Json]:
        told = [(each.low, each.predicted, each.score, each.right) for each in self.bins]
        return {
            "brier": round(self.brier, 4),
            "ece": round(self.ece, 4),
            "unscored": self.unscored,
            "bins": [
                {"low": low, "predicted": number, "score": round(score, 4), "right": round(right, 4)}
                for low, number, score, right in told
            ],
            "min_score": [{"at": at, **counts.json()} for at, counts in zip(EDGES, self.curve, strict=True)],
        }


def calibration(scored: Score) -> Calibration:
    """The calibration of the scores of one scoring."""
    pairs = [(score, right) for score, right in scored.judged if score is not None]
    unscored = [right for score, right in scored.judged if score is None]
    groups: list[list[tuple[float, bool]]] = [[] for _ in EDGES]
    for score, right in pairs:
        groups[bisect_right(EDGES, score) - 1].append((score, right))
    bins = tuple(_bin(low, group) for low, group in zip(EDGES, groups, strict=True))
    number = max(1, len(pairs))
    curve = []
    for low in EDGES:
        kept = [right for score, right in pairs if score >= low] + unscored
        curve.append(Counts(scored.micro.gold, len(kept), sum(kept)))
    return Calibration(
        bins,
        brier=sum((score - right) ** 2 for score, right in pairs) / number,
        ece=sum(b.predicted * abs(b.score - b.right) for b in bins) / number,
        unscored=len(unscored),
        curve=tuple(curve),
    )


def _bin(low: float, group: Sequence[tuple[float, bool]]) -> Bin:
    number = max(1, len(group))
    return Bin(low, len(group), sum(s for s, _ in group) / number, sum(r for _, r in group) / number)
