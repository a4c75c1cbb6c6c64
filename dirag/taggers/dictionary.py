"""The dictionary tagger: names of the knowledge base that stand in the text, nothing else.

In: segments. Out: one entity a name found whose concept can be of a wanted type. No model, constant
memory, the same answer every time; it misses whatever the vocabulary does not name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dirag.data import Entity, Segment, Tagging
from dirag.knowledge.semantics import TypeMap, load_types
from dirag.protocols import Index


class DictionaryTagger:
    """Tags by ``index.scan``; a concept of several wanted types gets the first of its own order."""

    def __init__(self, index: Index, types: Sequence[str], *, type_map: TypeMap | None = None) -> None:
        self._index, self._wanted = index, frozenset(types)
        self._map = type_map or load_types()

    def tag(self, segments: Iterable[Segment]) -> Iterator[Tagging]:
        for segment in segments:
            yield Tagging(tuple(self._entities(segment.text)))

    def close(self) -> None:
        """Nothing to close: the knowledge base belongs to the caller."""

    def _entities(self, text: str) -> Iterator[Entity]:
        for hit in self._index.scan(text):
            for name in self._map.entities(hit.concept.semantic_types):
                if name in self._wanted:
                    yield Entity(hit.start, hit.end, name, text[hit.start : hit.end], hit.score, hit)
                    break
