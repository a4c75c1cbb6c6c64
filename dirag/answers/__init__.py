"""Answer formats: one module each, which renders, constrains and parses, so that the three cannot drift.

A prompt ends with a colon and no space, as in ``Diseases:``. The answer of an in-context example follows
as ``" " + render(...)`` and the stop string. The model writes likewise; ``parse`` and the constraint accept
its text with and without that space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from dirag.config import ANSWERS as ANSWERS
from dirag.errors import unknown
from dirag.text.language import Language, english

if TYPE_CHECKING:
    from dirag.protocols import AnswerFormat


#: The formats whose answers repeat the descriptions of the types.
DESCRIBING = ("template",)


def make(
    name: str,
    types: Sequence[str],
    *,
    descriptions: Mapping[str, str] | None = None,
    language: Language | None = None,
) -> AnswerFormat:
    """Returns the named format for these entity types, in this order.

    ``descriptions`` are for the formats of ``DESCRIBING``; texts and answers are in English where no
    ``language`` is given. Raises UsageError for an unknown name.
    """
    if name not in ANSWERS:
        raise unknown("answer format", name, ANSWERS)
    described = (descriptions,) if name in DESCRIBING else ()
    answer_format: AnswerFormat = resolve_name(ANSWERS[name])(tuple(types), language or english(), *described)
    return answer_format
