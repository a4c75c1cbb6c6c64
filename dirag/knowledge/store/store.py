"""The knowledge base as a directory: a manifest, the concepts, and names in arrays mapped from disk.

``writer`` makes it; ``Store`` opens it in milliseconds. A directory of another schema, byte order or size
than its manifest says, or with an array that leads outside another, is refused with the reason.

Names are filed under keys (``Normaliser.key``); the rows of a key are the names that share it, preferred
names first. Arrays are raw; the manifest tells the size and the sha256 of each file.
"""

from __future__ import annotations

import json
import mmap
import sys
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from dirag.data import Concept, Json
from dirag.errors import KnowledgeError, UsageError
from dirag.files import fingerprint
from dirag.knowledge.index import exact
from dirag.knowledge.index.word_index import Strings
from dirag.knowledge.store import concept_codec, layout
from dirag.text import language as languages
from dirag.text.language import Language

SCHEMA = 5

_REBUILD = "build it anew from its vocabularies"


@dataclass(frozen=True, slots=True)
class Source:
    """A vocabulary that went into a knowledge base; ``rejected`` counts rows left out, by reason."""

    name: str
    sha256: str
    licence: str = ""
    concepts: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    first_rejected: Mapping[str, str] = field(default_factory=dict)

    def losses(self) -> Iterator[str]:
        """Yields a line for each reason why rows were left out."""
        for reason, number in self.rejected.items():
            yield f"{self.name}: {number:,} x {reason}, first at {self.first_rejected[reason]}"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a knowledge base."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseManifest:
    """What is inside a knowledge base and how it was made.

    ``version`` is the package's, ``types`` numbers the combinations of semantic types, ``prefixes`` are those
    of the concepts' own ids, ``unknown_parents`` counts the references to broader concepts that are not
    inside, ``extra`` belongs to who added files. By the rules of ``language`` names became keys.
    """

    schema: int
    version: str
    byteorder: str
    sources: tuple[Source, ...]
    concepts: int
    names: int
    keys: int
    unknown_parents: int
    types: tuple[tuple[str, ...], ...]
    prefixes: tuple[str, ...] = ()
    language: str = "en"  # of bases that were built before there was another
    options: Mapping[str, Json] = field(default_factory=dict)
    command: str = ""
    encoder: str | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)
    files: Mapping[str, StoredFile] = field(default_factory=dict)


