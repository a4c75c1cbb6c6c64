"""Two runs over one gold standard: whether one is better, by how much, and where they differ.

In: gold documents and the predictions of both runs. Out: strict F1 of each and their difference, with
intervals and p-values by documents, for all types and for each; and the entities of which they make
different things, counted by what each makes of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dirag.data import Document, Json
from dirag.evaluate.bootstrap import interval, paired_interval, randomisation
from dirag.evaluate.scoring.counts import Counts
from dirag.evaluate.scoring.pairing import Span, pairs, spans
from dirag.evaluate.scoring.score import Score, matched, score


@dataclass(frozen=True, slots=True)
class Difference:
    """Two runs in figures; the intervals are of 95%, ``between`` is that of the difference (b less a)."""

    a: Counts
    b: Counts
    ci_a: tuple[float, float]
    ci_b: tuple[float, float]
    between: tuple[float, float]
    p: float

    @property
    def f1(self) -> float:
        return self.b.f1 - self.a.f1

    def json(self) -> dict[str, Json]:
        return {
            "a": {**self.a.json(), "ci95": _rounded(self.ci_a)},
            "b": {**self.b.json(), "ci95": _rounded(self.ci_b)},
            "difference": round(self.f1, 4),
            "ci95": _rounded(self.between),
            "p": round(self.p, 5),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """``fates`` counts the entities that differ by what each run makes of them, most frequent first.

    A gold entity is correct, of wrong type, of wrong boundaries (the type right), of both wrong, or missed.
    One that is neither gold nor paired with a gold one is spurious, and absent where a run lacks it.
    """

    documents: int
    whole: Difference
    per_type: Mapping[str, Difference]
    fates: Mapping[tuple[str, str], int]
    missing: tuple[int, int]

    def json(self) -> dict[str, Json]:
        return {
            "documents": self.documents,
            **self.whole.json(),
            "per_type": {kind: of_type.json() for kind, of_type in self.per_type.items()},
            "entities": [{"a": a, "b": b, "number": number} for (a, b), number in self.fates.items()],
            "missing": list(self.missing),
        }


def compare(
    gold: Sequence[Document],
    a: Sequence[Document],
    b: Sequence[Document],
    *,
    types: Sequence[str],
    seed: int = 0,
) -> Comparison:
    """Compares two runs by the documents of the gold standard; entities of other types are left out."""
    wholes = _scores(gold, (a, b), types)
    kinds = sorted({kind for scored in wholes for kind in scored.types})
    # Scored once more for each type: a score has rows by document of all types together only.
    per_type = {kind: _difference(_scores(gold, (a, b), [kind]), seed) for kind in kinds}
    missing = len(wholes[0].missing), len(wholes[1].missing)
    return Comparison(
        len(gold), _difference(wholes, seed), per_type, _fates(gold, a, b, frozenset(types)), missing
    )


def difference(
    gold: Sequence[Document], runs: Sequence[Sequence[Document]], types: Sequence[str], *, seed: int = 0
) -> Difference:
    """Returns the difference of two runs, over all types."""
    return _difference(_scores(gold, runs, types), seed)


def _scores(
    gold: Sequence[Document], runs: Sequence[Sequence[Document]], types: Sequence[str]
) -> list[Score]:
    return [score(gold, run, types=types, tokens=False) for run in runs]


def _difference(scores: Sequence[Score], seed: int) -> Difference:
    a, b = (scored.of("strict").per_document for scored in scores)
    return Difference(
        Counts.of(a),
        Counts.of(b),
        interval(a, seed=seed),
        interval(b, seed=seed),
        paired_interval(a, b, seed=seed),
        randomisation(a, b, seed=seed),
    )


def _fates(
    gold: Sequence[Document], a: Sequence[Document], b: Sequence[Document], types: frozenset[str]
) -> dict[tuple[str, str], int]:
    """Counts the entities that have two fates, by both."""
    runs = []
    for run in (a, b):
        fates = {}
        for place, document, answer in matched(gold, run, []):
            fates[place] = _fate(_of_types(document, types), _of_types(answer, types))
        runs.append(fates)
    counted: Counter[tuple[str, str]] = Counter()
    for place, of_a in runs[0].items():
        of_b = runs[1][place]
        for key in of_a.keys() | of_b.keys():
            counted[of_a.get(key, "absent"), of_b.get(key, "absent")] += 1
    return {fates: number for fates, number in counted.most_common() if fates[0] != fates[1]}


def _fate(gold: set[Span[str]], predicted: set[Span[str]]) -> dict[tuple[bool, Span[str]], str]:
    """Returns the fate of each gold entity (True) and of each spurious one (False)."""
    fates = {(True, span): "missed" for span in gold} | {(False, span): "spurious" for span in predicted}
    for one, other in pairs(gold, predicted):
        del fates[False, other]  # what is paired with a gold entity is that one's fate, and none of its own
        fates[True, one] = _FATES[one[:2] == other[:2], one[2] == other[2]]
    return fates


#: By whether the span is right, and whether the type is.
_FATES = {
    (True, True): "correct",
    (True, False): "wrong type",
    (False, True): "wrong boundaries",
    (False, False): "both wrong",
}


def _of_types(document: Document | None, types: frozenset[str]) -> set[Span[str]]:
    return {span for span in spans(document.entities if document else ()) if span[2] in types}


def _rounded(bounds: tuple[float, float]) -> list[Json]:
    return [round(bound, 4) for bound in bounds]
