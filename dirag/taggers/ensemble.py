"""The ensemble: a token classifier and known names find mentions, and where they leave doubt an LLM is asked.

In: segments. Out: one tagging a segment, in order; one ``Decision`` over all that is said of a span gives its
probability. Most segments leave no doubt, and cost no request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice, tee
from typing import Protocol

from dirag.data import Entity, Segment, Tagging
from dirag.protocols import Tagger
from dirag.taggers.decision import Decision, Evidence, Span, gather, with_answer
from dirag.taggers.known_names import NameStatistics

#: Segments that are read before the LLM is asked of those in doubt.
_BATCH = 512


class SpanFinder(Protocol):
    """Finds spans that may be mentions, overlapping ones too: all whose probability, their score, is at least
    so much.

    Laws: those of a ``Tagger``, but for overlaps.
    """

    def candidates(self, segments: Iterable[Segment], *, least: float) -> Iterator[list[Entity]]: ...


class EnsembleTagger:
    """Tags by a ``classifier``, the ``names`` that are known, and an ``llm`` whose entities are not weighed.

    The LLM's scores are the raw probabilities of the words that it wrote. Without one the decision is over
    what the others say.
    """

    def __init__(
        self, classifier: SpanFinder, names: NameStatistics | None, llm: Tagger | None, decision: Decision
    ) -> None:
        self._classifier, self._names, self._llm = classifier, names, llm
        self._decision = decision

    def tag(self, segments: Iterable[Segment]) -> Iterator[Tagging]:
        segments, read = tee(segments)
        candidates = self._classifier.candidates(read, least=self._decision.least)
        pairs = zip(segments, candidates, strict=True)
        while batch := list(islice(pairs, _BATCH)):
            known = [(segment, self._evidence(segment.text, spans)) for segment, spans in batch]
            doubts = [
                self._llm is not None and self._decision.is_in_doubt(segment.text, evidence)
                for segment, evidence in known
            ]
            in_doubt = (segment for (segment, _), doubt in zip(known, doubts, strict=True) if doubt)
            answers = self._llm.tag(in_doubt) if self._llm else iter(())
            for (segment, evidence), doubt in zip(known, doubts, strict=True):
                answer = next(answers) if doubt else Tagging()
                has_answer = doubt and not answer.has_failed
                evidence = with_answer(evidence, answer.entities)
                entities = self._decision.mentions(segment.text, evidence, has_answer=has_answer)
                yield replace(answer, entities=tuple(entities))

    def _evidence(self, text: str, spans: Iterable[Entity]) -> dict[Span, Evidence]:
        return gather(spans, self._names.find(text) if self._names else ())

    def notices(self) -> Sequence[str]:
        return self._llm.notices() if self._llm else ()

    def close(self) -> None:
        if self._llm:
            self._llm.close()
