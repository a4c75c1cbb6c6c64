"""Names to put in the place of gold mentions: of the same concept, or of another one of its type."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

from dirag.data import Concept, Document, Entity
from dirag.protocols import Index
from dirag.text import normalise
from dirag.text.language import Language

Key: TypeAlias = tuple[str, ...]  # of Normaliser.key

WORD = re.compile(r"[^\W\d_]{2,}")

_LONGEST = 6  # words of a name that may stand in a sentence


class ConceptNames:
    """The names that a knowledge base has of what gold mentions mean, by exact look-up.

    ``indexes`` holds, by entity type, the index of the concepts that can be of it; ``language`` is that of
    the documents and the names.
    """

    def __init__(
        self, indexes: Mapping[str, Index], documents: Iterable[Document], language: Language
    ) -> None:
        self.language = language
        self._normaliser = normalise.normaliser(language)
        self._key = self._normaliser.key
        mentions: dict[str, dict[str, None]] = defaultdict(dict)  # in the order of the documents
        self._words: set[str] = set()
        for document in documents:
            self._words.update(WORD.findall(document.text))
            for entity in document.entities:
                if not normalise.is_acronym(entity.text):  # by itself it may mean anything
                    mentions[entity.type][entity.text] = None
        self._meant: dict[tuple[str, str], Concept] = {}
        self._concepts: dict[str, dict[str, tuple[str, Key]]] = defaultdict(dict)  # a name of each
        for kind, index in indexes.items():
            texts = list(mentions[kind])
            for text, hits in zip(texts, index.lookup(texts, k=1), strict=True):
                for hit in hits:
                    self._meant[kind, text] = hit.concept
                    for name in self.usable(hit.concept)[:1]:
                        self._concepts[kind][hit.concept.id] = name, self._key(name)

    def same(self, entity: Entity) -> list[str]:
        """Returns other names of the concept of a mention, without those that differ in spelling alone."""
        concept = self._meant.get((entity.type, entity.text))
        names = self.usable(concept) if concept else []
        return [name for name in names if self._key(name) != self._key(entity.text)]

    def other(self, entity: Entity, there: Collection[Key]) -> list[str]:
        """Returns a name of each other concept of a type that mentions mean, but those that are ``there``."""
        concept = self._meant.get((entity.type, entity.text))
        names = (entity.text, concept.name, *concept.synonyms) if concept else (entity.text,)
        refused = {*there, *map(self._key, names)}
        return [name for name, key in self._concepts[entity.type].values() if key not in refused]

    def running(self, name: str) -> str:
        """Returns a name as within a sentence: a capital stays where the documents write the word so only."""
        first = WORD.match(name)
        # "mRNA" is written so everywhere; that "Wilson" is a proper name and "Gout" not, the corpus shows.
        if first is None or first[0][1:] != first[0][1:].lower():
            return name
        is_proper = first[0] in self._words and first[0].lower() not in self._words
        return name if is_proper else name[0].lower() + name[1:]

    def usable(self, concept: Concept) -> list[str]:
        """Returns names that could stand in a sentence: not "Gout, unspecified", no bare acronym."""
        return [
            name
            for name in (concept.name, *concept.synonyms)
            if len(name.split()) <= _LONGEST
            and "," not in name
            and not name.lower().startswith(self.language.names.residual)
            and not normalise.is_acronym(name)
            and next(self._normaliser.variants(name), None) is None
        ]
