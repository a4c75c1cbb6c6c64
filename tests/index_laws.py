"""The laws of the ``Index`` protocol, to run over any implementation."""

from __future__ import annotations

from collections.abc import Sequence

from dirag.data import Concept
from dirag.protocols import Index


def check_index(index: Index, concepts: Sequence[Concept], texts: Sequence[str]) -> None:
    """Assert every law for an index over these concepts, on these texts (any text at all)."""
    names = [concept.name for concept in concepts]
    for concept, hits in zip(concepts, index.lookup(names, k=len(concepts)), strict=True):
        own = [hit for hit in hits if hit.concept.id == concept.id]
        assert [hit.match for hit in own] == ["exact"]
    for k in (0, 1, 3):
        answers = index.lookup([*names, *texts], k=k)
        assert len(answers) == len(names) + len(texts)
        for query, hits in zip([*names, *texts], answers, strict=True):
            scores = [hit.score for hit in hits]
            assert len(hits) <= k
            assert scores == sorted(scores, reverse=True)
            assert all(0.0 <= score <= 1.0 for score in scores)
            assert len({hit.concept.id for hit in hits}) == len(hits)
            assert all((hit.start, hit.end) == (0, len(query)) for hit in hits)
    assert index.lookup([*names, *texts]) == [index.lookup([text])[0] for text in (*names, *texts)]
    for text in texts:
        (inside,) = index.lookup([text], k=3, text=f"{names[0]} ({text}) {text}")
        assert all((hit.start, hit.end) == (0, len(text)) for hit in inside)
        end = 0
        for hit in index.scan(text):
            assert end <= hit.start < hit.end <= len(text)
            end = hit.end
            assert not text[max(hit.start - 1, 0) : hit.start].isalnum()
            assert not text[hit.end : hit.end + 1].isalnum()
        assert index.scan(text) == index.scan(text)
