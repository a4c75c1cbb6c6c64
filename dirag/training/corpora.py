"""The corpora of a training: sentences to learn from, those of development splits, and those of test splits.

What stands in a test split, or is learnt from, is told apart by the form of its text, so that a corpus that
shares sentences with another leaks nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from dirag import pipeline
from dirag.assembly import sources
from dirag.config import Config
from dirag.corpora import datasets
from dirag.corpora.datasets import Dataset
from dirag.corpora.labels import TABLE, LabelMap
from dirag.data import Document, Entity
from dirag.errors import DatasetError
from dirag.evaluate.scoring.score import score
from dirag.examples.pool import Pool, restrict
from dirag.examples.selection import comparison_form
from dirag.files import fingerprint
from dirag.protocols import Tagger


@dataclass(frozen=True, slots=True)
class Corpus:
    """The training split of a dataset, cut into sentences; ``types`` are those to learn.

    Each sentence makes ``times`` training examples an epoch.
    """

    dataset: Dataset
    pool: Pool
    types: tuple[str, ...]
    times: int = 1
    labels: LabelMap = TABLE

    @classmethod
    def load(cls, named: str, config: Config, *, data_dir: str | None = None) -> Corpus:
        """Loads the corpus of a name or path, perhaps with ``:times`` behind it.

        Its types are those that the config asks for, else all that it has. Raises DatasetError if it has
        none of them.
        """
        name, _, times = named.rpartition(":")
        if not (name and times.isdecimal() and int(times)):
            name, times = named, "1"
        labels = LabelMap.of(config.map)
        dataset, pool = sources.corpus_pool(name, data_dir=data_dir, offline=config.offline, labels=labels)
        types, _ = labels.among(config.types or dataset.types, tuple(pool.manifest.types))
        if not types:
            raise DatasetError(
                f"the corpus {name} has no entities of type {', '.join(config.types)}",
                hint=f"its types: {', '.join(pool.manifest.types) or 'none'}",
            )
        return cls(dataset, pool, tuple(types), int(times), labels)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Sentences of the development split of a corpus, none of which is trained on, with its types."""

    corpus: Corpus
    sentences: tuple[Document, ...]

    @property
    def name(self) -> str:
        return self.corpus.dataset.name

    @property
    def types(self) -> tuple[str, ...]:
        return self.corpus.types

    def tag(self, tagger: Tagger) -> list[tuple[Entity, ...]]:
        """Returns the entities that a tagger finds in each sentence, of which it sees the text alone."""
        bare = (replace(sentence, entities=()) for sentence in self.sentences)
        return [result.entities for result in pipeline.tag(bare, tagger, as_sentences=True)]

    def f1(self, entities: Sequence[tuple[Entity, ...]]) -> float:
        """Returns the strict micro F1 of the entities that were found in each sentence."""
        predicted = (replace(s, entities=e) for s, e in zip(self.sentences, entities, strict=True))
        return score(self.sentences, predicted, types=self.types, tokens=False).micro.f1


def forms_in_tests(
    corpora: Sequence[Corpus], named: Sequence[str], *, data_dir: str | None, offline: bool
) -> frozenset[str]:
    """Returns the ``comparison_form`` of every sentence in a test split of these corpora, if they have one.

    Those that are ``named`` must have one: raises DatasetError, or UsageError for a name that is unknown.
    """
    forms: set[str] = set()
    splits = [_split(corpus, "test", data_dir=data_dir, offline=offline) for corpus in corpora]
    splits += [datasets.load(name, split="test", data_dir=data_dir, offline=offline) for name in named]
    for dataset in splits:
        if not isinstance(dataset, str):
            pool = Pool.from_documents(dataset.documents, as_sentences=dataset.as_sentences)
            forms.update(comparison_form(sentence.text) for sentence in pool.examples)
    return frozenset(forms)


def held_out(
    corpora: Sequence[Corpus],
    *,
    limit: int,
    seed: int = 0,
    data_dir: str | None = None,
    offline: bool = False,
    notify: Callable[[str], None] = lambda line: None,
) -> Iterator[HeldOut]:
    """Yields sentences of the development splits, together at most ``limit``.

    ``notify`` gets a line for each corpus without such a split.
    """
    trained_on = {comparison_form(e.text) for corpus in corpora for e in corpus.pool.examples}
    splits: list[tuple[Corpus, Dataset]] = []
    for corpus in corpora:
        dataset = _split(corpus, "devel", data_dir=data_dir, offline=offline)
        if isinstance(dataset, str):
            notify(f"{corpus.dataset.name} is not validated on: {dataset}")
        else:
            splits.append((corpus, dataset))
    for corpus, dataset in splits:
        devel = Pool.from_documents(dataset.documents, as_sentences=dataset.as_sentences)
        sentences = [s for s in devel.examples if comparison_form(s.text) not in trained_on]
        drawn = datasets.sample(sentences, max(1, limit // len(splits)), seed=seed)
        yield HeldOut(corpus, tuple(restrict(sentence, corpus.types) for sentence in drawn))


def _split(corpus: Corpus, split: str, *, data_dir: str | None, offline: bool) -> Dataset | str:
    """Loads a split of a corpus, or returns why there is none."""
    try:
        dataset = datasets.load(
            corpus.dataset.name, split=split, data_dir=data_dir, offline=offline, labels=corpus.labels
        )
    except DatasetError as error:
        return error.message
    return dataset if dataset.split else "it has no splits"  # the whole file, which is trained on


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The corpora of a training, the sentences that it is validated on, and the forms of those of tests."""

    corpora: Sequence[Corpus]
    held_out: Sequence[HeldOut]
    tests: frozenset[str]

    @classmethod
    def load(
        cls,
        named: Sequence[str],
        config: Config,
        *,
        tests: Sequence[str] = (),
        validate: int = 0,
        data_dir: str | None = None,
        notify: Callable[[str], None] = lambda line: None,
    ) -> TrainingData:
        """Loads the corpora that are ``named``, with ``validate`` sentences to validate on.

        ``notify`` gets the notices of the corpora as lines.
        """
        corpora = [Corpus.load(name, config, data_dir=data_dir) for name in named]
        for corpus in corpora:
            for notice in corpus.dataset.notes:
                notify(f"{corpus.dataset.name}: {notice}")
        forms = forms_in_tests(corpora, tests, data_dir=data_dir, offline=config.offline)
        sentences: list[HeldOut] = []
        if validate:
            sentences += held_out(
                corpora,
                limit=validate,
                seed=config.seed,
                data_dir=data_dir,
                offline=config.offline,
                notify=notify,
            )
        return cls(corpora, sentences, forms)

    def provenance(self) -> dict[str, str]:
        """Returns the content of it all, by the name under which a user knows it."""
        result = {}
        for corpus in self.corpora:
            pool = corpus.pool.manifest
            result[f"corpus {corpus.dataset.name}"] = f"{pool.sha256} {', '.join(corpus.types)}"
        for held in self.held_out:
            sentences = (repr(sentence).encode() for sentence in held.sentences)
            result[f"held-out sentences of {held.name}"] = fingerprint.of(*sentences)
        return result
