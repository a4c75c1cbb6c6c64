"""The ensemble tagger: of which segments the LLM is asked, and what becomes of its answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import pytest
from test_decision import DECISION

from dirag.data import Entity, Issue, Segment, Tagging, Usage
from dirag.taggers.decision import Regression
from dirag.taggers.ensemble import EnsembleTagger

SCORES = {"asthma": 0.95, "flu": 0.4}
SURE, OPEN, EMPTY = "He has asthma .", "He has flu .", "He is well ."


class Answering:
    """An LLM that finds "flu" everywhere, or fails; it keeps what it was asked."""

    def __init__(self, issue: str = "") -> None:
        self.asked: list[str] = []
        self._issue = issue

    def tag(self, segments: Iterable[Segment]) -> Iterator[Tagging]:
        for segment in segments:
            self.asked.append(segment.text)
            if self._issue:
                yield Tagging((), (Issue(self._issue, "", ""),), Usage(requests=1))
            else:
                at = segment.text.index("flu")
                yield Tagging((Entity(at, at + 3, "disease", "flu", 0.9),), (), Usage(requests=1))

    def notices(self) -> Sequence[str]:
        return ("answered",)

    def close(self) -> None:
        self.asked.clear()


class Reading:
    """A classifier that is sure of "asthma" and in two minds about "flu"."""

    def candidates(self, segments: Iterable[Segment], *, least: float) -> Iterator[list[Entity]]:
        for segment in segments:
            places = [(segment.text.find(name), name, score) for name, score in SCORES.items()]
            yield [
                Entity(at, at + len(name), "disease", name, score) for at, name, score in places if at >= 0
            ]


def segments(*texts: str) -> list[Segment]:
    return [Segment(0, text, number) for number, text in enumerate(texts)]


def test_only_segments_in_doubt_are_asked_of_and_taggings_stay_in_order() -> None:
    llm = Answering()
    tagger = EnsembleTagger(Reading(), None, llm, DECISION)
    taggings = list(tagger.tag(segments(SURE, OPEN, EMPTY, OPEN, SURE)))
    assert llm.asked == [OPEN, OPEN]
    assert [[e.text for e in t.entities] for t in taggings] == [["asthma"], ["flu"], [], ["flu"], ["asthma"]]
    assert [t.usage.requests for t in taggings] == [0, 1, 0, 1, 0]
    assert tagger.notices() == ("answered",)
    tagger.close()
    assert llm.asked == []


@pytest.mark.parametrize("issue", ["failed", "unparsed"])
def test_a_request_that_failed_is_no_answer(issue: str) -> None:
    # Without the LLM 0.4 is enough here; an LLM that answered and did not name it makes it too little.
    strict = Regression(-2.0, DECISION.with_llm.weights)
    lenient = replace(DECISION, threshold=0.3, with_llm=strict)
    [tagging] = EnsembleTagger(Reading(), None, Answering(issue), lenient).tag(segments(OPEN))
    assert bool(tagging.entities) == (issue == "failed")
    assert [each.code for each in tagging.issues] == [issue]
