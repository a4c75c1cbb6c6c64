"""Training text: for a sentence of a corpus the prompt that the tagger would send, and the right answer.

In: corpora with their gold entities, and the settings of the run that the adapter is for. Out: lessons, each
drawn by the seed, its epoch and its place: how many examples and whether concept lines stand in the prompt
and, of a corpus with several types, which are asked for. So one adapter serves with and without them.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from functools import cache

from dirag.assembly import sources, tagging
from dirag.config import Config
from dirag.corpora.datasets import Dataset
from dirag.data import Document, Hit
from dirag.errors import DatasetError
from dirag.examples.pool import Pool
from dirag.examples.selection import comparison_form
from dirag.knowledge.base import KnowledgeBase
from dirag.prompting.builder import PromptBuilder
from dirag.prompting.concept_lines import Retriever
from dirag.protocols import ExampleSelector

#: The chance of an example in a prompt, and of each further one.
FURTHER = 1 / 3
#: The chance of concept lines in a prompt.
TOLD = 1 / 3
#: The chance that a corpus is asked for some of its types, in any order, and not for all of them.
SOME = 1 / 2


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """A prompt, and the answer with the string that ends it."""

    prompt: str
    answer: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """The training split of a dataset, cut into sentences; ``types`` are those to learn.

    Each sentence makes ``times`` lessons an epoch.
    """

    dataset: Dataset
    pool: Pool
    types: tuple[str, ...]
    times: int = 1

    @classmethod
    def load(cls, named: str, config: Config, *, data_dir: str | None = None) -> Corpus:
        """The corpus of this name or path, perhaps with ``:times`` behind it.

        Its types are those asked for, else all that it has.
        """
        name, _, times = named.rpartition(":")
        if not (name and times.isdecimal() and int(times)):
            name, times = named, "1"
        dataset, pool = sources.corpus_pool(name, data_dir=data_dir, offline=config.offline)
        types = tuple(t for t in config.types or dataset.types if t in pool.manifest.types)
        if not types:
            raise DatasetError(
                f"the corpus {name} has no entities of type {', '.join(config.types)}",
                hint=f"its types: {', '.join(pool.manifest.types) or 'none'}",
            )
        return cls(dataset, pool, types, int(times))


@dataclass(frozen=True, slots=True)
class _Task:
    """What is drawn for a lesson."""

    corpus: int
    document: Document
    types: tuple[str, ...]
    shots: int
    told: bool


class TrainingExamples:
    """The lessons of some corpora; ``len`` is their number in an epoch.

    ``left_out`` counts those whose prompt does not fit the context, ``tested`` those of sentences whose
    ``selection.comparison_form`` is in ``tests``.
    """

    def __init__(
        self,
        corpora: Sequence[Corpus],
        config: Config,
        base: KnowledgeBase | None,
        *,
        count_tokens: Callable[[str], int],
        tests: Set[str] = frozenset(),
    ) -> None:
        self._corpora, self._config, self._base = corpora, replace(config, constrain=False), base
        self._count = count_tokens
        self.builder = cache(self._builder)
        self._retriever = cache(self._opened_retriever)
        self._selectors = [self._selector(corpus) for corpus in corpora]
        self._places: list[tuple[int, Document]] = []
        self.left_out = self.tested = 0
        for n, corpus in enumerate(corpora):
            untested = [d for d in corpus.pool.examples if comparison_form(d.text) not in tests]
            fitting = [(n, d) for d in untested if self._fits(corpus.types, d.text)]
            self._places += fitting * corpus.times
            self.left_out += (len(untested) - len(fitting)) * corpus.times
            self.tested += (len(corpus.pool.examples) - len(untested)) * corpus.times
        if not self._places:
            raise DatasetError(
                f"none of {self.left_out} lessons fits a context of {config.context} tokens",
                hint="give a longer --context",
            )

    def __len__(self) -> int:
        return len(self._places)

    def draw(self, places: Sequence[tuple[int, int]]) -> list[TrainingExample]:
        """The lessons of an epoch and a place each; the same whatever else is drawn with them."""
        tasks = [self._task(epoch, place) for epoch, place in places]
        examples = self._examples(tasks)
        return [self._lesson(task, examples.get(n, ())) for n, task in enumerate(tasks)]

    def _task(self, epoch: int, place: int) -> _Task:
        chance = random.Random(f"{self._config.seed} {epoch} {place}")
        corpus, document = self._places[place]
        types = self._corpora[corpus].types
        if len(types) > 1 and chance.random() < SOME:
            types = tuple(chance.sample(types, chance.randint(1, len(types))))
        shots = 0
        while shots < self._config.shots and chance.random() < FURTHER:
            shots += 1
        return _Task(corpus, document, types, shots, told=chance.random() < TOLD)

    def _examples(self, tasks: Sequence[_Task]) -> dict[int, list[Document]]:
        """The examples of those tasks that have some, by their number; selected together."""
        asked: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for number, task in enumerate(tasks):
            if task.shots:
                asked[task.corpus, task.shots].append(number)
        found: dict[int, list[Document]] = {}
        for (corpus, shots), numbers in asked.items():
            selector = self._selectors[corpus]
            assert selector is not None  # no task has examples where --shots is 0
            texts = [tasks[number].document.text for number in numbers]
            found |= dict(zip(numbers, selector.select(texts, k=shots), strict=True))
        return found

    def _lesson(self, task: _Task, examples: Sequence[Document]) -> TrainingExample:
        builder, text = self.builder(task.types), task.document.text
        prompt, _ = builder.build(text, examples=examples, concepts=self._concepts(task))
        assert prompt is not None  # fewer types need less room than all, with which it was tried
        answer = builder.answer.render(text, task.document.entities)
        return TrainingExample(prompt.text, f" {answer}{builder.answer.stop[0]}")

    def _concepts(self, task: _Task) -> list[Hit]:
        retriever = self._retriever(tuple(sorted(task.types))) if task.told else None
        return retriever.named(task.document.text) if retriever else []

    def _fits(self, types: tuple[str, ...], text: str) -> bool:
        return self.builder(types).build(text, examples=())[0] is not None

    def _builder(self, types: tuple[str, ...]) -> PromptBuilder:
        return tagging.builder(self._config, types, context=self._config.context, count=self._count)

    def _opened_retriever(self, types: tuple[str, ...]) -> Retriever | None:
        return tagging.retriever(self._config, types, self._base)

    def _selector(self, corpus: Corpus) -> ExampleSelector | None:
        index = self._base.linker_for(corpus.types) if self._base else None
        return tagging.selector(self._config, corpus.pool, index)
