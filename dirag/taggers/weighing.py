"""Weighs what a model wrote against known names: which mentions stay, and which names are added.

A small model's answer is weighed, not believed: a mention stays if the model wrote it with confidence (its
raw probability, before any constraint's mask) or if its name is known, and names that are known well are
added where the model left them out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dirag.data import Entity
from dirag.taggers.known_names import KnownName, NameStatistics
from dirag.text.align import longest

_LABEL = re.compile(r"\w:\s")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What a mention needs to be kept, chosen on development data; all but the last are in 0..1.

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
class Weigher:
    """Keeps, drops and adds entities; without ``statistics`` the model's own probability decides."""

    statistics: NameStatistics | None = None
    thresholds: Thresholds = Thresholds()

    def weigh(self, text: str, entities: Iterable[Entity]) -> list[Entity]:
        """Returns the entities with enough evidence, and the known names that the answer left out."""
        if self.statistics is None:
            return [entity for entity in entities if self._keeps(entity, 0.0, [])]
        names = self.statistics.find(text)
        by_span = {(name.start, name.end): name for name in names}
        # A name that a longer one displaces stays out, even where a mention then displaces the longer one.
        added = longest(name for name in names if name.share >= self.thresholds.adding)
        backed = []
        for entity in self.statistics.typed(text, entities):
            name = by_span.get((entity.start, entity.end))
            if self._keeps(entity, name.share if name else 0.0, added):
                backed.append(_backed(entity, name) if name else entity)
        # Where two overlap, the longest stays; of equal spans the first, which is the model's.
        return longest([*backed, *(_entity(text, name) for name in added)])

    def _keeps(self, entity: Entity, share: float, added: Sequence[KnownName]) -> bool:
        if not any(map(str.isalpha, entity.text)) or _LABEL.search(entity.text):
            return False  # a number is a value, and "Dx: gout" a label with something else
        length = entity.end - entity.start
        # Only of names that are likely where they stand: any long mention holds a word that is rarely a name.
        inside = (name for name in added if entity.start <= name.start and name.end <= entity.end)
        if any(length >= self.thresholds.stretch * (name.end - name.start) for name in inside):
            return False
        confident = entity.score is None or entity.score >= self.thresholds.confidence
        return confident or share >= self.thresholds.backing


def _backed(entity: Entity, name: KnownName) -> Entity:
    """Scores a mention that is a known name by the chance that either is right, were they independent.

    Its type is that of the annotations; where a vocabulary alone knows it, that of the stronger evidence.
    """
    kind = name.type if name.annotated or name.share >= (entity.score or 0.0) else entity.type
    return replace(entity, type=kind, score=1 - (1 - (entity.score or 0.0)) * (1 - name.share))


def _entity(text: str, name: KnownName) -> Entity:
    return Entity(name.start, name.end, name.type, text[name.start : name.end], name.share)
