"""Opening a knowledge base: the default one, a built directory, or a vocabulary file.

What has to be built first is built once into the cache, under a name made from the sha256 of its
vocabularies, and opened from there ever after.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import orjson

from dirag import artifacts, resources
from dirag.data import Concept
from dirag.errors import KnowledgeError
from dirag.knowledge import sources, store, writer
from dirag.knowledge.lookup import Lookup
from dirag.knowledge.semantics import TypeMap, load_types

#: The vocabularies of the default knowledge base, names of ``kb/artifacts.toml``.
DEFAULT = ("icd10cm-2026", "hpo-2025-01-16")

#: Fuzzy hits below this score are no links: of the best hits above it four in five are right (NCBI-disease).
LINKED = 0.8


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A vocabulary file with the name under which its concepts go."""

    path: Path
    name: str
    licence: str = ""
    format: str | None = None


class KnowledgeBase:
    """An open knowledge base: ``index`` for everything in it, ``index_for`` for some entity types."""

    def __init__(self, folder: Path, *, types: TypeMap | None = None) -> None:
        self._store = store.Store(folder)
        self.types = types or load_types()

    @property
    def manifest(self) -> store.Manifest:
        return self._store.manifest

    @cached_property
    def index(self) -> Lookup:
        return Lookup(self._store)

    def index_for(self, entity_types: Iterable[str], *, threshold: float = LINKED) -> Lookup:
        """The index of those concepts only that can be an entity of these types, for links that hold."""
        wanted = set(entity_types)
        kinds = {name for names in self.manifest.types for name in names}
        return Lookup(
            self._store,
            types={name for name in kinds if wanted.intersection(self.types.entities((name,)))},
            threshold=threshold,
        )

    def close(self) -> None:
        self._store.close()


def open_default(*, offline: bool = False, progress: bool | None = None) -> KnowledgeBase:
    """The default knowledge base; its vocabularies are fetched and indexed on first use."""
    vocabularies = []
    for name in DEFAULT:
        path = artifacts.locate(name, offline=offline, progress=progress)
        vocabularies.append(Vocabulary(path, name, artifacts.get(name).licence))
    return _cached(vocabularies, progress=progress)


def open_path(path: Path, *, progress: bool | None = None) -> KnowledgeBase:
    """A built knowledge base (a folder), or a vocabulary file, which is built once into the cache."""
    if path.is_dir():
        return KnowledgeBase(path)
    return _cached([Vocabulary(path, path.stem)], progress=progress)


def build(
    vocabularies: Sequence[Vocabulary], folder: Path, *, types: TypeMap | None = None
) -> store.Manifest:
    """Read vocabularies and write them as one knowledge base; rows left out are counted in its manifest."""
    types = types or load_types()
    counted: list[store.Source] = []
    writer.write(_concepts(vocabularies, types, counted), folder, sources=counted)
    return store.read_manifest(folder)


def _concepts(
    vocabularies: Sequence[Vocabulary], types: TypeMap, counted: list[store.Source]
) -> Iterator[Concept]:
    for vocabulary in vocabularies:
        rejected, number = sources.Rejected(), 0
        for concept in sources.read(
            vocabulary.path, source=vocabulary.name, types=types, rejected=rejected, format=vocabulary.format
        ):
            number += 1
            yield concept
        entry = store.Source(vocabulary.name, _sha256(vocabulary.path), vocabulary.licence, number)
        counted.append(replace(entry, rejected=dict(rejected.counts), first_rejected=rejected.first))


def _cached(vocabularies: Sequence[Vocabulary], *, progress: bool | None) -> KnowledgeBase:
    types = load_types()
    identity = (store.SCHEMA, asdict(types), [(part.name, _sha256(part.path)) for part in vocabularies])
    key = hashlib.sha256(orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
    folder = resources.home() / "kb" / f"{'+'.join(part.name for part in vocabularies)[:80]}-{key}"
    try:
        return KnowledgeBase(folder, types=types)
    except KnowledgeError:
        pass  # absent, of another version, or damaged: built anew
    resources.private_folder("kb")
    begun = time.monotonic()
    manifest = build(vocabularies, folder, types=types)
    if progress is not False:
        _report(manifest, time.monotonic() - begun, folder)
    return KnowledgeBase(folder, types=types)


def _report(manifest: store.Manifest, seconds: float, folder: Path) -> None:
    counts = f"{manifest.names:,} names of {manifest.concepts:,} concepts"
    print(f"indexed {counts} in {seconds:.1f} s: {folder}", file=sys.stderr)
    for source in manifest.sources:
        for reason, number in source.rejected.items():
            first = source.first_rejected[reason]
            print(f"{source.name}: {number:,} x {reason}, first at {first}", file=sys.stderr)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise KnowledgeError(f"cannot read the vocabulary {path}: {error.strerror}") from error
