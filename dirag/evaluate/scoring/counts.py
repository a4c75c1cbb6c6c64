"""What is counted, and the ratios that follow from it: the terms of MUC-5 and SemEval-2013 task 9."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from dirag.data import Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Rows of integers; their columns are said where one is handed on.
Table: TypeAlias = "NDArray[np.int64]"


@dataclass(frozen=True, slots=True)
class Counts:
    """Gold and predicted entities, and what became of them, in the terms of MUC and SemEval-2013.

    Correct, incorrect and partial count one-to-one pairs. A partial pair is worth a half. A ratio over
    nothing is 0.0, as in seqeval and scikit-learn.
    """

    gold: int = 0
    predicted: int = 0
    correct: int = 0
    incorrect: int = 0
    partial: int = 0

    @classmethod
    def of(cls, rows: Table) -> Counts:
        """Returns the sum of rows with a column a field."""
        return cls(*map(int, rows.sum(axis=0)))

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.gold + other.gold,
            self.predicted + other.predicted,
            self.correct + other.correct,
            self.incorrect + other.incorrect,
            self.partial + other.partial,
        )

    @property
    def missed(self) -> int:
        return self.gold - self.correct - self.incorrect - self.partial

    @property
    def spurious(self) -> int:
        return self.predicted - self.correct - self.incorrect - self.partial

    @property
    def precision(self) -> float:
        return (self.correct + self.partial / 2) / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        return (self.correct + self.partial / 2) / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        # From counts, not from precision and recall: it is defined where one of these divides by nothing.
        both = self.gold + self.predicted
        return (2 * self.correct + self.partial) / both if both else 0.0

    def json(self) -> dict[str, Json]:
        """Returns the counts that scripts know, with the ratios."""
        return {
            "gold": self.gold,
            "predicted": self.predicted,
            "correct": self.correct,
            "precision": round(self.precision, 4),
            "recall": round(self.recall, 4),
            "f1": round(self.f1, 4),
        }

    def semeval(self) -> dict[str, Json]:
        """Returns everything that is counted, with the ratios."""
        more = {name: getattr(self, name) for name in ("incorrect", "partial", "missed", "spurious")}
        return {**self.json(), **more}


@dataclass(frozen=True, slots=True)
class SchemeScore:
    """The counts in one scheme: of each type, sorted; and a row a document, columns as in ``Counts``."""

    per_type: Mapping[str, Counts]
    per_document: Table

    @property
    def micro(self) -> Counts:
        return Counts.of(self.per_document)

    @property
    def macro_f1(self) -> float:
        """Returns the mean F1 of the types that occur, in gold or in predictions."""
        # A type that is only predicted counts, with 0: else to invent one would cost nothing.
        return sum(counts.f1 for counts in self.per_type.values()) / max(1, len(self.per_type))

    @property
    def document_f1(self) -> float:
        """Returns the mean F1 of the documents that have any entity, in gold or in predictions."""
        import numpy as np

        gold, predicted, correct, _, partial = self.per_document.T
        # Without entities on either side there is no F1: 0 or 1 in its place would move the mean.
        some = gold + predicted > 0
        return float(np.mean((2 * correct + partial)[some] / (gold + predicted)[some])) if some.any() else 0.0
