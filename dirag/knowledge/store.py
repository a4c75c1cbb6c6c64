"""The knowledge base as a directory: a manifest, the concepts, and names in arrays mapped from disk.

``writer`` makes it; ``Store`` opens it in milliseconds. A directory of another schema, byte order or size
than its manifest says is refused with the reason.

Names are filed under keys (``normalise.key``); the rows of a key are the names that share it, preferred
names first. Arrays are raw; the manifest tells the size of each file.
"""

from __future__ import annotations

import json
import mmap
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import orjson

from dirag.data import Concept
from dirag.errors import KnowledgeError
from dirag.knowledge import exact

SCHEMA = 2


@dataclass(frozen=True, slots=True)
class Source:
    """A vocabulary that went into a knowledge base; ``rejected`` counts rows left out, by reason."""

    name: str
    sha256: str
    licence: str = ""
    concepts: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    first_rejected: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is inside a knowledge base; ``types`` numbers the combinations of semantic types."""

    schema: int
    byteorder: str
    sources: tuple[Source, ...]
    concepts: int
    names: int
    keys: int
    types: tuple[tuple[str, ...], ...]
    files: Mapping[str, int]


class Store:
    """An open knowledge base; closed, it can be used no more."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)
        self._maps = {name: _map(folder / name) for name in self.manifest.files}
        self.key_rows = self.array("key_rows.i")
        self.row_concepts = self.array("row_concepts.i")
        self.row_ranks = self.array("row_ranks.b")
        self.concept_types = self.array("concept_types.i")
        self._concept_starts, self._concepts = self.array("concepts.q"), self._maps["concepts.bin"]
        self._alias_starts, self._aliases = self.array("aliases.q"), self._maps["aliases.bin"]
        self._key_starts, self._keys = self.array("keys.q"), self._maps["keys.bin"]
        self.concept = lru_cache(maxsize=4096)(self._concept)

    def array(self, file: str) -> memoryview:
        """A file of the directory as numbers of the type that its suffix names."""
        return memoryview(self._maps[file]).cast("B").cast(file.rpartition(".")[2])  # type: ignore[call-overload, no-any-return]

    def bytes(self, file: str) -> memoryview:
        return memoryview(self._maps[file])

    @cached_property
    def trie(self) -> exact.Trie:
        words = self.bytes("words.txt").tobytes().decode("utf-8").split("\n")
        numbers = {word: number for number, word in enumerate(words)}
        arrays = (self.array(file) for file in ("roots.i", "edges.q", "children.i", "ends.i"))
        return exact.Trie(numbers, *arrays)

    def _concept(self, number: int) -> Concept:
        start, end = self._concept_starts[number], self._concept_starts[number + 1]
        identifier, name, synonyms, types, definition, source, parents, xrefs = orjson.loads(
            self._concepts[start:end]
        )
        return Concept(
            identifier, name, tuple(synonyms), tuple(types), definition, source, tuple(parents), tuple(xrefs)
        )

    def alias(self, row: int) -> str:
        start, end = self._alias_starts[row], self._alias_starts[row + 1]
        return self._aliases[start:end].decode("utf-8")

    def key(self, number: int) -> str:
        start, end = self._key_starts[number], self._key_starts[number + 1]
        return self._keys[start:end].decode("utf-8")

    def close(self) -> None:
        """Let go of everything; the maps themselves end with the last view of them."""
        self._maps = {}


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a knowledge base, compared with the files that are there."""
    rebuild = "build it anew from its vocabularies"
    try:
        table = json.loads((folder / "manifest.json").read_bytes())
    except FileNotFoundError as error:
        raise KnowledgeError(f"{folder} is no knowledge base: it has no manifest.json") from error
    except (OSError, ValueError) as error:
        raise KnowledgeError(f"cannot read {folder / 'manifest.json'}: {error}", hint=rebuild) from error
    if table.get("schema") != SCHEMA:
        raise KnowledgeError(
            f"{folder} has schema {table.get('schema')}, this version reads {SCHEMA}", hint=rebuild
        )
    if table["byteorder"] != sys.byteorder:
        raise KnowledgeError(f"{folder} was built on a {table['byteorder']}-endian machine", hint=rebuild)
    for name, size in table["files"].items():
        path = folder / name
        found = path.stat().st_size if path.is_file() else None
        if found != size:
            state = "is missing" if found is None else f"has {found:,} bytes, not {size:,}"
            raise KnowledgeError(f"{path} {state}", hint=rebuild)
    table["sources"] = tuple(Source(**source) for source in table["sources"])
    table["types"] = tuple(tuple(names) for names in table["types"])
    return Manifest(**table)


def _map(path: Path) -> mmap.mmap | bytes:
    if not path.stat().st_size:
        return b""
    with path.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
