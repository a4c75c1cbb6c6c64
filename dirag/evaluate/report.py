"""One evaluation: a gold set through the pipeline, or predictions of any system, to one report.

In: gold documents and results. Out: an ``EvaluationReport``: scores in every scheme, issues, tokens, seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

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
    ``concepts.SCHEMES``. ``unusable`` counts what the reader of the gold standard had to leave out. ``price``
    is that of a million tokens of prompts, and of answers.
    """

    dataset: Dataset
    documents: int
    sentences: int
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
        """What the tokens cost at the prices of a million of each kind; None where no price is known."""
        if self.price is None:
            return None
        of_prompts, of_answers = self.price
        return (of_prompts * self.usage.prompt + of_answers * self.usage.completion) / 1e6

    def json(self) -> dict[str, Json]:
        """The object that ``eval --json`` prints."""
        schemes = self.schemes()
        strict = schemes["strict"]
        return {
            "dataset": self.dataset.name,
            "split": self.dataset.split,
            "documents": self.documents,
            "sentences": self.sentences,
            **strict.micro.json(),
            "ci95": _bounds(self.ci95["strict"]),
            "macro_f1": round(strict.macro_f1, 4),
            "per_type": {kind: counts.json() for kind, counts in strict.per_type.items()},
            "scores": {name: self._figures(name, each) for name, each in schemes.items()},
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
        """The score in each scheme."""
        return {scheme: self.score.of(scheme) for scheme in SCHEMES} | dict(self.score.concepts)

    def _figures(self, scheme: str, found: SchemeScore) -> dict[str, Json]:
        return {
            **found.micro.semeval(),
            "ci95": _bounds(self.ci95[scheme]),
            "macro_f1": round(found.macro_f1, 4),
            "document_f1": round(found.document_f1, 4),
            "per_type": {kind: counts.semeval() for kind, counts in found.per_type.items()},
        }


def report(
    dataset: Dataset,
    gold: Iterable[Document],
    results: Iterable[Result],
    *,
    sentences: int,
    seconds: Callable[[], float],
    config: Mapping[str, Json],
    seed: int = 0,
    canonical_id: CanonicalId | None = str,
    price: tuple[float, float] | None = None,
) -> EvaluationReport:
    """The report of the results of these gold documents, of which none is kept; intervals resample documents.

    ``seconds`` is asked when the last result was scored. ``canonical_id`` leads from the id of a
    concept to the one by which it is compared; with None, concepts are not compared.
    """
    issues = Counter(dict.fromkeys(COUNTED, 0))
    unusable = 0
    usage = Usage()

    def asked() -> Iterator[Document]:
        nonlocal unusable
        for document in gold:
            unusable += sum(issue.code == "unusable-label" for issue in document.issues)
            yield document

    def predicted() -> Iterator[Document]:
        nonlocal usage
        for result in results:
            issues.update(issue.code for issue in result.issues)
            usage += result.usage
            yield replace(result.document, entities=result.entities)

    scored = score(asked(), predicted(), types=dataset.types, canonical_id=canonical_id)
    took = seconds()
    schemes = {scheme: scored.of(scheme) for scheme in SCHEMES} | dict(scored.concepts)
    ci95 = intervals({name: each.per_document for name, each in schemes.items()}, seed=seed)
    documents = len(scored.documents)
    return EvaluationReport(
        dataset, documents, sentences, scored, ci95, unusable, dict(issues), usage, took, config, price
    )


def _bounds(ci95: tuple[float, float]) -> list[Json]:
    return [round(bound, 4) for bound in ci95]
