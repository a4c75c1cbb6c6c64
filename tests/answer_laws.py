"""What holds of answers in every format."""

from __future__ import annotations

from collections.abc import Sequence

from dirag.data import Entity
from dirag.occurrences import is_bounded


def is_admissible(name: str, text: str, entities: Sequence[Entity]) -> bool:
    """Whether a list of the entities can be written under its constraint: a copy can mark anything."""
    whole = all(is_bounded(text, e.start, e.end) and any(map(str.isalnum, e.text)) for e in entities)
    return name == "inline" or whole
