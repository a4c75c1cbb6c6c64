"""What a prompt shows beside its text: in-context examples from a selector, concepts from an index.

In: texts. Out: each with its examples and its concepts, in order. The tagger and ``dirag prompt`` take them
from here, so that both show the model the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from dirag.data import Document, Hit
from dirag.prompting.concept_lines import Retriever
from dirag.protocols import ExampleSelector

#: Texts whose examples are selected at once: a sentence encoder computes a batch faster than single texts.
CHUNK = 32


@dataclass(frozen=True, slots=True)
class AugmentedText:
    """A text with what its prompt shows beside it: examples, most useful first, and hits in text order."""

    text: str
    examples: Sequence[Document] = ()
    concepts: Sequence[Hit] = ()


@dataclass(frozen=True, slots=True)
class Augmenter:
    """Selects ``shots`` examples a text and retrieves the concepts of its names; by default neither."""

    selector: ExampleSelector | None = None
    shots: int = 0
    retriever: Retriever | None = None

    def augment(self, texts: Iterable[str], *, concepts: bool = True) -> Iterator[AugmentedText]:
        """Yields the texts with their examples and, unless without ``concepts``, those that they name.

        Reads no more than ``CHUNK`` texts ahead.
        """
        retriever = self.retriever if concepts else None
        unread = iter(texts)
        while chunk := list(islice(unread, CHUNK)):
            for text, examples in zip(chunk, self._examples(chunk), strict=True):
                yield AugmentedText(text, examples, retriever.named(text) if retriever else ())

    def _examples(self, texts: Sequence[str]) -> list[list[Document]]:
        if self.selector is None or self.shots == 0:
            return [[] for _ in texts]
        return self.selector.select(texts, k=self.shots)
