"""The LLM tagger: examples, prompt, answer, alignment, and the evidence that decides what is kept.

A small model's answer is weighed, not believed: a mention stays if the model wrote it with confidence (its
raw probability, before any constraint's mask) or if its name is known, and names that are known well are
added where the model left them out. ``Thresholds`` holds the limits.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from dirag.data import Completion, Document, Entity, Hit, Issue, Mention, Prompt, Segment, Tagging, Usage
from dirag.prompting.builder import PromptBuilder
from dirag.prompting.concept_lines import Retriever
from dirag.protocols import AnswerFormat, Backend, ExampleSelector
from dirag.taggers.known_names import KnownName, NameStatistics
from dirag.taggers.voting import SINGLE, Sampling, elect
from dirag.text.align import longest, place

#: Segments whose examples are selected at once, so that the encoder works on batches.
CHUNK = 32

_LABEL = re.compile(r"\w:\s")


@dataclass(frozen=True, slots=True)
class Thresholds:
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
    """A segment while an answer to the prompt of ``builder`` is awaited, with what is known of it by now.

    Not ``sent`` where no prompt of it fits the engine.
    """

    text: str
    builder: PromptBuilder
    examples: Sequence[Document]
    hits: Sequence[Hit] = ()
    issues: tuple[Issue, ...] = ()
    usage: Usage = field(default_factory=Usage)
    sent: bool = True


class LlmTagger:
    """Tags with an engine, and links nothing; without ``statistics`` the model's own probability decides.

    ``retriever`` finds the concepts that a prompt tells: in the text or, where a builder of ``candidates``
    is given, among those that the model is asked for first.
    """

    def __init__(
        self,
        backend: Backend,
        builder: PromptBuilder,
        selector: ExampleSelector | None,
        *,
        shots: int,
        retriever: Retriever | None = None,
        candidates: PromptBuilder | None = None,
        statistics: NameStatistics | None = None,
        thresholds: Thresholds = Thresholds(),
        sampling: Sampling = SINGLE,
    ) -> None:
        self._backend, self._builder, self._selector, self._shots = backend, builder, selector, shots
        self._retriever, self._candidates = retriever, candidates
        self._statistics, self._thresholds = statistics, thresholds
        self._sampling = sampling

    def tag(self, segments: Iterable[Segment]) -> Iterator[Tagging]:
        opened = self._opened(segments)
        ready: deque[_Asked] = deque()  # segments whose candidates are there, to be asked for entities
        waiting: deque[_Asked] = deque()
        while True:
            # One stream of prompts for all segments: an engine with many requests in flight never runs dry.
            completions = iter(self._backend.generate(self._prompts(opened, ready, waiting)))
            for first in completions:
                yield from self._unsent(waiting, ready)
                asked = waiting.popleft()
                samples = [first, *islice(completions, self._sampled(asked).number - 1)]
                yield from self._answered(asked, samples, ready)
            yield from self._unsent(waiting, ready)
            if not ready:
                return

    def notices(self) -> Sequence[str]:
        return self._backend.notices()

    def close(self) -> None:
        self._backend.close()

    def _opened(self, segments: Iterable[Segment]) -> Iterator[_Asked]:
        """The segments with their examples and, where no candidates are asked for, their concepts."""
        builder = self._candidates or self._builder
        remaining = iter(segments)
        while chunk := list(islice(remaining, CHUNK)):
            for segment, examples in zip(chunk, self._examples(chunk), strict=True):
                text = segment.text
                hits = self._retriever.named(text) if self._retriever and not self._candidates else ()
                yield _Asked(text, builder, examples, hits)

    def _examples(self, chunk: Sequence[Segment]) -> list[list[Document]]:
        if self._selector is None or self._shots == 0:
            return [[] for _ in chunk]
        return self._selector.select([segment.text for segment in chunk], k=self._shots)

    def _prompts(
        self, opened: Iterator[_Asked], ready: deque[_Asked], waiting: deque[_Asked]
    ) -> Iterator[Prompt]:
        """The prompts of the segments; ``waiting`` takes what is to be known when the answer comes."""
        while asked := ready.popleft() if ready else next(opened, None):
            prompt, issues = asked.builder.build(asked.text, examples=asked.examples, concepts=asked.hits)
            waiting.append(replace(asked, issues=self._issues(asked, issues), sent=prompt is not None))
            if prompt is not None:
                yield from self._sampled(asked).prompts(prompt)

    def _unsent(self, waiting: deque[_Asked], ready: deque[_Asked]) -> Iterator[Tagging]:
        """What comes of the segments at the head for which no answer will come."""
        while waiting and not waiting[0].sent:
            yield from self._ended(waiting.popleft(), [], ready)

    def _answered(
        self, asked: _Asked, samples: Sequence[Completion], ready: deque[_Asked]
    ) -> Iterator[Tagging]:
        """What the answers to one prompt agree on; those that failed have no vote."""
        ballots, issues = [], []
        for completion in samples:
            if completion.finish == "failed":
                issues.append(Issue("failed", "", completion.detail))
                continue
            entities, more = self._read(asked, completion)
            ballots.append(entities)
            issues += more
        usage = sum((replace(completion.usage, requests=1) for completion in samples), asked.usage)
        asked = replace(asked, issues=self._issues(asked, issues), usage=usage)
        yield from self._ended(asked, elect(ballots), ready)

    def _ended(self, asked: _Asked, entities: list[Entity], ready: deque[_Asked]) -> Iterator[Tagging]:
        """The tagging of a segment; one whose candidates these are is made ``ready`` instead."""
        if asked.builder is self._builder:
            yield Tagging(tuple(entities), asked.issues, asked.usage)
            return
        spans = [(entity.start, entity.end) for entity in entities]
        hits = self._retriever.candidates(asked.text, spans) if self._retriever else []
        ready.append(replace(asked, builder=self._builder, hits=hits))

    def _sampled(self, asked: _Asked) -> Sampling:
        """How many answers are drawn; candidates are those of a single one."""
        return self._sampling if asked.builder is self._builder else SINGLE

    def _issues(self, asked: _Asked, more: Sequence[Issue]) -> tuple[Issue, ...]:
        if asked.builder is not self._builder:
            more = [replace(issue, detail=f"candidates: {issue.detail}") for issue in more]
        return (*asked.issues, *more)

    def _read(self, asked: _Asked, completion: Completion) -> tuple[list[Entity], list[Issue]]:
        """The entities of an answer, or the candidates."""
        text, answer = asked.text, asked.builder.answer
        mentions, issues = answer.parse(text, completion.text)
        if completion.detail:
            issues.append(Issue("unconstrained", "", completion.detail))
        if completion.finish == "length":
            issues.append(Issue("truncated", "", "the answer ended at its token limit"))
            if mentions and completion.text.endswith(mentions[-1].text):
                del mentions[-1]  # it may have been cut
        entities, invented = place(text, scored(mentions, completion, answer))
        if asked.builder is self._builder:
            entities = self._weigh(text, entities)
        return entities, issues + invented

    def _weigh(self, text: str, entities: list[Entity]) -> list[Entity]:
        """The entities with enough evidence, and the known names that the answer left out."""
        if self._statistics is None:
            return [entity for entity in entities if self._keeps(entity, 0.0, [])]
        known = self._statistics.find(text)
        names = {(name.start, name.end): name for name in known}
        added = longest(name for name in known if name.share >= self._thresholds.adding)
        kept = []
        for entity in self._statistics.typed(text, entities):
            name = names.get((entity.start, entity.end))
            if self._keeps(entity, name.share if name else 0.0, added):
                kept.append(_backed(entity, name) if name else entity)
        return longest([*kept, *(_entity(text, name) for name in added)])

    def _keeps(self, entity: Entity, share: float, added: Sequence[KnownName]) -> bool:
        if not any(map(str.isalpha, entity.text)) or _LABEL.search(entity.text):
            return False  # a number is a value, and "Dx: gout" a label with something else
        length = entity.end - entity.start
        inside = (name for name in added if entity.start <= name.start and name.end <= entity.end)
        if any(length >= self._thresholds.stretch * (name.end - name.start) for name in inside):
            return False
        confident = entity.score is None or entity.score >= self._thresholds.confidence
        return confident or share >= self._thresholds.backing


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
        start = written.find(answer.opening + mention.text, max(cursor, mention.after))
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
    """A mention that is a known name: it scores the chance that either is right, were they independent.

    Its type is that of the annotations; where a vocabulary alone tells it, that of the stronger evidence.
    """
    kind = name.type if name.annotated or name.share >= (entity.score or 0.0) else entity.type
    return replace(entity, type=kind, score=1 - (1 - (entity.score or 0.0)) * (1 - name.share))


def _entity(text: str, name: KnownName) -> Entity:
    return Entity(name.start, name.end, name.type, text[name.start : name.end], name.share)
