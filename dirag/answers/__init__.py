"""Answer formats: one module a format, which renders, constrains and parses, so that these cannot drift.

A prompt ends with a colon and no space, as in ``Diseases:``. The answer of an in-context example follows
as ``" " + render(...)`` and then the stop string; the model writes likewise, and ``parse`` and the
constraint take its text with or without that space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from dirag.config import ANSWERS as ANSWERS
from dirag.errors import unknown

if TYPE_CHECKING:
    from dirag.protocols import AnswerFormat


#: The formats whose answers hold the descriptions of the types.
DESCRIBING = ("template",)


def make(name: str, types: Sequence[str], *, descriptions: Mapping[str, str] | None = None) -> AnswerFormat:
    """The named format for these entity types, in this order; those of ``DESCRIBING`` take descriptions."""
    if name not in ANSWERS:
        raise unknown("answer format", name, ANSWERS)
    described = (descriptions,) if name in DESCRIBING else ()
    answer_format: AnswerFormat = resolve_name(ANSWERS[name])(tuple(types), *described)
    return answer_format