class Store:
    """An open knowledge base; closed, it can be used no more.

    ``language`` is that of the manifest; it is given where it has no file of its own in the package.
    """

    def __init__(self, folder: Path, *, language: Language | None = None) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)
        self.language = language or _language(folder, self.manifest.language)
        if self.language.code != self.manifest.language:
            raise KnowledgeError(
                f"{folder} has the language {self.manifest.language!r}, not {self.language.code!r}",
                hint=_REBUILD,
            )
        self._maps = {name: _map(folder / name) for name in self.manifest.files}
        # Once, at opening: it reads the arrays through, and no look-up has to check a number after that.
        try:
            layout.check(self.array, types=len(self.manifest.types))
        except (KeyError, TypeError) as error:
            raise KnowledgeError(f"{folder} lacks or cannot read {error}", hint=_REBUILD) from error
        except KnowledgeError as error:
            raise KnowledgeError(f"{folder}: {error.message}", hint=error.hint) from error
        self.key_rows = self.array("key_rows.i")
        self.row_concepts = self.array("row_concepts.i")
        self.row_ranks = self.array("row_ranks.b")
        self.concept_keys = self.array("concept_keys.i")
        self.concept_types = self.array("concept_types.i")
        self._concept_starts, self._concepts = self.array("concepts.q"), self.array("concepts.B")
        #: The ids of all concepts and their cross-references, sorted.
        self.ids: Sequence[str] = Strings(self.array, "ids")
        self._id_concepts = self.array("id_concepts.i")
        self._lists = {
            name: (self.array(f"{name}_starts.i"), self.array(f"{name}.i"))
            for name in ("parents", "children")
        }
        self._aliases, self._keys = Strings(self.array, "aliases"), Strings(self.array, "keys")
        self.alias, self.key = self._aliases.__getitem__, self._keys.__getitem__
        # Of this store alone: a cache on the method would keep every store that was ever opened.
        self.concept = lru_cache(maxsize=4096)(self._concept)

    def array(self, file: str) -> memoryview:
        """Returns a file of the directory as numbers of the type that its suffix names."""
        return memoryview(self._maps[file]).cast(file.rpartition(".")[2])  # type: ignore[call-overload, no-any-return]

    @cached_property
    def trie(self) -> exact.Trie:
        numbers = {word: number for number, word in enumerate(Strings(self.array, "words"))}
        files = ("trie_roots.i", "trie_edges.q", "trie_nodes.i", "trie_ends.i")
        return exact.Trie(numbers, *map(self.array, files))

    def _concept(self, number: int) -> Concept:
        start, end = self._concept_starts[number], self._concept_starts[number + 1]
        try:
            return concept_codec.loads(self._concepts[start:end])
        except (ValueError, TypeError) as error:
            raise KnowledgeError(f"{self.folder / 'concepts.B'} is damaged", hint=_REBUILD) from error

    def number_of(self, id: str) -> int | None:
        """Returns the number of a concept by its own id, or else by one of its cross-references."""
        place = bisect_left(self.ids, id)
        return self._id_concepts[place] if place < len(self.ids) and self.ids[place] == id else None

    def parents(self, number: int) -> Sequence[int]:
        """Returns the numbers of the next broader concepts."""
        return self._list("parents", number)

    def children(self, number: int) -> Sequence[int]:
        """Returns the numbers of the next narrower concepts."""
        return self._list("children", number)

    def _list(self, name: str, number: int) -> Sequence[int]:
        starts, values = self._lists[name]
        return values[starts[number] : starts[number + 1]].tolist()

    def verify(self) -> None:
        """Raises KnowledgeError with the name of the first file that is not as it was written."""
        for name, file in self.manifest.files.items():
            try:
                digest = fingerprint.sha256(self.folder / name)
            except OSError as error:
                raise KnowledgeError(
                    f"cannot read {self.folder / name}: {error.strerror}", hint=_REBUILD
                ) from error
            if digest != file.sha256:
                raise KnowledgeError(
                    f"{self.folder / name} is damaged: its sha256 is not the manifest's", hint=_REBUILD
                )

    def close(self) -> None:
        """Lets go of the maps, which end with the last view of them."""
        # Not mmap.close(): it raises BufferError while an array, as that of an index in use, still looks on.
        self._maps = {}


def read_manifest(folder: Path) -> BaseManifest:
    """Reads the manifest of a knowledge base and compares it with the sizes of the files that are there."""
    path = folder / "manifest.json"
    try:
        table = json.loads(path.read_bytes())
        schema = table.get("schema")
    except FileNotFoundError as error:
        raise KnowledgeError(f"{folder} is no knowledge base: it has no manifest.json") from error
    except (OSError, ValueError, AttributeError) as error:
        raise KnowledgeError(f"cannot read {path}: {error}", hint=_REBUILD) from error
    if schema != SCHEMA:
        raise KnowledgeError(f"{folder} has schema {schema}, this version reads {SCHEMA}", hint=_REBUILD)
    try:
        table["sources"] = tuple(Source(**source) for source in table["sources"])
        table["prefixes"] = tuple(table["prefixes"])
        table["types"] = tuple(tuple(names) for names in table["types"])
        table["files"] = {name: StoredFile(**file) for name, file in table["files"].items()}
        manifest = BaseManifest(**table)
    except (KeyError, TypeError, AttributeError) as error:
        raise KnowledgeError(f"{path} is damaged: {error}", hint=_REBUILD) from error
    if manifest.byteorder != sys.byteorder:
        raise KnowledgeError(f"{folder} was built on a {manifest.byteorder}-endian machine", hint=_REBUILD)
    # Sizes only: digests of all files would take seconds, and `dirag kb info --check` is there for them.
    for name, file in manifest.files.items():
        _check_size(folder / name, file.size)
    return manifest


def _language(folder: Path, code: str) -> Language:
    try:
        return languages.language(code)
    except UsageError as error:
        raise KnowledgeError(f"{folder}: {error.message}", hint=error.hint) from error


def _check_size(path: Path, size: int) -> None:
    actual = path.stat().st_size if path.is_file() else None
    if actual != size:
        state = "is missing" if actual is None else f"has {actual:,} bytes, not {size:,}"
        raise KnowledgeError(f"{path} {state}", hint=_REBUILD)


def _map(path: Path) -> mmap.mmap | bytes:
    if not path.stat().st_size:
        return b""  # mmap refuses an empty file
    with path.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
