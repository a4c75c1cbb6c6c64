"""Where a run is right and where it fails: scores by type, length and novelty, errors by kind, curves.

In: the gold documents and the predictions of one run. Out: an ``Analysis``, which has the kind of every
entity and all the figures of a report page. Figures follow from the kinds: correct is what strict scores
call correct.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from dirag.data import Document, Entity, Json
from dirag.errors import InputError
from dirag.evaluate.bootstrap import intervals
from dirag.evaluate.calibration import Calibration, calibration
from dirag.evaluate.kinds import KINDS, Judged, Span, judge
from dirag.evaluate.scoring.counts import Counts, Table
from dirag.evaluate.scoring.score import matched, score

#: Mentions of so many words or more are one group.
LONG = 5


@dataclass(frozen=True, slots=True)
class Figures:
    """What was counted of some entities, with the 95% interval of F1 over documents."""

    counts: Counts
    ci95: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Point:
    """Precision and recall of the entities that score at least ``score``; None: of those without a score."""

    score: float | None
    precision: float
    recall: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """One run: figures by group, gold and predicted entities by kind, curves, and each document's entities.

    ``judged`` and ``scores`` (of predicted entities, None where unknown) are in gold order.
    ``novelty`` is empty where it is not known what the run had seen.
    """

    name: str
    report: Mapping[str, Json]
    whole: Figures
    types: Mapping[str, Figures]
    lengths: Mapping[str, Figures]
    novelty: Mapping[str, Figures]
    kinds: Mapping[str, tuple[int, int]]
    calibration: Calibration
    curve: Sequence[Point]
    judged: Sequence[Judged]
    scores: Sequence[Mapping[Span, float | None]]


def analyse(
    name: str,
    gold: Sequence[Document],
    predicted: Iterable[Document],
    *,
    report: Mapping[str, Json],
    types: Sequence[str],
    novelty: Callable[[str], str] | None = None,
) -> Analysis:
    """Analyses a run; ``novelty`` names the group of a mention by its text.

    Raises InputError where the figures of its report are not those of its files.
    """
    answers, counting = list(predicted), frozenset(types)
    scored = score(gold, answers, types=counting, tokens=False)
    _check(name, report, scored.micro)
    scores: list[Mapping[Span, float | None]] = [{}] * len(gold)
    for place, _, answer in matched(gold, answers, []):
        scores[place] = _scores(answer.entities if answer else (), counting)
    judged = [
        judge(_scores(document.entities, counting), predictions)
        for document, predictions in zip(gold, scores, strict=True)
    ]
    texts, seed = [document.text for document in gold], _seed(report)
    whole = _grouped(judged, texts, lambda span, text: "", seed)
    return Analysis(
        name,
        report,
        whole=whole.get("", Figures(Counts(), (0.0, 0.0))),
        types=_grouped(judged, texts, lambda span, text: span[2], seed),
        lengths=_grouped(judged, texts, lambda span, text: length(text), seed),
        novelty=_grouped(judged, texts, lambda span, text: novelty(text), seed) if novelty else {},
        kinds=_kinds(judged),
        calibration=calibration(scored),
        curve=_curve(judged, scores),
        judged=judged,
        scores=scores,
    )


def _check(name: str, report: Mapping[str, Json], micro: Counts) -> None:
    """Raises InputError where a report does not count what was counted in the files of its run."""
    # A folder that holds the report of one run and the files of another would show figures of neither.
    reported = [report.get(key) for key in ("gold", "predicted", "correct")]
    counted = [micro.gold, micro.predicted, micro.correct]
    if reported != counted:
        raise InputError(
            f"{name} does not hold together: its report counts {reported} gold, predicted and correct "
            f"entities, its files {counted}",
            hint="run dirag eval --out again",
        )


def length(mention: str) -> str:
    """Returns the group of a mention by its number of words: "1 word" to "5 or more words"."""
    words = len(mention.split())
    return "1 word" if words == 1 else f"{words} words" if words < LONG else f"{LONG} or more words"


def _scores(entities: Iterable[Entity], types: Collection[str]) -> dict[Span, float | None]:
    """Returns the spans of these types with their scores: the best of one that is listed twice."""
    best: dict[Span, float | None] = {}
    for entity in entities:
        if entity.type in types:
            span = (entity.start, entity.end, entity.type)
            # No --min-score leaves out an entity without a score, so having none is better than any.
            seen = best.get(span, 0.0)
            best[span] = None if seen is None or entity.score is None else max(seen, entity.score)
    return best


def _seed(report: Mapping[str, Json]) -> int:
    """Returns the seed with which a run drew its intervals: with another the page would show others."""
    config = report.get("config")
    seed = config.get("seed") if isinstance(config, dict) else None
    return seed if isinstance(seed, int) else 0


def _grouped(
    judged: Sequence[Judged], texts: Sequence[str], group: Callable[[Span, str], str], seed: int
) -> dict[str, Figures]:
    """Returns the figures of each group of entities, by name."""
    import numpy as np

    rows: dict[str, Table] = defaultdict(lambda: np.zeros((len(texts), len(fields(Counts))), np.int64))
    for place, (kinds, text) in enumerate(zip(judged, texts, strict=True)):
        for column, spans in enumerate((kinds.gold, kinds.predicted)):
            for span in spans:
                rows[group(span, text[span[0] : span[1]])][place, column] += 1
        for span, kind in kinds.gold.items():
            rows[group(span, text[span[0] : span[1]])][place, 2] += kind == "correct"
    # A row for every document, also where a group has nothing in it: documents are what is drawn.
    bounds = intervals(rows, seed=seed) if rows else {}
    return {name: Figures(Counts.of(rows[name]), bounds[name]) for name in sorted(rows)}


def _kinds(judged: Iterable[Judged]) -> dict[str, tuple[int, int]]:
    gold, predicted = Counter[str](), Counter[str]()
    for kinds in judged:
        gold.update(kinds.gold.values())
        predicted.update(kinds.predicted.values())
    return {kind: (gold[kind], predicted[kind]) for kind in KINDS}


def _curve(judged: Sequence[Judged], scores: Sequence[Mapping[Span, float | None]]) -> list[Point]:
    """Returns a point for each distinct score, the highest first; entities without one count at each."""
    predicted, right = Counter[float | None](), Counter[float | None]()
    for kinds, score_of in zip(judged, scores, strict=True):
        predicted.update(score_of.values())
        right.update(score_of[span] for span, kind in kinds.predicted.items() if kind == "correct")
    counts = Counts(sum(len(kinds.gold) for kinds in judged))
    points = []
    for at in sorted(predicted, key=lambda at: -2.0 if at is None else -at):
        counts += Counts(0, predicted[at], right[at])
        points.append(Point(at, counts.precision, counts.recall))
    return points
