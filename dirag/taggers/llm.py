"""The LLM tagger: examples, prompt, answer, alignment, and the evidence that decides what is kept.

A small model's answer is weighed, not believed: a mention stays if the model wrote it with confidence (its
raw probability, before any constraint's mask) or if its name is known, and names that are known well are
added where the model left them out. ``Evidence`` holds the thresholds.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from dirag.align import longest, place
from dirag.data import Completion, Document, Entity, Hit, Issue, Mention, Prompt, Segment, Tagging, Usage
from dirag.lexicon import KnownName, Lexicon
from dirag.prompt import PromptBuilder
from dirag.protocols import AnswerFormat, Backend, ExampleSelector, Index
from dirag.votes import SINGLE, Sampling, elect

#: Segments whose examples are selected at once, so that the encoder works on batches.
CHUNK = 32

_LABEL = re.compile(r"\w:\s")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a mention needs to be kept: thresholds chosen on development data, all but the last in 0..1.

    ``confidence``: the geometric mean of its tokens' probabilities. ``backing``: the share of a known name's
    occurrences that are entities, enough to keep a mention that the model wrote. ``adding``: the share that
    is enough where it did not. ``stretch``: a mention this many times as long as such a name inside it is
    a copied sentence, not a mention.
    """

    confidence: float = 0.2
    backing: float = 0.05
    adding: float = 0.1
    stretch: int = 4


@dataclass(frozen=True, slots=True)
class _Asked:
    """A segment's text while its answer is awaited; not ``sent`` where no prompt of it fits the engine."""

    text: str
    issues: tuple[Issue, ...]
    sent: bool


