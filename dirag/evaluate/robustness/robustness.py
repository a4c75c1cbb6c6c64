"""How predictions bear edits of the text: consistency and faithfulness, after NLI4CT-P (SemEval-2024 task 2).

In come perturbed documents with what a tagger found in each text. Consistency is how much stays the same
where the meaning does; faithfulness is how often an entity that was found is followed when its meaning is
changed: to the name that stands there now, or away from a phrase that is no entity.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import TypeAlias

from dirag.data import Entity, Json
from dirag.evaluate.bootstrap import interval
from dirag.evaluate.robustness.perturb import CHANGING, KEEPING, Perturbed
from dirag.evaluate.scoring.counts import Counts

Found: TypeAlias = "frozenset[tuple[int, int, str]]"


@dataclass(frozen=True, slots=True)
class Share:
    """How many of so many, with the 95% interval over documents; none where there is nothing to count."""

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

    def shares(self) -> dict[str, Counts]:
        """Of n things k are as they should be: n gold, n predicted, k correct, so that F1 is the share."""
        before, after = _found(self.before), _found(self.after)
        align = self.perturbed.alignment.span
        if self.perturbed.kind in KEEPING:
            moved = {(*place, kind) for start, end, kind in before if (place := align(start, end))}
            lost = len(before) - len(moved)
            same, either = len(moved & after), len(moved | after) + lost
            return {"documents": _of(1, same == either), "entities": _of(either, same)}
        known = [e for e in self.perturbed.replaced if (e.start, e.end, e.type) in before]
        return {"followed": _of(len(known), sum(self._follows(entity, after) for entity in known))}

    def broke(self) -> bool:
        return any(share.correct < share.gold for share in self.shares().values())

    def counts(self) -> tuple[Counts, Counts]:
        """Strict counts before and after."""
        pairs = (self.perturbed.before, self.before), (self.perturbed.after, self.after)
        before, after = (_scored(_found(document.entities), _found(found)) for document, found in pairs)
        return before, after

    def _follows(self, entity: Entity, after: Found) -> bool:
        span = self.perturbed.alignment.span(entity.start, entity.end)
        assert span is not None, "an entity that was replaced is carried over"
        if self.perturbed.kind == "concept":
            return (*span, entity.type) in after
        return not any(start < span[1] and span[0] < end for start, end, _ in after)


def rows(outcomes: Sequence[Outcome], *, seed: int = 0) -> list[RobustnessRow]:
    """A row for each sort of edit ("kept", "changed"), followed by its kinds, where there are copies."""
    return [
        _row(name, of_kind, seed)
        for sort, kinds in (("kept", KEEPING), ("changed", CHANGING))
        for name, some in ((sort, kinds), *((kind, (kind,)) for kind in kinds))
        if (of_kind := [outcome for outcome in outcomes if outcome.perturbed.kind in some])
    ]


def _row(name: str, outcomes: Sequence[Outcome], seed: int) -> RobustnessRow:
    shares: dict[str, dict[int, Counts]] = defaultdict(lambda: defaultdict(Counts))
    before, after = Counts(), Counts()
    for outcome in outcomes:
        for share, counts in outcome.shares().items():
            shares[share][outcome.document] += counts
        first, second = outcome.counts()
        before, after = before + first, after + second
    made = {share: _share(per_document.values(), seed) for share, per_document in shares.items()}
    return RobustnessRow(name, len(outcomes), made, before, after)


def _share(per_document: Iterable[Counts], seed: int) -> Share:
    import numpy as np

    counted = list(per_document)
    total = sum(counted, Counts())
    rows = np.array([astuple(counts) for counts in counted], np.int64)
    return Share(total.correct, total.gold, interval(rows, seed=seed) if total.gold else None)


def _of(number: int, right: int) -> Counts:
    return Counts(number, number, int(right))


def _scored(gold: Found, found: Found) -> Counts:
    return Counts(len(gold), len(found), len(gold & found))


def _found(entities: Iterable[Entity]) -> Found:
    return frozenset((entity.start, entity.end, entity.type) for entity in entities)
