"""The tagger of a run whose types no one tagger knows best: each type by the one that does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pkgutil import resolve_name

from dirag.assembly import ensemble, tagging
from dirag.assembly.choice import taggers_by_type
from dirag.config import TAGGERS, Config
from dirag.examples.pool import Pool
from dirag.knowledge.base import KnowledgeBase
from dirag.protocols import Tagger
from dirag.taggers.by_type import ByTypeTagger


def open_tagger(
    config: Config, types: Sequence[str], *, base: KnowledgeBase | None, examples: Pool | None
) -> Tagger:
    """Opens a tagger for each part of the types, with the options of the run."""
    return ByTypeTagger(
        [
            tagging.tagger(part, part.types, base=base, examples=examples)
            for part in _parts(replace(config, types=tuple(types)))
        ]
    )


def identity(config: Config) -> dict[str, str]:
    """Returns what decides the entities beside the LLM."""
    return {
        f"{part.tagger}: {name}": value
        for part in _parts(config)
        if (function := TAGGERS[part.tagger].identity)
        for name, value in resolve_name(function)(part).items()
    }


def _parts(config: Config) -> list[Config]:
    """Returns the config of each tagger: its name, and its share of the types."""
    # Each part is a run of its own, with the options of the whole.
    shares = taggers_by_type(config, config.types or ensemble.types_of(config))
    return [replace(config, tagger=name, types=types) for name, types in shares.items()]
