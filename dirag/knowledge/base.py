"""Opening a knowledge base: the default one, a built directory, or a vocabulary file.

What has to be built first is built once into the cache, under a name made from the sha256 of its
vocabularies, and opened from there ever after.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from dirag.data import Concept, Match
from dirag.encoders.opening import open_encoder
from dirag.errors import KnowledgeError
from dirag.files import artifacts, fingerprint, known, paths
from dirag.knowledge import merge as merging
from dirag.knowledge import sources
from dirag.knowledge.index import dense, encoding, initials
from dirag.knowledge.index.filtering import Filter
from dirag.knowledge.index.lookup import EVERY, Lookup
from dirag.knowledge.semantics import TypeMap, load_types
from dirag.knowledge.sources import detection
from dirag.knowledge.sources.reading import Choice, Rejected
from dirag.knowledge.store import store, writer

if TYPE_CHECKING:
    from dirag.data import Json

#: The vocabularies of the default knowledge base, names of ``kb/artifacts.toml``.
DEFAULT = ("icd10cm-2026", "hpo-2025-01-16")

#: Hits that are less probable are no links: a concept that is rather wrong than right is worse than none.
LINKED = 0.5


@dataclass(frozen=True, slots=True)
class VocabularySource:
    """A vocabulary file with the name under which its concepts go."""

    path: Path
    name: str
    licence: str = ""
    format: str | None = None


class KnowledgeBase:
    """An open knowledge base: ``index`` for everything in it, ``index_for`` for a part.

    ``encoder`` is needed only where the one that made the vectors is to be found elsewhere by now.
    """

    def __init__(
        self, folder: Path, *, types: TypeMap | None = None, encoder: str | None = None, offline: bool = False
    ) -> None:
        self._store = store.Store(folder)
        self.types = types or load_types()
        self.dense_info = dense.read_info(self.manifest.extra)
        self._encoder, self._offline = encoder, offline

    @property
    def manifest(self) -> store.BaseManifest:
        return self._store.manifest

    @cached_property
    def index(self) -> Lookup:
        return self.index_for()

    def index_for(
        self,
        entity_types: Iterable[str] | None = None,
        *,
        sources: Collection[str] | None = None,
        under: Collection[str] = (),
        matches: Collection[Match] = EVERY,
        threshold: float = 0.0,
    ) -> Lookup:
        """The index of some concepts: those that can be an entity of these types, from these vocabularies,
        below one of the concepts ``under``. ``matches`` are the searches to use; hits that are less probable
        than ``threshold`` are left out.
        """
        types = None
        if entity_types is not None:
            wanted = set(entity_types)
            kinds = {name for names in self.manifest.types for name in names}
            types = {name for name in kinds if wanted.intersection(self.types.entities((name,)))}
        return Lookup(
            self._store,
            only=Filter(types, sources, under),
            matches=matches,
            dense=self._open_dense if self.dense_info else None,
            threshold=threshold,
        )

    def linker_for(self, entity_types: Iterable[str]) -> Lookup:
        """Returns the index for links: of a mention it has no hit that is rather wrong than right."""
        return self.index_for(entity_types, threshold=LINKED)

    def id_of(self, id: str) -> str | None:
        """The id of the concept that has this one as its own or as another; None where there is none."""
        number = self._store.number_of(id)
        return None if number is None else self._store.concept(number).id

    def parents(self, concept: Concept) -> list[Concept]:
        """The next broader concepts of one of this base."""
        number = self._store.number_of(concept.id)
        return [] if number is None else [self._store.concept(n) for n in self._store.parents(number)]

    def verify(self) -> None:
        """Raises KnowledgeError where a file is not as it was written."""
        self._store.verify()

    def close(self) -> None:
        self._store.close()

    def _open_dense(self) -> dense.Dense:
        return self._dense

    @cached_property
    def _dense(self) -> dense.Dense:
        if self.dense_info is None:
            raise KnowledgeError(f"{self._store.folder} has no vectors", hint="build it with an encoder")
        embedder = open_encoder(self._encoder or self.dense_info.opened_as, offline=self._offline)
        return dense.open_index(self._store.folder, self.dense_info, embedder)


def open_default(*, offline: bool = False, progress: bool | None = None) -> KnowledgeBase:
    """The default knowledge base; its vocabularies are fetched and indexed on first use."""
    vocabularies = []
    for name in DEFAULT:
        path = artifacts.locate(name, offline=offline, progress=progress)
        vocabularies.append(VocabularySource(path, name, known.get(name).licence))
    return _cached(vocabularies, progress=progress)


def open_path(path: Path, *, progress: bool | None = None) -> KnowledgeBase:
    """A built knowledge base (a folder), or a vocabulary, which is built once into the cache."""
    if path.is_dir() and not detection.files(path):
        return KnowledgeBase(path)
    return _cached([VocabularySource(path, path.stem)], progress=progress)


def build(
    vocabularies: Sequence[VocabularySource],
    folder: Path,
    *,
    types: TypeMap | None = None,
    choice: Choice | None = None,
    merge: bool = False,
    encoder: str | None = None,
    budget: int = dense.BUDGET,
    offline: bool = False,
    command: str = "",
    progress: bool | None = None,
) -> store.BaseManifest:
    """Read vocabularies and write them as one knowledge base; rows left out are counted in its manifest.

    ``choice`` says what to take of each; ``merge`` makes one concept of those that refer to each other. With
    an ``encoder`` (a known name or a path) names are found by meaning too, in an index of ``budget`` bytes of
    memory. A build that is killed while it encodes goes on there when it is repeated.
    """
    types = types or load_types()
    counted: list[store.Source] = []
    embedder = None if encoder is None else open_encoder(encoder, offline=offline)

    def add(part: Path) -> Mapping[str, Json]:
        """What ``writer`` does not know of: initials, and the vectors of the first name of each key."""
        built = store.Store(part)
        for file, values in initials.build(map(built.key, range(built.manifest.keys))).items():
            (part / file).write_bytes(values.tobytes())
        if embedder is None or encoder is None:
            return {}
        vectors, order = encoding.encode(_FirstNames(built), embedder, folder, progress=progress)
        known_as = str(Path(encoder).resolve()) if Path(encoder).exists() else encoder
        info = dense.build(vectors, order, part, embedder=embedder, opened_as=known_as, budget=budget)
        return {"encoder": info.encoder, "dense": asdict(info)}

    choice = choice or Choice()
    options: dict[str, Json] = {"merge": merge, "encoder": encoder, "budget": budget if encoder else None}
    options |= {
        name: list(value) if isinstance(value, tuple) else value for name, value in asdict(choice).items()
    }
    parts = [_concepts(vocabulary, types, choice, counted) for vocabulary in vocabularies]
    concepts = merging.merged(parts, link=merge)
    writer.write(concepts, folder, sources=counted, options=options, command=command, extra=add)
    encoding.discard(folder)
    return store.read_manifest(folder)


class _FirstNames(Sequence[str]):
    """The first name of each key, read when it is asked for."""

    def __init__(self, built: store.Store) -> None:
        self._store = built

    def __len__(self) -> int:
        return self._store.manifest.keys

    def __getitem__(self, key: int) -> str:  # type: ignore[override]
        if not 0 <= key < len(self):
            raise IndexError(key)
        return self._store.alias(self._store.key_rows[key])


def _concepts(
    vocabulary: VocabularySource, types: TypeMap, choice: Choice, counted: list[store.Source]
) -> Iterator[Concept]:
    rejected, number = Rejected(), 0
    for concept in sources.read(
        vocabulary.path,
        source=vocabulary.name,
        types=types,
        rejected=rejected,
        format=vocabulary.format,
        choice=choice,
    ):
        number += 1
        yield concept
    entry = store.Source(vocabulary.name, _sha256(vocabulary.path), vocabulary.licence, number)
    counted.append(replace(entry, rejected=dict(rejected.counts), first_rejected=rejected.first))


def _cached(vocabularies: Sequence[VocabularySource], *, progress: bool | None) -> KnowledgeBase:
    types = load_types()
    identity = (store.SCHEMA, asdict(types), [(part.name, _sha256(part.path)) for part in vocabularies])
    key = hashlib.sha256(orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
    folder = paths.home() / "kb" / f"{'+'.join(part.name for part in vocabularies)[:80]}-{key}"
    try:
        return KnowledgeBase(folder, types=types)
    except KnowledgeError:
        pass  # absent, of another version, or damaged: built anew
    paths.private_folder("kb")
    begun = time.monotonic()
    manifest = build(vocabularies, folder, types=types)
    if progress is not False:
        _report(manifest, time.monotonic() - begun, folder)
    return KnowledgeBase(folder, types=types)


def _report(manifest: store.BaseManifest, seconds: float, folder: Path) -> None:
    counts = f"{manifest.names:,} names of {manifest.concepts:,} concepts"
    print(f"indexed {counts} in {seconds:.1f} s: {folder}", file=sys.stderr)
    for source in manifest.sources:
        for line in source.losses():
            print(line, file=sys.stderr)


def _sha256(path: Path) -> str:
    """The digest of a vocabulary: of its file, or of the digests of its files."""
    try:
        digests = [fingerprint.sha256(file) for file in detection.files(path)]
    except OSError as error:
        raise KnowledgeError(f"cannot read the vocabulary {path}: {error.strerror}") from error
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()
