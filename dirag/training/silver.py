"""An LLM's labels to train on: what `dirag tag` wrote in, the sentences of which it was sure out.

A sentence is taken whole or not at all: one without its doubtful mentions would teach to leave them out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from dirag.data import Document, Entity, Issue, Segment
from dirag.segment import segments
from dirag.selection import comparison_form

#: Issues of a sentence after which its labels are not to be trusted.
_LOSSES = ("unparsed", "invented", "unconstrained", "truncated", "failed")


def sentences(
    documents: Iterable[Document], left_out: Counter[str], *, min_score: float, linked: bool = False
) -> Iterator[Document]:
    """The sentences whose entities all score ``min_score`` or more and, where ``linked``, have a concept.

    Each string is taken once. ``left_out`` counts, by reason, what is not taken.
    """
    seen: set[str] = set()
    for document in documents:
        if not document.text.strip():
            left_out["documents without text"] += 1
        for segment in segments(document.text):
            inside = [e for e in document.entities if e.start < segment.end and e.end > segment.start]
            form = comparison_form(segment.text)
            if reason := _doubt(segment, inside, document.issues, min_score=min_score, linked=linked):
                left_out[reason] += 1
            elif form in seen:
                left_out["sentences seen before"] += 1
            else:
                seen.add(form)
                moved = [replace(e, start=e.start - segment.start, end=e.end - segment.start) for e in inside]
                yield Document(f"{document.id}:{segment.start}", segment.text, tuple(moved))


def _doubt(
    segment: Segment, inside: Iterable[Entity], issues: Iterable[Issue], *, min_score: float, linked: bool
) -> str:
    """Why a sentence is not taken; empty where it is."""
    if any(issue.where == segment.where and issue.code in _LOSSES for issue in issues):
        return "sentences with an issue"
    for entity in inside:
        if entity.start < segment.start or entity.end > segment.end:
            return "sentences that cut a mention"
        if entity.score is not None and entity.score < min_score:
            return "sentences with a score below the least"
        if linked and entity.concept is None:
            return "sentences with a mention without concept"
    return ""
