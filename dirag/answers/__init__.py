"""Answer formats: one module a format, which renders, constrains and parses, so that these cannot drift.

A prompt ends with a colon and no space, as in ``Diseases:``. The answer of an in-context example follows
as ``" " + render(...)`` and then the stop string; the model writes likewise, and ``parse`` and the
constraint take its text with or without that space.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from dirag.config import ANSWERS as ANSWERS
from dirag.errors import unknown

if TYPE_CHECKING:
    from dirag.protocols import AnswerFormat


def make(name: str, types: Sequence[str]) -> AnswerFormat:
    """The named format for these entity types, in this order."""
    if name not in ANSWERS:
        raise unknown("answer format", name, ANSWERS)
    module, _, attribute = ANSWERS[name].partition(":")
    answer_format: AnswerFormat = getattr(import_module(module), attribute)(tuple(types))
    return answer_format
