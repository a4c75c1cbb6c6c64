"""The seams, one small protocol each, with the laws that ``tests/test_contracts.py`` runs over them all.

Names of taggers, selectors and answer formats lead to what opens them in tables of ``dirag.config``; library
users pass an object. Readers, writers and dataset loaders are plain functions and have no protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dirag.constraint import Constraint
    from dirag.data import Completion, Document, Entity, Hit, Issue, Mention, Prompt, Segment, Tagging


class Tagger(Protocol):
    """Finds the entities of segments.

    Laws: one tagging a segment, in order, lazily; offsets lie in the segment and ``text`` is what stands
    there; types are among those asked for; the same segments give the same taggings. The segments of a
    document come together, in its order: their taggings do not depend on the documents beside it.
    ``notices`` are those of its engine.
    """

    def tag(self, segments: Iterable[Segment]) -> Iterator[Tagging]: ...

    def notices(self) -> Sequence[str]: ...

    def close(self) -> None: ...


class Embedder(Protocol):
    """Turns texts into vectors.

    Laws: float32 of shape (len(texts), dimension), each row of length 1; a text's vector does not depend
    on its neighbours (to 1e-4); no texts give shape (0, dimension). ``name`` identifies encoder and weights.
    """

    name: str
    dimension: int

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


class Index(Protocol):
    """Finds concepts by name.

    Laws: a concept's own name finds that concept with match "exact", if ``k`` is large enough; scores are
    probabilities, hits are best first; ``lookup`` gives one list a query, at most ``k`` long, no concept
    twice. ``text`` is the document in which the queries stand, and may change what they mean.
    ``scan`` gives hits in text order that do not overlap, the longest where they compete, at word
    boundaries, offsets into ``text`` as given.
    """

    def lookup(self, queries: Sequence[str], *, k: int = 5, text: str | None = None) -> list[list[Hit]]: ...

    def scan(self, text: str) -> list[Hit]: ...


class AssertionClassifier(Protocol):
    """Tells what the text says of each mention: whether it is there, now, in the patient.

    Laws: the same entities come back in the same order, but for their ``status``, which does not depend on
    their order or on other documents; one whose type cannot have a status has None. ``segments`` are those of
    the document in which the entities stand.
    """

    def classify(self, segments: Sequence[Segment], entities: Sequence[Entity]) -> list[Entity]: ...


class ExampleSelector(Protocol):
    """Chooses annotated sentences for each text, most useful first.

    Laws: one list a text, at most ``k`` long, no example twice; never the text itself nor a near copy of
    it; the same texts, pool and seed give the same examples, whatever the order or the batch.
    """

    def select(self, texts: Sequence[str], *, k: int) -> list[list[Document]]: ...


class AnswerFormat(Protocol):
    """One way to write the entities of a text: renders, constrains and parses, so that these cannot drift.

    An instance is made for an ordered tuple of entity types.

    Laws: for entities that do not overlap, ``align`` of ``parse(render(text, entities))`` gives them back
    exactly; ``constrain(text)`` accepts ``render(text, entities)``; ``parse`` never raises,
    whatever the answer, and reports each part that it cannot read.
    """

    name: str
    stop: tuple[str, ...]
    opening: str  # what stands right before a mention in an answer

    def render(self, text: str, entities: Sequence[Entity]) -> str: ...

    def constrain(self, text: str) -> Constraint: ...

    def parse(self, text: str, answer: str) -> tuple[list[Mention], list[Issue]]: ...


class Backend(Protocol):
    """An engine that continues prompts.

    Laws: one completion a prompt, in order, lazily; the text never holds a stop string; a completion that
    ended at ``max_tokens`` says "length"; greedy at temperature 0, else a sample of the tokens that the
    constraint admits, so that the same prompt, its seed included, gives the same text; with a constraint the
    text is accepted by it unless it ended at "length"; token log-probabilities are raw, before the
    constraint's mask and the temperature; a failed request is a completion with finish "failed", never a lost
    one. An engine that cannot draw by a seed raises UsageError where it is asked to.
    ``context`` is in tokens, for prompt and answer together; ``close`` may be called twice. ``notices`` are
    what a user should read at the end of a run, a sentence each: above all where text was sent.
    """

    name: str
    context: int

    def count_tokens(self, text: str) -> int: ...

    def generate(self, prompts: Iterable[Prompt]) -> Iterator[Completion]: ...

    def notices(self) -> Sequence[str]: ...

    def close(self) -> None: ...
