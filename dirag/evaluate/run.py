"""A run over a gold set, from options to report: which types, pool, knowledge base and ids count.

In: a ``Config`` and a ``GoldSet``, or a file of any system's predictions. Out: an ``EvaluationReport`` and,
where a folder is named, the records of the run.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

from dirag import pipeline
from dirag.assembly import sources, tagging
from dirag.assembly.choice import tagger_kind, tagger_name
from dirag.assembly.description import description
from dirag.config import Config
from dirag.corpora import datasets
from dirag.corpora.datasets import Dataset
from dirag.corpora.labels import LabelMap
from dirag.data import Document, Json, Result
from dirag.errors import DatasetError
from dirag.evaluate.predictions import Predictions
from dirag.evaluate.report import EvaluationReport, report
from dirag.evaluate.run_folder import RunFolder
from dirag.evaluate.scoring import concepts
from dirag.evaluate.scoring.concepts import CanonicalId
from dirag.files import fingerprint
from dirag.knowledge.base import KnowledgeBase


class Observer(Protocol):
    """Follows a run: lines on it, each result of it, and the tagger's notices at the end."""

    def say(self, line: str) -> None: ...

    def add(self, result: Result) -> None: ...

    def finish(self, notices: Sequence[str]) -> None: ...


class Unobserved:
    """An observer that takes no notice."""

    def say(self, line: str) -> None:
        pass

    def add(self, result: Result) -> None:
        pass

    def finish(self, notices: Sequence[str]) -> None:
        pass


UNOBSERVED = Unobserved()


@dataclass(frozen=True, slots=True)
class GoldSet:
    """Documents to be scored on; ``dataset``, from which they are, has the entity types that count.

    ``name`` is that by which the dataset was loaded: its train split goes by the same.
    """

    name: str
    dataset: Dataset
    documents: Collection[Document]
    data_dir: str | None = None

    @classmethod
    def load(
        cls,
        name: str,
        config: Config,
        *,
        split: str = "test",
        format: str | None = None,
        data_dir: str | None = None,
        limit: int | None = None,
    ) -> GoldSet:
        """Loads a split; ``limit`` draws so many documents by the seed, and types are those of ``config``."""
        labels = LabelMap.of(config.map)
        dataset = datasets.load(
            name, split=split, format=format, data_dir=data_dir, offline=config.offline, labels=labels
        )
        # Scored on a type that nobody annotated, every system has F1 0.
        if config.types:
            dataset = replace(dataset, types=_wanted(dataset, config.types, labels))
        documents = dataset.documents
        if limit is not None:
            documents = datasets.sample(documents, limit, seed=config.seed)
        return cls(name, dataset, documents, data_dir)

    def restricted(self) -> Iterator[Document]:
        """Yields the documents with their entities of the types that count."""
        types = self.dataset.types
        for document in self.documents:
            yield replace(document, entities=tuple(e for e in document.entities if e.type in types))

    def options(self, config: Config) -> Config:
        """Returns the options of a run over this set: its types, tagger, and its train split as the pool."""
        # Examples out of the very documents that are scored would give the answers away: the pool stays the
        # built-in one where the train split is scored, and where a path says nothing of splits.
        has_train = self.dataset.split not in (None, "train")
        pool = self.name if config.pool == "auto" and has_train else config.pool
        config = replace(config, types=self.dataset.types)
        return replace(config, tagger=tagger_name(config), pool=pool)


@dataclass(frozen=True, slots=True)
class GoldIds:
    """The ids of a gold standard: how many there are, and how many a knowledge base has."""

    base: KnowledgeBase | None
    number: int = 0
    held: int = 0

    @classmethod
    def of(cls, base: KnowledgeBase | None, documents: Iterable[Document]) -> GoldIds:
        """Looks the ids of gold documents up in a base."""
        if base is None:
            return cls(None)
        ids = concepts.all_ids(documents)
        return cls(base, len(ids), sum(base.id_of(id) is not None for id in ids))

    def canonical_id(self) -> CanonicalId | None:
        """Returns how ids are compared: by the concepts of the base, or as they are where there is no base.

        Returns None where the base has none of them: linked to other ids, every entity would count as wrong.
        """
        base = self.base
        if base is None:
            return str
        return (lambda id: base.id_of(id) or id) if self.held else None

    def __str__(self) -> str:
        held = f"the knowledge base holds {self.held:,} of the {self.number:,} ids of the gold standard"
        if self.held:
            return f"{held}: entities are linked"
        return f"{held}: none is linked; name a vocabulary of its ids with --kb"


