"""One evaluation: a gold set through the pipeline, or predictions of any system, to one report.

In: gold documents and results. Out: a ``Report`` with strict scores, issues, tokens and seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from dirag.data import Document, Json, Result, Usage
from dirag.evaluate.bootstrap import interval
from dirag.evaluate.calibration import calibration
from dirag.evaluate.datasets import Dataset
from dirag.evaluate.score import Score, score

#: Issues that every report counts, at least with 0.
COUNTED = ("unparsed", "invented", "truncated", "failed")


@dataclass(frozen=True, slots=True)
class Report:
    """Strict span scores of one run, with what it cost and what made it."""

    dataset: Dataset
    documents: int
    sentences: int
    score: Score
    ci95: tuple[float, float]
    issues: Mapping[str, int]
    usage: Usage
    seconds: float
    config: Mapping[str, Json]

    def json(self) -> dict[str, Json]:
        """The object that ``eval --json`` prints."""
        micro = self.score.micro
        return {
            "dataset": self.dataset.name,
            "split": self.dataset.split,
            "documents": self.documents,
            "sentences": self.sentences,
            **micro.json(),
            "ci95": [round(bound, 4) for bound in self.ci95],
            "macro_f1": round(self.score.macro_f1, 4),
            "per_type": {kind: counts.json() for kind, counts in sorted(self.score.per_type.items())},
            "calibration": calibration(self.score).json(),
            "missing": list(self.score.missing),
            "extra": list(self.score.extra),
            "ignored": self.score.ignored,
            "issues": dict(self.issues),
            "tokens": {
                "prompt": self.usage.prompt,
                "completion": self.usage.completion,
                "cached": self.usage.cached,
            },
            "requests": self.usage.requests,
            "cache": {"hits": self.usage.hits, "misses": self.usage.misses},
            "seconds": round(self.seconds, 2),
            "data": {"sha256": dict(self.dataset.sha256), "licence": self.dataset.licence},
            "config": dict(self.config),
        }


def report(
    dataset: Dataset,
    gold: Sequence[Document],
    results: Iterable[Result],
    *,
    sentences: int,
    seconds: float,
    config: Mapping[str, Json],
    seed: int = 0,
) -> Report:
    """The report of the results of these gold documents; the interval resamples documents."""
    done = list(results)
    predicted = [replace(result.document, entities=result.entities) for result in done]
    scored = score(gold, predicted, types=dataset.types)
    issues = Counter(dict.fromkeys(COUNTED, 0))
    issues.update(issue.code for result in done for issue in result.issues)
    usage = sum((result.usage for result in done), Usage())
    ci95 = interval(scored.per_document, seed=seed)
    return Report(dataset, len(gold), sentences, scored, ci95, dict(issues), usage, seconds, config)
