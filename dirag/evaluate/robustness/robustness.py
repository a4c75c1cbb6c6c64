"""Measures how predictions bear edits of the text, after NLI4CT-P (SemEval-2024 task 2).

In come perturbed documents with what a tagger found in each text. Consistency is how much stays the same
where the meaning does; faithfulness is how often an entity that was found is followed when its meaning is
changed: to the name that stands there now, or away from a phrase that is no entity.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from dirag.data import Entity, Json
from dirag.evaluate.bootstrap import share_interval
from dirag.evaluate.robustness.perturb import CHANGING, KEEPING, Perturbed
from dirag.evaluate.scoring.counts import Counts

Spans: TypeAlias = "frozenset[tuple[int, int, str]]"


class Cases(NamedTuple):
    """A number of things that were looked at, and how many of them are as they should be."""

    number: int
    right: int

    def add(self, other: Cases) -> Cases:
        return Cases(self.number + other.number, self.right + other.right)


@dataclass(frozen=True, slots=True)
class Share:
    """A share of so many, with its 95% interval over documents; none where there is nothing to count."""

    right: int
    of: int
    ci95: tuple[float, float] | None

    @property
    def value(self) -> float:
        return self.right / self.of if self.of else 0.0

    def json(self) -> dict[str, Json]:
        ci95: Json = None if self.ci95 is None else [round(bound, 4) for bound in self.ci95]
        return {"right": self.right, "of": self.of, "share": round(self.value, 4), "ci95": ci95}


@dataclass(frozen=True, slots=True)
class RobustnessRow:
    """One kind of edit, or all of a sort: copies, shares, strict counts before and after.

    Shares where the meaning is kept: ``documents`` in which all stays the same, ``entities`` found in both
    texts among those found in either. Where it is changed: ``followed`` among the entities found before.
    """

    kind: str
    copies: int
    shares: Mapping[str, Share]
    before: Counts
    after: Counts

    def json(self) -> dict[str, Json]:
        shares: dict[str, Json] = {name: share.json() for name, share in self.shares.items()}
        before, after = self.before.json(), self.after.json()
        return {"kind": self.kind, "copies": self.copies, **shares, "before": before, "after": after}


@dataclass(frozen=True, slots=True)
class Outcome:
    """A perturbed document with the entities found in its text and in that of its copy.

    ``document`` numbers the gold documents: the copies of one are drawn together.
    """

    document: int
    perturbed: Perturbed
    before: Sequence[Entity]
    after: Sequence[Entity]

    def shares(self) -> dict[str, Cases]:
        """Returns the cases of each share of a ``RobustnessRow``."""
        before, after = _spans(self.before), _spans(self.after)
        align = self.perturbed.alignment.span
        if self.perturbed.kind in KEEPING:
            moved = {(*place, kind) for start, end, kind in before if (place := align(start, end))}
            # What the edit cuts through has no place in the copy: it is found before, and never after.
            lost = len(before) - len(moved)
            same, either = len(moved & after), len(moved | after) + lost
            return {"documents": Cases(1, int(same == either)), "entities": Cases(either, same)}
        replaced = [e for e in self.perturbed.replaced if (e.start, e.end, e.type) in before]
        return {"followed": Cases(len(replaced), sum(self._follows(entity, after) for entity in replaced))}

    def broke(self) -> bool:
        return any(cases.right < cases.number for cases in self.shares().values())

    def counts(self) -> tuple[Counts, Counts]:
        """Returns the strict counts before and after."""
        pairs = (self.perturbed.before, self.before), (self.perturbed.after, self.after)
        before, after = (_scored(_spans(document.entities), _spans(entities)) for document, entities in pairs)
        return before, after

    def _follows(self, entity: Entity, after: Spans) -> bool:
        span = self.perturbed.alignment.span(entity.start, entity.end)
        assert span is not None, "an entity that was replaced is carried over"
        if self.perturbed.kind == "concept":
            return (*span, entity.type) in after
        return not any(start < span[1] and span[0] < end for start, end, _ in after)


def rows(outcomes: Sequence[Outcome], *, seed: int = 0) -> list[RobustnessRow]:
    """Returns a row for each sort of edit ("kept", "changed") and then for its kinds, where it has copies."""
    return [
        _row(name, of_kind, seed)
        for sort, kinds in (("kept", KEEPING), ("changed", CHANGING))
        for name, some in ((sort, kinds), *((kind, (kind,)) for kind in kinds))
        if (of_kind := [outcome for outcome in outcomes if outcome.perturbed.kind in some])
    ]


def _row(name: str, outcomes: Sequence[Outcome], seed: int) -> RobustnessRow:
    # The copies of one document are not independent: they are one row, and drawn together.
    per_document: dict[str, dict[int, Cases]] = defaultdict(lambda: defaultdict(lambda: Cases(0, 0)))
    before, after = Counts(), Counts()
    for outcome in outcomes:
        for share, cases in outcome.shares().items():
            per_document[share][outcome.document] = per_document[share][outcome.document].add(cases)
        first, second = outcome.counts()
        before, after = before + first, after + second
    shares = {share: _share(list(cases.values()), seed) for share, cases in per_document.items()}
    return RobustnessRow(name, len(outcomes), shares, before, after)


def _share(per_document: Sequence[Cases], seed: int) -> Share:
    import numpy as np

    number, right = (sum(column) for column in zip(*per_document, strict=True))
    rows = np.array(per_document, np.int64)
    return Share(right, number, share_interval(rows, seed=seed) if number else None)


def _scored(gold: Spans, predicted: Spans) -> Counts:
    return Counts(len(gold), len(predicted), len(gold & predicted))


def _spans(entities: Iterable[Entity]) -> Spans:
    return frozenset((entity.start, entity.end, entity.type) for entity in entities)
