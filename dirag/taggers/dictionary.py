"""The dictionary tagger: finds the names of the knowledge base that stand in the text.

In: segments. Out: one entity for each name whose concept can be of a wanted type and for each short form that
the document defines for such a name, widened by the rules of the language. It uses no model and constant
memory, and misses whatever the vocabulary does not name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from dirag.data import Entity, Hit, Segment, Tagging
from dirag.knowledge.semantics import TypeMap, load_types
from dirag.protocols import Index
from dirag.text import abbreviations
from dirag.text.align import longest
from dirag.text.language import Language

_REACH = 40  # characters before a mention in which words that belong to it are looked for
_BLANK = r"(?:[^\S\n]+|[^\S\n]*\n[^\S\n]*)"  # within a paragraph
_WORD_BEFORE = re.compile(rf"(?<![\w-])([^\W\d_][\w-]*)(?:-|{_BLANK})\Z")


class DictionaryTagger:
    """Tags by ``index.scan``; a concept of several wanted types gets the first in its own order.

    A short form is an entity from the segment that defines it to the end of the document.
    """

    def __init__(
        self,
        index: Index,
        types: Sequence[str],
        language: Language,
        *,
        type_map: TypeMap | None = None,
    ) -> None:
        self._index, self._wanted = index, frozenset(types)
        self._map = type_map or load_types()
        self._language, self._rules = language, language.dictionary
        # The longest first: of alternatives the first that fits is taken, and ", and " begins as ", " does.
        between = "|".join(map(re.escape, sorted(self._rules.between, key=len, reverse=True)))
        # A member of an enumeration ("breast" in "breast and colon cancer") and what stands behind it.
        self._member = re.compile(rf"(?<!\w)([^\W\d_]+)(?:{between})$") if between else None

    def tag(self, segments: Iterable[Segment]) -> Iterator[Tagging]:
        defined: dict[str, Entity] = {}
        document: int | None = None
        for segment in segments:
            if segment.document != document:
                document, defined = segment.document, {}
            yield Tagging(tuple(self._widened(segment.text, self._entities(segment.text, defined))))

    def notices(self) -> Sequence[str]:
        """Returns nothing, as no engine is used."""
        return ()

    def close(self) -> None:
        """Closes nothing: the knowledge base belongs to the caller."""

    def _entities(self, text: str, defined: dict[str, Entity]) -> list[Entity]:
        """Returns names and short forms in text order; adds those that the text defines to ``defined``."""
        named = [entity for hit in self._index.scan(text) if (entity := self._entity(text, hit))]
        # A long form counts if a name of the vocabulary ends where it does: "hereditary breast cancer".
        ends = {entity.end: entity for entity in named}
        for pair in abbreviations.find(text, self._language):
            if pair.long_end in ends:
                defined.setdefault(pair.short, ends[pair.long_end])
        # Of equal spans the first stays: what the document itself defines, not what a vocabulary calls so.
        return longest([*_short_forms(text, defined), *named]) if defined else named

    def _entity(self, text: str, hit: Hit) -> Entity | None:
        surface = text[hit.start : hit.end]
        for name in self._map.entities(hit.concept.semantic_types):
            if name in self._wanted:
                never = self._rules.never.get(name)
                if never is None or not never.fullmatch(surface):
                    return Entity(hit.start, hit.end, name, surface, hit.score, hit)
        return None

    def _widened(self, text: str, entities: Iterable[Entity]) -> Iterator[Entity]:
        """Yields the entities together with the words before them that belong to the mention."""
        end = 0  # of the mention before, into which no other is widened
        for entity in entities:
            start = self._enumerated(text, entity, end)
            modifiers = self._rules.modifiers.get(entity.type, ())
            while match := _WORD_BEFORE.search(text[max(start - _REACH, end) : start]):
                if match[1].lower() not in modifiers:
                    break
                start -= len(match[0])
            end = entity.end
            yield replace(entity, start=start, text=text[start:end]) if start < entity.start else entity

    def _enumerated(self, text: str, entity: Entity, first: int) -> int:
        """Returns where the enumeration starts that ends in this mention, at ``first`` or later."""
        start, head = entity.start, entity.text.split()[-1]
        if self._member is None or " " not in entity.text:
            return start
        while match := self._member.search(text[max(start - _REACH, first) : start]):
            if not self._is_name(f"{match[1]} {head}", entity.type):
                break
            start -= len(match[0])
        return start

    def _is_name(self, text: str, type_: str) -> bool:
        return any(
            hit.start == 0
            and hit.end == len(text)
            and type_ in self._map.entities(hit.concept.semantic_types)
            for hit in self._index.scan(text)
        )


def _short_forms(text: str, defined: Mapping[str, Entity]) -> Iterator[Entity]:
    """Yields an entity for each place of a defined short form, of its long form's type and concept."""
    # The longest first: of alternatives a regular expression takes the first that fits, not the longest.
    forms = "|".join(map(re.escape, sorted(defined, key=len, reverse=True)))
    for match in re.finditer(rf"(?<!\w)(?:{forms})(?!\w)", text):
        start, end = match.span()
        long = defined[match[0]]
        hit = None if long.link is None else replace(long.link, start=start, end=end)
        yield Entity(start, end, long.type, match[0], long.score, hit)
