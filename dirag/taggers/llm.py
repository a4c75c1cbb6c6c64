"""The LLM tagger, the order of its stages: augment -> build -> generate -> read -> weigh -> vote.

In: segments. Out: one tagging a segment, in order. With a builder of ``candidates`` a segment is sent twice:
the first request asks which strings could be entities, and the concepts of these stand in the prompt of the
second. What goes wrong with a segment (no prompt fits, a request fails, an answer is cut) is an issue of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from dirag.data import Completion, Entity, Issue, Segment, Tagging, Usage
from dirag.prompting.augmentation import AugmentedText, Augmenter
from dirag.prompting.builder import PromptBuilder
from dirag.protocols import Backend
from dirag.taggers.request_queue import Request, RequestQueue
from dirag.taggers.scores import add_scores
from dirag.taggers.voting import SINGLE, Sampling, elect
from dirag.taggers.weighing import Weigher
from dirag.text.align import place


@dataclass(frozen=True, slots=True)
class Task:
    """A segment on its way: what its next prompt shows, and the issues and costs of its requests so far."""

    content: AugmentedText
    asks_candidates: bool
    issues: tuple[Issue, ...] = ()
    usage: Usage = field(default_factory=Usage)

    @property
    def text(self) -> str:
        return self.content.text

    def with_issues(self, issues: Iterable[Issue]) -> Task:
        if self.asks_candidates:
            issues = (replace(issue, detail=f"candidates: {issue.detail}") for issue in issues)
        return replace(self, issues=(*self.issues, *issues))


class LlmTagger:
    """Tags with an engine, and links nothing."""

    def __init__(
        self,
        backend: Backend,
        builder: PromptBuilder,
        *,
        augmenter: Augmenter | None = None,
        candidates: PromptBuilder | None = None,
        weigher: Weigher | None = None,
        sampling: Sampling = SINGLE,
    ) -> None:
        self._backend, self._builder, self._candidates = backend, builder, candidates
        self._augmenter, self._weigher = augmenter or Augmenter(), weigher or Weigher()
        self._sampling = sampling

    def tag(self, segments: Iterable[Segment]) -> Iterator[Tagging]:
        queue = RequestQueue(self._tasks(segments), send=self._send, settle=self._settle)
        return queue.results(self._backend.generate)

    def notices(self) -> Sequence[str]:
        return self._backend.notices()

    def close(self) -> None:
        self._backend.close()

    def _tasks(self, segments: Iterable[Segment]) -> Iterator[Task]:
        asks_candidates = self._candidates is not None
        # With candidates the concepts follow from the answer to the first request: none are retrieved here.
        texts = (segment.text for segment in segments)
        for content in self._augmenter.augment(texts, concepts=not asks_candidates):
            yield Task(content, asks_candidates)

    def _send(self, task: Task) -> Request[Task]:
        """Builds the prompt of a task, once a sample; none where not even the bare text fits the engine."""
        # Candidates are only looked up, for which one greedy answer does; it is entities that are voted on.
        content, sampling = task.content, SINGLE if task.asks_candidates else self._sampling
        prompt, issues = self._builder_of(task).build(
            content.text, examples=content.examples, concepts=content.concepts
        )
        prompts = () if prompt is None else tuple(sampling.prompts(prompt))
        return Request(task.with_issues(issues), prompts)

    def _settle(self, task: Task, completions: Sequence[Completion]) -> Task | Tagging:
        """Returns what the answers agree on (those that failed have no vote), or the task's next round."""
        ballots, issues = [], []
        for completion in completions:
            if completion.finish == "failed":
                issues.append(Issue("failed", "", completion.detail))
                continue
            entities, problems = self._read(task, completion)
            ballots.append(entities if task.asks_candidates else self._weigher.weigh(task.text, entities))
            issues += problems
        # Requests are counted here, where they are sent: a cache and the engine behind it would both do so.
        usage = sum((replace(completion.usage, requests=1) for completion in completions), task.usage)
        task = replace(task.with_issues(issues), usage=usage)
        if task.asks_candidates:
            return self._with_concepts(task, elect(ballots))
        return Tagging(tuple(elect(ballots)), task.issues, task.usage)

    def _read(self, task: Task, completion: Completion) -> tuple[list[Entity], list[Issue]]:
        """Reads an answer: parses it, scores its mentions, and finds their places in the text."""
        answer = self._builder_of(task).answer
        mentions, issues = answer.parse(task.text, completion.text)
        if completion.detail:
            issues.append(Issue("unconstrained", "", completion.detail))
        if completion.finish == "length":
            issues.append(Issue("truncated", "", "the answer ended at its token limit"))
            if mentions and completion.text.endswith(mentions[-1].text):
                del mentions[-1]  # it may have been cut
        entities, invented = place(task.text, add_scores(mentions, completion, opening=answer.opening))
        return entities, issues + invented

    def _with_concepts(self, task: Task, candidates: Iterable[Entity]) -> Task:
        """Returns the second round of a task, whose prompt shows the concepts of its candidates."""
        retriever = self._augmenter.retriever
        spans = [(entity.start, entity.end) for entity in candidates]
        concepts = retriever.candidates(task.text, spans) if retriever else []
        return replace(task, content=replace(task.content, concepts=concepts), asks_candidates=False)

    def _builder_of(self, task: Task) -> PromptBuilder:
        return self._candidates if self._candidates and task.asks_candidates else self._builder
