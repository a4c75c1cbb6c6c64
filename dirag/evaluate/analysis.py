"""Where a run is right and where it fails: scores by type, length and novelty, errors by kind, curves.

In: the gold documents and the predictions of one run. Out: an ``Analysis``, which has the kind of every
entity and all the figures of a report page. Figures follow from the kinds: correct is what strict scores
call correct.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dirag.data import Document, Json
from dirag.errors import InputError
from dirag.evaluate.bootstrap import interval
from dirag.evaluate.calibration import Calibration, calibration
from dirag.evaluate.kinds import KINDS, Judged, Span, judge
from dirag.evaluate.score import Counts, score

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
    """The analysis of a run; ``novelty`` names the group of a mention by its text.

    Raises InputError where the figures of its report are not those of its files.
    """
    answers = list(predicted)
    scored = score(gold, answers, types=types)
    counted = [report.get(name) for name in ("gold", "predicted", "correct")]
    micro = scored.micro
    if counted != [micro.gold, micro.predicted, micro.correct]:
        raise InputError(
            f"{name} does not hold together: its report counts {counted} gold, predicted and correct "
            f"entities, its files {[micro.gold, micro.predicted, micro.correct]}",
            hint="run dirag eval --out again",
        )
    judged, scores = [], []
    for document, answer in _paired(gold, answers):
        entities = [entity for entity in answer.entities if entity.type in types] if answer else []
        judged.append(
            judge(
                [(e.start, e.end, e.type) for e in document.entities if e.type in types],
                [(e.start, e.end, e.type) for e in entities],
            )
        )
        best: dict[Span, float | None] = {}
        for entity in entities:
            span = (entity.start, entity.end, entity.type)
            seen = best.get(span, 0.0)
            best[span] = None if seen is None or entity.score is None else max(seen, entity.score)
        scores.append(best)
    texts = [document.text for document in gold]
    return Analysis(
        name,
        report,
        whole=_grouped(judged, texts, lambda span, text: "").get("", Figures(Counts(), (0.0, 0.0))),
        types=_grouped(judged, texts, lambda span, text: span[2]),
        lengths=_grouped(judged, texts, lambda span, text: length(text)),
        novelty=_grouped(judged, texts, lambda span, text: novelty(text)) if novelty else {},
        kinds=_kinds(judged),
        calibration=calibration(scored),
        curve=_curve(judged, scores),
        judged=judged,
        scores=scores,
    )


def length(mention: str) -> str:
    """The group of a mention by its number of words: "1 word" to "5 or more words"."""
    words = len(mention.split())
    return "1 word" if words == 1 else f"{words} words" if words < LONG else f"{LONG} or more words"


def _paired(
    gold: Iterable[Document], predicted: Iterable[Document]
) -> Iterator[tuple[Document, Document | None]]:
    """Each gold document with its prediction: by id and text, in order where several share them."""
    waiting: dict[tuple[str, str], deque[Document]] = defaultdict(deque)
    for answer in predicted:
        waiting[answer.id, answer.text].append(answer)
    for document in gold:
        answers = waiting[document.id, document.text]
        yield document, answers.popleft() if answers else None


def _grouped(
    judged: Sequence[Judged], texts: Sequence[str], group: Callable[[Span, str], str]
) -> dict[str, Figures]:
    """The figures of each group of entities, by name."""
    gold: dict[str, Counter[int]] = defaultdict(Counter)  # by group, how many each document has
    predicted: dict[str, Counter[int]] = defaultdict(Counter)
    correct: dict[str, Counter[int]] = defaultdict(Counter)
    for place, (each, text) in enumerate(zip(judged, texts, strict=True)):
        for spans, counted in ((each.gold, gold), (each.predicted, predicted)):
            for span in spans:
                counted[group(span, text[span[0] : span[1]])][place] += 1
        for span, kind in each.gold.items():
            if kind == "correct":
                correct[group(span, text[span[0] : span[1]])][place] += 1
    figures = {}
    for name in sorted({*gold, *predicted}):
        rows = [Counts(gold[name][i], predicted[name][i], correct[name][i]) for i in range(len(texts))]
        figures[name] = Figures(sum(rows, Counts()), interval(rows))
    return figures


def _kinds(judged: Iterable[Judged]) -> dict[str, tuple[int, int]]:
    gold, predicted = Counter[str](), Counter[str]()
    for each in judged:
        gold.update(each.gold.values())
        predicted.update(each.predicted.values())
    return {kind: (gold[kind], predicted[kind]) for kind in KINDS}


def _curve(judged: Sequence[Judged], scores: Sequence[Mapping[Span, float | None]]) -> list[Point]:
    """A point for each distinct score, the highest first; entities without a score count at each of them."""
    found, right = Counter[float | None](), Counter[float | None]()
    for each, given in zip(judged, scores, strict=True):
        found.update(given.values())
        right.update(given[span] for span, kind in each.predicted.items() if kind == "correct")
    counts = Counts(sum(len(each.gold) for each in judged))
    points = []
    for at in sorted(found, key=lambda at: -2.0 if at is None else -at):
        counts += Counts(0, found[at], right[at])
        points.append(Point(at, counts.precision, counts.recall))
    return points
