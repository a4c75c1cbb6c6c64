"""Biomedical named-entity recognition with large language models.

The names below are the library's door; each is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dirag.assembly.recogniser import EntityRecogniser, open
    from dirag.config import Config, configure
    from dirag.data import Concept, Document, Entity, Hit, Issue, Result, Segment
    from dirag.errors import DiragError
    from dirag.formats import read
    from dirag.pipeline import tag
    from dirag.text.segment import segments

__all__ = [
    "Concept",
    "Config",
    "DiragError",
    "Document",
    "Entity",
    "EntityRecogniser",
    "Hit",
    "Issue",
    "Result",
    "Segment",
    "configure",
    "open",
    "read",
    "segments",
    "tag",
]

_HOMES = {
    "Config": "config",
    "configure": "config",
    "DiragError": "errors",
    "EntityRecogniser": "assembly.recogniser",
    "open": "assembly.recogniser",
    "read": "formats",
    "segments": "text.segment",
    "tag": "pipeline",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'data')}"), name)


def __dir__() -> list[str]:
    return [*__all__, *globals()]