def evaluate(
    config: Config,
    gold: GoldSet,
    *,
    predictions: str | None = None,
    price: tuple[float, float] | None = None,
    folder: Path | None = None,
    observer: Observer = UNOBSERVED,
) -> EvaluationReport:
    """Tags a gold set and scores the result, or the JSONL ``predictions`` of any system in its place.

    Entities are linked where the knowledge base has ids of the gold standard. ``price`` is that of a million
    tokens of prompts, and of answers. Records and report go to ``folder``.
    """
    started = time.monotonic()
    files = RunFolder(folder)
    files.begin()
    base = _knowledge_base(config, gold.documents, tagged=predictions is None)
    # Open until the last document is scored: ids are compared by its concepts.
    with closing(base) if base else nullcontext():
        ids = GoldIds.of(base, gold.documents)
        if ids.number:
            observer.say(str(ids))
        given = Predictions.of(predictions, config, gold.dataset.types) if predictions else None
        results, provenance = _results(config, gold, given, ids, observer)
        scored = report(
            gold.dataset,
            files.gold(gold.restricted()),
            files.predictions(results),
            config=provenance,
            started=started,
            seed=config.seed,
            canonical_id=ids.canonical_id(),
        )
    for note in given.notes(scored.score) if given else ():
        observer.say(note)
    scored = replace(scored, price=price)
    files.end(scored.json())
    return scored


def tag(
    config: Config,
    gold: GoldSet,
    documents: Iterable[Document],
    *,
    base: KnowledgeBase | None,
    linked: bool,
    observer: Observer,
) -> Iterator[Result]:
    """Yields the results of documents of a gold set, of which the tagger sees the text alone.

    ``config`` is of :meth:`GoldSet.options`; entities are ``linked`` to concepts of the base, or not at all.
    """
    linkers = base.linkers_for(config.types) if base and linked else None
    bare = (replace(document, entities=()) for document in documents)
    examples = None
    if tagger_kind(config).pool:
        examples = sources.read_pool(
            config.pool,
            data_dir=gold.data_dir,
            offline=config.offline,
            labels=LabelMap.of(config.map),
        )
    as_sentences = gold.dataset.as_sentences
    with closing(tagging.tagger(config, config.types, base=base, examples=examples)) as tagger:
        for result in pipeline.tag(
            bare,
            tagger,
            linkers=linkers,
            status=tagging.assertion_classifier(config, base),
            min_score=config.min_score,
            as_sentences=as_sentences,
            language=sources.language(base),
        ):
            observer.add(result)
            yield result
        observer.say(description(config, config.types))
        observer.finish(tagger.notices())


def _wanted(dataset: Dataset, names: Sequence[str], labels: LabelMap) -> tuple[str, ...]:
    """Returns the types of a corpus that names mean; raises DatasetError for one that it lacks."""
    types, missing = labels.among(names, dataset.types)
    if missing:
        raise DatasetError(
            f"{dataset.name} has no entities of type {', '.join(missing)}",
            hint=f"its types: {', '.join(dataset.types)}; --map LABEL=TYPE gives one another name",
        )
    return tuple(types)


def settings(config: Config) -> dict[str, Json]:
    """Returns the options of a run and dirag's version, as a report has them."""
    values: dict[str, Json] = {
        name: list(value) if isinstance(value, tuple) else value for name, value in asdict(config).items()
    }
    return values | {"dirag": fingerprint.version()}


def _results(
    config: Config, gold: GoldSet, predictions: Predictions | None, ids: GoldIds, observer: Observer
) -> tuple[Iterator[Result], Mapping[str, Json]]:
    """Returns the results to be scored, and the settings that made them."""
    if predictions is not None:
        return predictions.results(), {"predictions": predictions.path, "min_score": config.min_score}
    config = gold.options(config)
    linked = ids.held > 0
    return tag(config, gold, gold.documents, base=ids.base, linked=linked, observer=observer), settings(
        config
    )


def _knowledge_base(config: Config, gold: Iterable[Document], *, tagged: bool) -> KnowledgeBase | None:
    """Opens the base that tagging needs, or that ids of the gold standard are compared by."""
    has_ids = any(entity.link for document in gold for entity in document.entities)
    # Predictions of another system bring ids of their own: the default base, which may have to be fetched,
    # is not opened for them, only one that the user named.
    needed = (tagged and sources.reads_base(config)) or (has_ids and (tagged or config.kb != "default"))
    return sources.knowledge_base(config) if needed else None
