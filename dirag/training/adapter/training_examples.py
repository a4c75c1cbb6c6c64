"""Draws the text to train on: for a sentence of a corpus the tagger's prompt, and the right answer.

In: corpora with their gold entities, and the config of the run that the adapter is for. Out: training
examples, each drawn by the seed, its epoch and its place: how many in-context examples and whether concept
lines stand in the prompt and, of a corpus with several types, which are asked for. So one adapter serves with
and without them. Sentences of test splits, and those whose prompt fits no context, are left out and counted.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, replace
from functools import cache

from dirag.assembly import tagging
from dirag.config import Config
from dirag.data import Document
from dirag.errors import DatasetError
from dirag.examples.selection import comparison_form
from dirag.knowledge.base import KnowledgeBase
from dirag.prompting.augmentation import AugmentedText, Augmenter
from dirag.prompting.builder import PromptBuilder
from dirag.prompting.concept_lines import Retriever
from dirag.protocols import ExampleSelector
from dirag.training.corpora import Corpus

# Runs with an adapter send bare prompts by default, so most are bare; the others are for runs with --shots or
# --concepts. The chances were chosen, not measured.
#: The chance of an in-context example in a prompt, and of each further one.
MORE_SHOTS = 1 / 3
#: The chance of concept lines in a prompt.
CONCEPT_LINES = 1 / 3
#: The chance that a corpus is asked for some of its types, in any order, and not for all of them.
SOME_TYPES = 1 / 2


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """A prompt, and the answer with the string that ends it."""

    prompt: str
    answer: str


@dataclass(frozen=True, slots=True)
class TokenRow:
    """The tokens of a prompt and of its answer."""

    prompt: Sequence[int]
    answer: Sequence[int]

    def __len__(self) -> int:
        """Returns the number of tokens that the model reads: the last one of an answer is only predicted."""
        return len(self.prompt) + len(self.answer) - 1


@dataclass(frozen=True, slots=True)
class ExamplePlan:
    """What is drawn for a training example: the sentence, the types asked for, and what its prompt shows."""

    corpus: int
    document: Document
    types: tuple[str, ...]
    shots: int
    concept_lines: bool


class TrainingExamples:
    """The training examples of some corpora; ``len`` is their number in an epoch.

    ``left_out`` counts those whose prompt does not fit the context, ``tested`` those of sentences whose
    ``selection.comparison_form`` is in ``tests``. Raises DatasetError if none remains.
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
        self._count_tokens = count_tokens
        self.builder, self._retriever = cache(self._make_builder), cache(self._open_retriever)
        self._selectors = [self._open_selector(corpus) for corpus in corpora]
        self._places: list[tuple[int, Document]] = []
        self.left_out = self.tested = 0
        for number, corpus in enumerate(corpora):
            sentences = corpus.pool.examples
            untested = [s for s in sentences if comparison_form(s.text) not in tests]
            fitting = [(number, s) for s in untested if self._fits(corpus.types, s.text)]
            self._places += fitting * corpus.times
            self.left_out += (len(untested) - len(fitting)) * corpus.times
            self.tested += (len(sentences) - len(untested)) * corpus.times
        if not self._places:
            raise self._nothing_remains()

    def __len__(self) -> int:
        return len(self._places)

    def plan(self, epoch: int, place: int) -> ExamplePlan:
        """Draws the training example at a place of an epoch."""
        rng = random.Random(f"{self._config.seed} {epoch} {place}")
        corpus, document = self._places[place]
        types = self._corpora[corpus].types
        if len(types) > 1 and rng.random() < SOME_TYPES:
            types = tuple(rng.sample(types, rng.randint(1, len(types))))
        shots = 0
        while shots < self._config.shots and rng.random() < MORE_SHOTS:
            shots += 1
        return ExamplePlan(corpus, document, types, shots, concept_lines=rng.random() < CONCEPT_LINES)

    def draw(self, places: Iterable[tuple[int, int]]) -> list[TrainingExample]:
        """Returns the examples of pairs of epoch and place; none depends on what is drawn with it."""
        plans = [self.plan(epoch, place) for epoch, place in places]
        groups: defaultdict[tuple[int, int, tuple[str, ...]], list[int]] = defaultdict(list)
        for number, plan in enumerate(plans):
            types = tuple(sorted(plan.types)) if plan.concept_lines else ()
            groups[plan.corpus, plan.shots, types].append(number)
        contents: dict[int, AugmentedText] = {}
        for (corpus, shots, types), numbers in groups.items():
            retriever = self._retriever(types) if types else None
            augmenter = Augmenter(self._selectors[corpus], shots, retriever)
            texts = (plans[number].document.text for number in numbers)
            contents |= zip(numbers, augmenter.augment(texts), strict=True)
        return [self._example(plan, contents[number]) for number, plan in enumerate(plans)]

    def _example(self, plan: ExamplePlan, content: AugmentedText) -> TrainingExample:
        builder, text = self.builder(plan.types), plan.document.text
        prompt, _ = builder.build(text, examples=content.examples, concepts=content.concepts)
        assert prompt is not None  # fewer types need less room than all, with which it was tried
        answer = builder.answer.render(text, plan.document.entities)
        return TrainingExample(prompt.text, f" {answer}{builder.answer.stop[0]}")

    def _fits(self, types: tuple[str, ...], text: str) -> bool:
        return self.builder(types).build(text, examples=())[0] is not None

    def _make_builder(self, types: tuple[str, ...]) -> PromptBuilder:
        return tagging.builder(self._config, types, context=self._config.context, count=self._count_tokens)

    def _open_retriever(self, types: tuple[str, ...]) -> Retriever | None:
        return tagging.retriever(self._config, types, self._base)

    def _open_selector(self, corpus: Corpus) -> ExampleSelector | None:
        index = self._base.evidence_for(corpus.types) if self._base else None
        return tagging.selector(self._config, corpus.pool, index)

    def _nothing_remains(self) -> DatasetError:
        names = ", ".join(corpus.dataset.name for corpus in self._corpora)
        if not self.left_out:
            return DatasetError(
                f"every sentence of {names} stands in a test split too, so none remains to train on",
                hint="give --dataset a corpus that shares no sentence with the test splits",
            )
        tested = f"; {self.tested:,} more stand in a test split" if self.tested else ""
        return DatasetError(
            f"none of {self.left_out:,} training examples of {names} fits a context of "
            f"{self._config.context} tokens{tested}",
            hint="give a longer --context",
        )
