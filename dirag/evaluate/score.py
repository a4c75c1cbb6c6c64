"""Strict span scores: a prediction is correct if start, end and type are those of a gold entity.

In come gold documents and documents whose entities are predictions; out come counts per type and per
document, from which precision, recall and F1 follow. Predictions made on another text are refused. Equal to
seqeval's strict IOB2 mode wherever BIO tags can say the entities.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from dirag.data import Document, Entity, Json
from dirag.errors import InputError

Span: TypeAlias = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Counts:
    """Gold, predicted and correct entities. A ratio over nothing is 0.0, as in seqeval and scikit-learn."""

    gold: int = 0
    predicted: int = 0
    correct: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.gold + other.gold, self.predicted + other.predicted, self.correct + other.correct)

    @property
    def precision(self) -> float:
        return self.correct / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        return self.correct / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        return 2 * self.correct / (self.gold + self.predicted) if self.gold + self.predicted else 0.0

    def json(self) -> dict[str, Json]:
        return {
            "gold": self.gold,
            "predicted": self.predicted,
            "correct": self.correct,
            "precision": round(self.precision, 4),
            "recall": round(self.recall, 4),
            "f1": round(self.f1, 4),
        }


@dataclass(frozen=True, slots=True)
class Score:
    """What a scoring found; ``per_type`` is sorted by type, ``per_document`` is in gold order.

    ``judged`` holds the score of each predicted entity, None where it has none, and whether it is correct.
    ``missing`` names the gold documents without predictions (scored as if nothing was found in them),
    ``extra`` the predicted documents that are not in the gold standard (not scored); ``ignored`` counts the
    predictions whose type was not asked for (not scored).
    """

    per_type: Mapping[str, Counts]
    per_document: tuple[Counts, ...]
    judged: tuple[tuple[float | None, bool], ...] = ()
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    ignored: int = 0

    @property
    def micro(self) -> Counts:
        return sum(self.per_document, Counts())

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the types that occur, in gold or in predictions."""
        return sum(counts.f1 for counts in self.per_type.values()) / max(1, len(self.per_type))


def count(gold: Iterable[Entity], predicted: Iterable[Entity]) -> dict[str, Counts]:
    """The counts of one document, per type.

    Entities are a set of (start, end, type): one that is listed twice, on either side, counts once.
    """
    wanted, found = _spans(gold), _spans(predicted)
    return {
        kind: Counts(
            len(of_gold := _of(kind, wanted)), len(of_found := _of(kind, found)), len(of_gold & of_found)
        )
        for kind in sorted({kind for _, _, kind in wanted | found})
    }


def score(
    gold: Iterable[Document], predicted: Iterable[Document], *, types: Collection[str] | None = None
) -> Score:
    """Scores predictions, matched to gold documents by id and text; ``types`` None scores every type.

    Documents that share an id are matched in order. Raises InputError where a document was predicted on
    another text only.
    """
    waiting: dict[str, list[Document]] = {}
    for document in predicted:
        waiting.setdefault(document.id, []).append(document)
    per_type: dict[str, Counts] = {}
    per_document: list[Counts] = []
    judged: list[tuple[float | None, bool]] = []
    missing: list[str] = []
    ignored = 0
    for document in gold:
        answer = _take(waiting, document)
        if answer is None:
            missing.append(document.id)
        entities = answer.entities if answer else ()
        asked = _asked(entities, types)
        ignored += len(_spans(entities)) - len(_spans(asked))
        wanted = _asked(document.entities, types)
        counts = count(wanted, asked)
        judged += _judged(wanted, asked)
        for kind, of_kind in counts.items():
            per_type[kind] = per_type.get(kind, Counts()) + of_kind
        per_document.append(sum(counts.values(), Counts()))
    extra = tuple(document.id for left in waiting.values() for document in left)
    return Score(
        dict(sorted(per_type.items())), tuple(per_document), tuple(judged), tuple(missing), extra, ignored
    )


def _take(waiting: dict[str, list[Document]], gold: Document) -> Document | None:
    """Takes the prediction for a gold document off the waiting ones, or None where there is none."""
    candidates = waiting.get(gold.id, [])
    for i, candidate in enumerate(candidates):
        if candidate.text == gold.text:
            return candidates.pop(i)
    if candidates:
        raise InputError(
            f"the predictions for document {gold.id!r} were made on another text than the gold standard's "
            f"({len(candidates[0].text)} characters, not {len(gold.text)})",
            hint="offsets compare on one text only; predict on the text of the dataset as it is loaded",
        )
    return None


def _judged(gold: Iterable[Entity], predicted: Iterable[Entity]) -> list[tuple[float | None, bool]]:
    """The score of each entity, the best where it is listed twice (None is), and whether it is correct."""
    wanted, best = _spans(gold), dict[Span, float | None]()
    for entity in predicted:
        span = (entity.start, entity.end, entity.type)
        seen = best.get(span, 0.0)
        best[span] = None if seen is None or entity.score is None else max(seen, entity.score)
    return [(score, span in wanted) for span, score in best.items()]


def _asked(entities: Iterable[Entity], types: Collection[str] | None) -> list[Entity]:
    return [entity for entity in entities if types is None or entity.type in types]


def _spans(entities: Iterable[Entity]) -> set[Span]:
    return {(entity.start, entity.end, entity.type) for entity in entities}


def _of(kind: str, spans: set[Span]) -> set[Span]:
    return {span for span in spans if span[2] == kind}
