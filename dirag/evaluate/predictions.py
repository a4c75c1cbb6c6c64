"""Predictions of any system, read from JSONL in place of a run's own: their types, and what is not scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from dirag import formats, pipeline
from dirag.config import Config
from dirag.corpora.labels import LabelMap
from dirag.data import Result
from dirag.errors import InputError
from dirag.evaluate.scoring.score import Score


@dataclass(slots=True)
class Predictions:
    """The records of a JSONL file of any system, as results for a gold standard of certain ``types``.

    Labels mean what they do in the gold standard; entities that score less than ``min_score`` are left out.
    """

    path: str
    min_score: float
    types: Sequence[str]
    labels: LabelMap
    numbers: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, path: str, config: Config, types: Sequence[str]) -> Predictions:
        """Makes those of a file, with the labels and the least score of a run."""
        return cls(path, config.min_score, types, LabelMap.of(config.map))

    def results(self) -> Iterator[Result]:
        """Yields the records, and counts them by document."""
        # Of a large file: the same few labels in every record.
        type_of = cache(lambda label: self.labels.one_of(self.types, label) or label)
        for document in formats.read([self.path], format="jsonl"):
            self.numbers[document.id] += 1
            entities = pipeline.scoring(document.entities, self.min_score)
            typed = tuple(replace(entity, type=type_of(entity.type)) for entity in entities)
            yield Result(replace(document, entities=()), typed, document.issues)

    def notes(self, scored: Score) -> Iterator[str]:
        """Yields what a reader of the scores should know, once they are there.

        Raises InputError for a document of the gold standard that has more than one record.
        """
        # What came second found no gold document that was still open.
        if twice := next((id for id in scored.extra if self.numbers[id] > 1), None):
            raise InputError(
                f"{self.path} has {self.numbers[twice]} records of the document {twice!r}",
                hint="keep one record a document",
            )
        if scored.missing:
            yield f"{self.path} has no record of {_listed(scored.missing)} of the gold standard"
        if scored.extra:
            yield f"the gold standard does not have {_listed(scored.extra)} of {self.path}"


def _listed(ids: Sequence[str]) -> str:
    documents = f"{len(ids):,} document{'s' * (len(ids) > 1)}"
    return f"{documents} ({', '.join(map(repr, ids[:3]))}{', …' * (len(ids) > 3)})"