class LlmTagger:
    """Tags with an engine, and links nothing; without a ``lexicon`` the model's own probability decides."""

    def __init__(
        self,
        backend: Backend,
        builder: PromptBuilder,
        selector: ExampleSelector | None,
        *,
        shots: int,
        index: Index | None = None,
        concepts: int = 0,
        lexicon: Lexicon | None = None,
        evidence: Evidence = Evidence(),
        sampling: Sampling = SINGLE,
    ) -> None:
        self._backend, self._builder, self._selector, self._shots = backend, builder, selector, shots
        self._index, self._concepts = index, concepts
        self._lexicon, self._evidence = lexicon, evidence
        self._sampling = sampling

    def tag(self, segments: Iterable[Segment]) -> Iterator[Tagging]:
        waiting: deque[_Asked] = deque()
        # One stream of prompts for all segments: an engine with many requests in flight never runs dry.
        completions = iter(self._backend.generate(self._prompts(segments, waiting)))
        for first in completions:
            yield from _unsent(waiting)
            samples = [first, *islice(completions, self._sampling.number - 1)]
            yield self._tagging(waiting.popleft(), samples)
        yield from _unsent(waiting)

    def remarks(self) -> Sequence[str]:
        return self._backend.remarks()

    def close(self) -> None:
        self._backend.close()

    def _prompts(self, segments: Iterable[Segment], waiting: deque[_Asked]) -> Iterator[Prompt]:
        """The prompts of the segments; ``waiting`` takes what is to be known when the answer comes."""
        remaining = iter(segments)
        while chunk := list(islice(remaining, CHUNK)):
            for segment, examples in zip(chunk, self._examples(chunk), strict=True):
                concepts = self._hits(segment.text)
                prompt, issues = self._builder.build(segment.text, examples=examples, concepts=concepts)
                waiting.append(_Asked(segment.text, tuple(issues), prompt is not None))
                if prompt is not None:
                    yield from self._sampling.prompts(prompt)

    def _examples(self, chunk: Sequence[Segment]) -> list[list[Document]]:
        if self._selector is None or self._shots == 0:
            return [[] for _ in chunk]
        return self._selector.select([segment.text for segment in chunk], k=self._shots)

    def _hits(self, text: str) -> list[Hit]:
        return self._index.scan(text)[: self._concepts] if self._index and self._concepts else []

    def _tagging(self, asked: _Asked, samples: Sequence[Completion]) -> Tagging:
        """What the answers to one prompt agree on; those that failed have no vote."""
        ballots, issues = [], list(asked.issues)
        for completion in samples:
            if completion.finish == "failed":
                issues.append(Issue("failed", "", completion.detail))
                continue
            entities, more = self._read(asked.text, completion)
            ballots.append(entities)
            issues += more
        usage = sum((completion.usage for completion in samples), Usage())
        return Tagging(tuple(elect(ballots)), tuple(issues), usage)

    def _read(self, text: str, completion: Completion) -> tuple[list[Entity], list[Issue]]:
        answer = self._builder.answer
        mentions, issues = answer.parse(text, completion.text)
        if completion.detail:
            issues.append(Issue("unconstrained", "", completion.detail))
        if completion.finish == "length":
            issues.append(Issue("truncated", "", "the answer ended at its token limit"))
            if mentions and completion.text.endswith(mentions[-1].text):
                del mentions[-1]  # it may have been cut
        entities, invented = place(text, scored(mentions, completion, answer))
        return self._weigh(text, entities), issues + invented

    def _weigh(self, text: str, entities: list[Entity]) -> list[Entity]:
        """The entities with enough evidence, and the known names that the answer left out."""
        if self._lexicon is None:
            return [entity for entity in entities if self._keeps(entity, 0.0, [])]
        known = self._lexicon.find(text)
        names = {(name.start, name.end): name for name in known}
        added = longest(name for name in known if name.share >= self._evidence.adding)
        kept = []
        for entity in self._lexicon.typed(text, entities):
            name = names.get((entity.start, entity.end))
            if self._keeps(entity, name.share if name else 0.0, added):
                kept.append(_backed(entity, name) if name else entity)
        return longest([*kept, *(_entity(text, name) for name in added)])

    def _keeps(self, entity: Entity, share: float, added: Sequence[KnownName]) -> bool:
        if not any(map(str.isalpha, entity.text)) or _LABEL.search(entity.text):
            return False  # a number is a value, and "Dx: gout" a label with something else
        length = entity.end - entity.start
        inside = (name for name in added if entity.start <= name.start and name.end <= entity.end)
        if any(length >= self._evidence.stretch * (name.end - name.start) for name in inside):
            return False
        confident = entity.score is None or entity.score >= self._evidence.confidence
        return confident or share >= self._evidence.backing


def _unsent(waiting: deque[_Asked]) -> Iterator[Tagging]:
    """The taggings of the segments at the head for which no answer will come."""
    while waiting and not waiting[0].sent:
        yield Tagging(issues=waiting.popleft().issues)


def scored(mentions: Sequence[Mention], completion: Completion, answer: AnswerFormat) -> list[Mention]:
    """The mentions with their scores: the geometric mean of the raw probabilities of their tokens.

    A mention is looked for in the answer behind the one before it; one that is spelled otherwise there
    (with escapes) keeps no score.
    """
    ends, written = [], ""
    for token in completion.tokens:
        written += token.text
        ends.append(len(written))
    result, cursor = [], 0
    for mention in mentions:
        start = written.find(answer.opening + mention.text, cursor)
        if start < 0:
            result.append(mention)
            continue
        start += len(answer.opening)
        cursor = start + len(mention.text)
        inside = [
            token.logprob
            for token, end in zip(completion.tokens, ends, strict=True)
            if end > start and end - len(token.text) < cursor
        ]
        result.append(replace(mention, score=math.exp(sum(inside) / len(inside))))
    return result


def _backed(entity: Entity, name: KnownName) -> Entity:
    """A mention that is a known name: it scores the chance that either is right, were they independent."""
    return replace(entity, type=name.type, score=1 - (1 - (entity.score or 0.0)) * (1 - name.share))


def _entity(text: str, name: KnownName) -> Entity:
    return Entity(name.start, name.end, name.type, text[name.start : name.end], name.share)
