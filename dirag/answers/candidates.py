"""The answer where candidates are asked for: a list as in ``mentions``, without types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dirag.answers.mentions import Mentions
from dirag.data import Entity
from dirag.text.language import Language

TYPE = "candidate"


class CandidateList(Mentions):
    """Lists of candidates; those of an annotated sentence are all its entities, of whatever type."""

    name = "candidates"

    def __init__(self, language: Language) -> None:
        super().__init__((TYPE,), language)

    def render(self, text: str, entities: Sequence[Entity]) -> str:
        return super().render(text, [replace(entity, type=TYPE) for entity in entities])
