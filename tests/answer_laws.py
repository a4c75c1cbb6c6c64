"""What holds of answers in every format."""

from __future__ import annotations

from collections.abc import Sequence

from dirag.data import Entity
from dirag.text.language import english
from dirag.text.occurrences import is_boundary, is_bounded, may_begin_name, may_end_name


def is_admissible(name: str, text: str, entities: Sequence[Entity]) -> bool:
    """Whether a list of the entities can be written under its constraint: a copy can mark anything.

    Some with function words at their ends can, too: those that need no mark.
    """
    return name == "inline" or all(_may_be_marked(text, entity) for entity in entities)


def _may_be_marked(text: str, entity: Entity) -> bool:
    if not is_bounded(text, entity.start, entity.end) or not any(map(str.isalpha, entity.text)):
        return False
    inner = [at for at in range(entity.start + 1, entity.end) if is_boundary(text, at)]
    first, last = (inner or [entity.end])[0], (inner or [entity.start])[-1]
    return may_begin_name(text[entity.start : first], english()) and may_end_name(
        text[last : entity.end], english()
    )
