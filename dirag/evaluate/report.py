"""The report of one evaluation: scores in every scheme, issues, tokens, seconds, and what made them.

In: gold documents and results. Out: an ``EvaluationReport``. Both are read once, side by side, and none is
kept: a corpus may be larger than memory.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from dirag.corpora.datasets import Dataset
from dirag.data import Document, Json, Result, Usage
from dirag.evaluate.bootstrap import intervals
from dirag.evaluate.calibration import calibration
from dirag.evaluate.scoring.concepts import CanonicalId
from dirag.evaluate.scoring.counts import SchemeScore
from dirag.evaluate.scoring.score import SCHEMES, Score, score

#: Issues that every report counts, at least with 0.
COUNTED = ("unparsed", "invented", "truncated", "failed")


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """The scores of one run, with what it cost and what made it.

    ``ci95`` is by scheme: those of ``score.SCHEMES`` and, where the gold standard has ids, of
    ``concepts.SCHEMES``. ``unusable`` counts the gold labels that the reader had to leave out. ``price`` is
    that of a million tokens: of prompts, of answers.
    """

    dataset: Dataset
    documents: int
    score: Score
    ci95: Mapping[str, tuple[float, float]]
    unusable: int
    issues: Mapping[str, int]
    usage: Usage
    seconds: float
    config: Mapping[str, Json]
    price: tuple[float, float] | None = None

    @property
    def cost(self) -> float | None:
        """Returns the price of all tokens; None where no price of a million is known."""
        if self.price is None:
            return None
        # Cached tokens of prompts are paid in full: servers differ in what they take for them, if they tell.
        of_prompts, of_answers = self.price
        return (of_prompts * self.usage.prompt + of_answers * self.usage.completion) / 1e6

    def json(self) -> dict[str, Json]:
        """Returns the object that ``eval --json`` prints; scripts rely on its keys."""
        schemes = self.schemes()
        strict = schemes["strict"]
        return {
            "dataset": self.dataset.name,
            "split": self.dataset.split,
            "documents": self.documents,
            "sentences": self.documents,  # scripts read both; a document of a BIO corpus is a sentence
            **strict.micro.json(),
            "ci95": _bounds(self.ci95["strict"]),
            "macro_f1": round(strict.macro_f1, 4),
            "per_type": {kind: counts.json() for kind, counts in strict.per_type.items()},
            "scores": {name: self._figures(name, of_scheme) for name, of_scheme in schemes.items()},
            "status": {label: counts.json() for label, counts in self.score.status.items()},
            "calibration": calibration(self.score).json(),
            "missing": list(self.score.missing),
            "extra": list(self.score.extra),
            "ignored": self.score.ignored,
            "types": list(self.dataset.types),
            "unusable_gold": self.unusable,
            "issues": dict(self.issues),
            "tokens": {
                "prompt": self.usage.prompt,
                "completion": self.usage.completion,
                "cached": self.usage.cached,
            },
            "requests": self.usage.requests,
            "cache": {"hits": self.usage.hits, "misses": self.usage.misses},
            "cost": self.cost,
            "seconds": round(self.seconds, 2),
            "data": {"sha256": dict(self.dataset.sha256), "licence": self.dataset.licence},
            "config": dict(self.config),
        }

    def schemes(self) -> dict[str, SchemeScore]:
        """Returns the score in each scheme."""
        return _schemes(self.score)

    def _figures(self, scheme: str, of_scheme: SchemeScore) -> dict[str, Json]:
        return {
            **of_scheme.micro.semeval(),
            "ci95": _bounds(self.ci95[scheme]),
            "macro_f1": round(of_scheme.macro_f1, 4),
            "document_f1": round(of_scheme.document_f1, 4),
            "per_type": {kind: counts.semeval() for kind, counts in of_scheme.per_type.items()},
        }


@dataclass(slots=True)
class _Passing:
    """Counts what goes by on its way to the scores and is in no score: issues, tokens."""

    unusable: int = 0
    issues: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(COUNTED, 0)))
    usage: Usage = field(default_factory=Usage)

    def gold(self, documents: Iterable[Document]) -> Iterator[Document]:
        for document in documents:
            self.unusable += sum(issue.code == "unusable-label" for issue in document.issues)
            yield document

    def predicted(self, results: Iterable[Result]) -> Iterator[Document]:
        for result in results:
            self.issues.update(issue.code for issue in result.issues)
            self.usage += result.usage
            yield replace(result.document, entities=result.entities)


def report(
    dataset: Dataset,
    gold: Iterable[Document],
    results: Iterable[Result],
    *,
    config: Mapping[str, Json],
    started: float,
    seed: int = 0,
    canonical_id: CanonicalId | None = str,
) -> EvaluationReport:
    """Scores the results of gold documents; intervals resample documents.

    The run ``started`` at that time of ``time.monotonic``. ``canonical_id`` leads from the id of a concept to
    the one by which it is compared; with None, concepts are not compared.
    """
    passing = _Passing()
    scored = score(
        passing.gold(gold), passing.predicted(results), types=dataset.types, canonical_id=canonical_id
    )
    seconds = time.monotonic() - started  # of tagging: drawing intervals is not the tagger's time
    tables = {name: of_scheme.per_document for name, of_scheme in _schemes(scored).items()}
    return EvaluationReport(
        dataset,
        documents=len(scored.documents),
        score=scored,
        ci95=intervals(tables, seed=seed),
        unusable=passing.unusable,
        issues=dict(passing.issues),
        usage=passing.usage,
        seconds=seconds,
        config=config,
    )


def title(dataset: Dataset) -> str:
    """Returns the name of a corpus with that of its split, where it has splits."""
    return " ".join(filter(None, (dataset.name, dataset.split)))


def _schemes(scored: Score) -> dict[str, SchemeScore]:
    return {scheme: scored.of(scheme) for scheme in SCHEMES} | dict(scored.concepts)


def _bounds(ci95: tuple[float, float]) -> list[Json]:
    return [round(bound, 4) for bound in ci95]
