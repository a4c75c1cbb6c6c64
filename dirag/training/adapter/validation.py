"""Measures how well an adapter tags held-out sentences: by the engine that will run it, as strict micro F1.

Prompts are bare, without examples and concept lines: they show what the adapter itself has learnt, in less
time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from dirag.assembly import engines, tagging
from dirag.backends.openvino import model
from dirag.config import ADAPTER_WEIGHTS, MODEL, Config
from dirag.corpora import datasets
from dirag.corpora.datasets import Dataset
from dirag.data import Document
from dirag.errors import DatasetError
from dirag.evaluate.scoring.score import score
from dirag.examples.pool import Pool, restrict
from dirag.examples.selection import comparison_form
from dirag.files.artifacts import locate
from dirag.knowledge.base import KnowledgeBase
from dirag.pipeline import tag
from dirag.taggers.llm import LlmTagger
from dirag.taggers.weighing import Weigher
from dirag.training.adapter.training_examples import Corpus


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Sentences of the development split of a corpus, with the names that its training split knows."""

    name: str
    sentences: tuple[Document, ...]
    types: tuple[str, ...]
    weigher: Weigher


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
    config: Config,
    base: KnowledgeBase | None,
    *,
    limit: int,
    data_dir: str | None = None,
    notify: Callable[[str], None] = lambda line: None,
) -> Iterator[HeldOut]:
    """Yields sentences of the development splits, together at most ``limit``; none of them is trained on.

    ``notify`` gets a line for each corpus without such a split.
    """
    trained_on = {comparison_form(e.text) for corpus in corpora for e in corpus.pool.examples}
    splits: list[tuple[Corpus, Dataset]] = []
    for corpus in corpora:
        dataset = _split(corpus, "devel", data_dir=data_dir, offline=config.offline)
        if isinstance(dataset, str):
            notify(f"{corpus.dataset.name} is not validated on: {dataset}")
        else:
            splits.append((corpus, dataset))
    for corpus, dataset in splits:
        types = corpus.types
        devel = Pool.from_documents(dataset.documents, as_sentences=dataset.as_sentences)
        fresh = [restrict(s, types) for s in devel.examples if comparison_form(s.text) not in trained_on]
        sentences = datasets.sample(fresh, max(1, limit // len(splits)), seed=config.seed)
        examples = corpus.pool.restricted(types)
        weigher = tagging.weigher(config, types, base=base, examples=examples)
        yield HeldOut(dataset.name, sentences, types, weigher)


def _split(corpus: Corpus, split: str, *, data_dir: str | None, offline: bool) -> Dataset | str:
    """Loads a split of a corpus, or returns why there is none."""
    try:
        dataset = datasets.load(corpus.dataset.name, split=split, data_dir=data_dir, offline=offline)
    except DatasetError as error:
        return error.message
    return dataset if dataset.split else "it has no splits"  # the whole file, which is trained on


def f1(held_out: Sequence[HeldOut], config: Config, adapter: Path) -> dict[str, float]:
    """Returns the strict micro F1 on each corpus with the adapter of a folder."""
    config = replace(config, adapter=str(adapter), shots=0, concepts=0)
    result = {}
    with closing(engines.backend(config)) as engine:
        for corpus in held_out:
            builder = tagging.builder(config, corpus.types, context=engine.context, count=engine.count_tokens)
            tagger = LlmTagger(engine, builder, weigher=corpus.weigher)
            bare = (replace(sentence, entities=()) for sentence in corpus.sentences)
            results = tag(bare, tagger, as_sentences=True)
            predicted = (replace(result.document, entities=result.entities) for result in results)
            scores = score(corpus.sentences, predicted, types=corpus.types, tokens=False)
            result[corpus.name] = scores.micro.f1
    if config.backend == "openvino":  # its copy of the model with this adapter will not be asked for again
        model.discard(locate(config.model or MODEL, offline=config.offline), adapter / ADAPTER_WEIGHTS)
    return result
