"""The sentences of corpora as rows of pieces with a label for each word.

Of a type that its corpus does not annotate a sentence says nothing: where it has no mention, the labels of
such types are as right as "O", and give no loss. Sentences of test splits, and those that the encoder has no
room for, are left out and counted.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from dirag.corpora.labels import OF_CORPUS, without_corpus
from dirag.data import Document, Entity
from dirag.encoders.token_pieces import PieceTokenizer
from dirag.errors import DatasetError
from dirag.examples.selection import comparison_form
from dirag.taggers.token_classifier import words
from dirag.training.corpora import Corpus


def _label(type_: str, corpus: Corpus, separate: Collection[str]) -> str:
    return f"{type_}{OF_CORPUS}{corpus.dataset.name}" if corpus.dataset.name in separate else type_


def _relabelled(sentence: Document, labels: Mapping[str, str]) -> Document:
    return replace(sentence, entities=tuple(replace(e, type=labels[e.type]) for e in sentence.entities))


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """The pieces of a sentence, special ones included, with a label for the ``first`` piece of each word.

    A label of 0 is "O", or any of the ``unknown`` ones, of types that the corpus does not annotate.
    """

    ids: Sequence[int]
    first: Sequence[int]
    labels: Sequence[int]
    unknown: tuple[int, ...] = ()

    def __len__(self) -> int:
        """Returns the number of pieces."""
        return len(self.ids)


def label_names(types: Iterable[str]) -> tuple[str, ...]:
    """Returns the labels of types in BIO, "O" first."""
    return ("O", *(f"{prefix}-{type_}" for type_ in types for prefix in "BI"))


class LabelledSentences:
    """The training examples of some corpora; ``len`` is their number in an epoch.

    Types of the corpora named in ``separate`` have labels of their own: their annotators mean something else
    by them. ``left_out`` counts those that are too long, ``tested`` those of sentences whose
    ``selection.comparison_form`` is in ``tests``. Raises DatasetError if none remains.
    """

    def __init__(
        self,
        corpora: Sequence[Corpus],
        tokenizer: PieceTokenizer,
        *,
        tests: Set[str] = frozenset(),
        separate: Collection[str] = (),
        seed: int = 0,
        masked: float = 0.0,
        replaced: float = 0.0,
    ) -> None:
        self.types = tuple(dict.fromkeys(type_ for corpus in corpora for type_ in corpus.types))
        own = [{type_: _label(type_, corpus, separate) for type_ in corpus.types} for corpus in corpora]
        self.labels = label_names(dict.fromkeys(label for labels in own for label in labels.values()))
        self._numbers = {label: number for number, label in enumerate(self.labels)}
        self._tokenizer, self._seed, self._masked, self._replaced = tokenizer, seed, masked, replaced
        self._places: list[tuple[Document, tuple[int, ...]]] = []
        self.left_out = self.tested = 0
        for corpus, labels in zip(corpora, own, strict=True):
            sentences = [_relabelled(s, labels) for s in corpus.pool.restricted(corpus.types).examples]
            untested = [s for s in sentences if comparison_form(s.text) not in tests]
            pieces = tokenizer.pieces([sentence.text for sentence in untested])
            fitting = [s for s, p in zip(untested, pieces, strict=True) if len(p.ids) <= tokenizer.room]
            types = [without_corpus(name[2:]) for name in self.labels]
            unknown = tuple(n for n, type_ in enumerate(types) if n and type_ not in corpus.types)
            self._places += [(sentence, unknown) for sentence in fitting] * corpus.times
            self.left_out += (len(untested) - len(fitting)) * corpus.times
            self.tested += (len(sentences) - len(untested)) * corpus.times
        if not self._places:
            names = ", ".join(corpus.dataset.name for corpus in corpora)
            raise DatasetError(
                f"no sentence of {names} remains to train on: {self.tested:,} stand in a test split, "
                f"{self.left_out:,} are longer than {tokenizer.limit} tokens",
                hint="give --dataset a corpus that shares no sentence with the test splits",
            )
        self._mentions: defaultdict[str, list[str]] = defaultdict(list)
        for sentence, _ in self._places:
            for entity in sentence.entities:
                self._mentions[entity.type].append(entity.text)

    def __len__(self) -> int:
        return len(self._places)

    def draw(self, places: Iterable[tuple[int, int]]) -> list[LabelledRow]:
        """Returns the rows of pairs of epoch and place; none depends on what is drawn with it."""
        drawn = [
            (random.Random(f"{self._seed} {epoch} {place}"), self._places[place]) for epoch, place in places
        ]
        sentences = [self._with_others(sentence, rng) for rng, (sentence, _) in drawn]
        all_pieces = self._tokenizer.pieces([sentence.text for sentence in sentences])
        rows = []
        for (rng, (_, unknown)), sentence, pieces in zip(drawn, sentences, all_pieces, strict=True):
            of_text = words(sentence.text, pieces)
            labels = self._labels_of(of_text.spans, sentence.entities)
            ids = [self._hidden(number, rng) for number in pieces.ids][: self._tokenizer.room]
            # A replaced mention may have made it too long: the words behind the last piece go with them.
            number = bisect_left(of_text.first, len(ids))
            first = [piece + self._tokenizer.before for piece in of_text.first[:number]]
            rows.append(LabelledRow(self._tokenizer.framed(ids), first, labels[:number], unknown))
        return rows

    def _labels_of(self, spans: Sequence[tuple[int, int]], entities: Iterable[Entity]) -> list[int]:
        """Returns the label of each word; one that an entity cuts belongs to it whole."""
        labels = [0] * len(spans)
        ends = [end for _, end in spans]
        for entity in entities:
            prefix = "B"
            word = bisect_left(ends, entity.start + 1)
            while word < len(spans) and spans[word][0] < entity.end:
                labels[word] = self._numbers[f"{prefix}-{entity.type}"]
                prefix, word = "I", word + 1
        return labels

    def _hidden(self, number: int, rng: random.Random) -> int:
        return self._tokenizer.mask if self._masked and rng.random() < self._masked else number

    def _with_others(self, sentence: Document, rng: random.Random) -> Document:
        """Returns the sentence with other mentions of the corpora in the place of some of its own."""
        if not self._replaced or not any(rng.random() < self._replaced for _ in sentence.entities):
            return sentence
        text, end = "", 0
        entities: list[Entity] = []
        for entity in sorted(sentence.entities, key=lambda e: e.start):
            if entity.start < end:  # nested in the one before
                continue
            text += sentence.text[end : entity.start]
            name = rng.choice(self._mentions[entity.type]) if rng.random() < self._replaced else entity.text
            entities.append(replace(entity, start=len(text), end=len(text) + len(name), text=name))
            text, end = text + name, entity.end
        return replace(sentence, text=text + sentence.text[end:], entities=tuple(entities))
