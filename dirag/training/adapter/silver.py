"""Selects an LLM's labels to train on: of what `dirag tag` wrote, the sentences of which it was sure.

A sentence is taken whole or not at all: one without its doubtful mentions would teach to leave them out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from dirag.data import Document, Entity
from dirag.examples.pool import CUT, cut
from dirag.examples.selection import comparison_form
from dirag.text.language import Language
from dirag.text.segment import segments

if TYPE_CHECKING:
    from dirag.examples.quality import QualityFilter

#: Issues after which the labels of a sentence are not to be trusted.
_LOSSES = ("unparsed", "invented", "unconstrained", "truncated", "failed")


def sentences(
    documents: Iterable[Document],
    left_out: Counter[str],
    *,
    min_score: float,
    linked: bool = False,
    quality: QualityFilter | None = None,
    language: Language | None = None,
) -> Iterator[Document]:
    """Yields the sentences whose entities all score ``min_score`` or more and, if ``linked``, have a concept.

    Each string is taken once. ``quality`` leaves out sentences by their paragraphs. ``left_out`` counts, by
    reason, what is not taken. Without a ``language`` the documents are English.
    """
    seen: set[str] = set()
    for document in documents:
        if not document.text.strip():
            left_out["documents without text"] += 1
        pieces = segments(document.text, language=language)
        verdicts = (
            quality.reasons(document.text, pieces, language=language) if quality else [""] * len(pieces)
        )
        for segment, verdict in zip(pieces, verdicts, strict=True):
            if verdict:
                left_out[verdict] += 1
            elif any(issue.where == segment.where and issue.code in _LOSSES for issue in document.issues):
                left_out["sentences with an issue"] += 1
            elif (sentence := cut(document, segment)) is None:
                left_out[CUT] += 1
            elif reason := _doubt(sentence.entities, min_score=min_score, linked=linked):
                left_out[reason] += 1
            elif (form := comparison_form(sentence.text)) in seen:
                left_out["sentences seen before"] += 1
            else:
                seen.add(form)
                yield sentence


def completed(
    documents: Iterable[Document], gold: Iterable[Document], types: Collection[str], left_out: Counter[str]
) -> Iterator[Document]:
    """Yields the documents of a gold corpus that annotates ``types``, with the tags of other types.

    A tag stays if it overlaps no gold mention. Documents are the same if their text is; those that the corpus
    lacks are left out, and counted.
    """
    annotated = {document.text: document.entities for document in gold}
    for document in documents:
        if (gold_entities := annotated.get(document.text)) is None:
            left_out["documents that the gold corpus lacks"] += 1
            continue
        tags = [
            tag
            for tag in document.entities
            if tag.type not in types
            and not any(gold.start < tag.end and tag.start < gold.end for gold in gold_entities)
        ]
        entities = sorted([*gold_entities, *tags], key=lambda entity: (entity.start, entity.end))
        yield replace(document, entities=tuple(entities))


def _doubt(entities: Iterable[Entity], *, min_score: float, linked: bool) -> str:
    """Returns why a sentence with these entities is not taken; empty if it is."""
    for entity in entities:
        if entity.score is not None and entity.score < min_score:
            return "sentences with a score below the least"
        if linked and entity.link is None:
            return "sentences with a mention without concept"
    return ""
