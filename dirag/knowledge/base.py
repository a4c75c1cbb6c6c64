"""Opening a knowledge base: the default one, a built directory, or a vocabulary file.

What has to be built first is built once into the cache, under a name made from the sha256 of its
vocabularies, and opened from there ever after.
"""

from __future__ import annotations

import gc
import hashlib
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from dirag.data import Concept, Match
from dirag.encoders.opening import open_encoder
from dirag.errors import KnowledgeError
from dirag.files import artifacts, fingerprint, known, paths
from dirag.knowledge import defaults, sources
from dirag.knowledge import merge as merging
from dirag.knowledge.index import codes, dense, encoding, initials
from dirag.knowledge.index.filtering import Filter
from dirag.knowledge.index.lookup import EVERY, LINKED, Lookup
from dirag.knowledge.semantics import TypeMap, load_types
from dirag.knowledge.sources import detection
from dirag.knowledge.sources.reading import Choice, Rejected
from dirag.knowledge.store import store, writer
from dirag.text.language import Language, english

if TYPE_CHECKING:
    from dirag.data import Json
    from dirag.protocols import Embedder


@dataclass(frozen=True)
class VocabularySource:
    """A vocabulary file with the name under which its concepts go.

    Only concepts that can be of one of ``entity_types`` are taken, and as these; all where there are none.
    ``names`` are further synonyms by the id of a concept, ``left_out`` ids that are not taken. ``digest`` is
    the sha256 where it is known already.
    """

    path: Path
    name: str
    licence: str = ""
    format: str | None = None
    entity_types: tuple[str, ...] = ()
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()
    digest: str = ""

    @cached_property
    def sha256(self) -> str:
        """Returns the digest of its file, or that of the digests of its files in their order."""
        if self.digest:
            return self.digest
        try:
            digests = [fingerprint.sha256(file) for file in detection.files(self.path)]
        except OSError as error:
            raise KnowledgeError(f"cannot read the vocabulary {self.path}: {error.strerror}") from error
        return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


class KnowledgeBase:
    """An open knowledge base: ``index`` for everything in it, ``index_for`` for a part.

    ``encoder`` is needed only where the one that made the vectors is to be found elsewhere by now, and
    ``language`` where that of the manifest has no file in the package.
    """

    def __init__(
        self,
        folder: Path,
        *,
        types: TypeMap | None = None,
        encoder: str | None = None,
        offline: bool = False,
        language: Language | None = None,
    ) -> None:
        self._store = store.Store(folder, language=language)
        self.types = types or load_types()
        self.dense_info = dense.read_info(self.manifest.extra)
        self._encoder, self._offline = encoder, offline

    @property
    def manifest(self) -> store.BaseManifest:
        return self._store.manifest

    @property
    def language(self) -> Language:
        """Returns the language of its names, by whose rules they are looked up."""
        return self._store.language

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
        preferred: Sequence[str] = (),
    ) -> Lookup:
        """Returns the index of some concepts: those that can be an entity of these types, from these
        vocabularies, below one of the concepts ``under``. ``matches`` are the searches to use; hits that are
        less probable than ``threshold`` are left out; ``preferred`` vocabularies are as ``Lookup`` has them.
        """
        types = None
        if entity_types is not None:
            names = {name for kind in self.manifest.types for name in kind}
            entities = set(entity_types)
            types = {name for name in names if entities.intersection(self.types.entities((name,)))}
        # The same arrays under another filter: an index of a part costs no more than the flags of its keys.
        return Lookup(
            self._store,
            only=Filter(types, sources, under),
            matches=matches,
            dense=self._open_dense if self.dense_info else None,
            threshold=threshold,
            preferred=preferred,
        )

    def linkers_for(self, entity_types: Iterable[str]) -> dict[str, Lookup]:
        """Returns for each of these types that the base covers the index for links of its entities.

        Of a mention it has no hit that is rather wrong than right.
        """
        preferred = defaults.read().entity_types
        return {
            type_: self.index_for((type_,), threshold=LINKED, preferred=preferred.get(type_, ()))
            for type_ in entity_types
            if type_ in self.entity_types
        }

    def evidence_for(self, entity_types: Iterable[str]) -> Lookup:
        """Returns the index of the names that are evidence beside a model: of the default vocabularies those
        to which the shipped weights are fitted, of others all.
        """
        every, given = [source.name for source in self.manifest.sources], defaults.read()
        wanted = [name for name in every if name in given.evidence or name not in given.vocabularies]
        return self.index_for(entity_types, sources=None if wanted == every else wanted)

    @cached_property
    def entity_types(self) -> tuple[str, ...]:
        """Returns the entity types that some of its concepts can be."""
        return tuple(sorted({name for kinds in self.manifest.types for name in self.types.entities(kinds)}))

    def id_of(self, id: str) -> str | None:
        """Returns the id of the concept that has this one as its own or as a cross-reference, else None."""
        number = self._store.number_of(id)
        return None if number is None else self._store.concept(number).id

    def concept(self, id: str) -> Concept:
        """Returns the concept of an id, in any case, with or without prefix, or of a code that is completed.

        Raises KnowledgeError, with the nearest ids, where there is none, and where there are several.
        """
        return codes.get(self._store, id)[1]

    def find(self, id: str, index: Lookup) -> list[Concept]:
        """Returns the concepts of an id as ``concept`` reads it, those that the index searches."""
        return [concept for number, concept in codes.find(self._store, id) if index.has(number)]

    def parents(self, concept: Concept) -> list[Concept]:
        """Returns the next broader concepts of one of this base."""
        number = self._store.number_of(concept.id)
        if number is None:  # a completed code
            return [self.concept(id) for id in concept.parents]
        return [self._store.concept(n) for n in self._store.parents(number)]

    def children(self, concept: Concept) -> list[Concept]:
        """Returns the next narrower concepts of one of this base, or the codes that complete it."""
        number = self._store.number_of(concept.id)
        return [] if number is None else codes.children(self._store, number)

    @property
    def digest(self) -> str:
        """Returns the sha256 of its content, the type map included."""
        files = (file.sha256.encode() for file in self.manifest.files.values())
        return fingerprint.of(*files, repr(self.types).encode())

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
        # Opened at the first search by meaning: it takes a third of a second, and exact matches need none.
        embedder = open_encoder(self._encoder or self.dense_info.opened_as, offline=self._offline)
        return dense.open_index(self._store.folder, self.dense_info, embedder)


def open_default(*, offline: bool = False, progress: bool | None = None) -> KnowledgeBase:
    """Opens the default knowledge base; its vocabularies are fetched and indexed on first use."""
    given = defaults.read()
    places = artifacts.pull_all(given.vocabularies, offline=offline, progress=progress)
    vocabularies = [
        VocabularySource(
            place,
            name,
            known.get(name).licence,
            entity_types=given.types_of(name),
            names=given.names,
            left_out=frozenset(given.left_out),
            digest=known.get(name).files[0].sha256,  # by which the file was checked when it was placed
        )
        for name, place in zip(given.vocabularies, places, strict=True)
    ]
    return _cached(vocabularies, progress=progress)


def open_path(path: Path, *, progress: bool | None = None) -> KnowledgeBase:
    """Opens a knowledge base (a folder), or a vocabulary, which is built once into the cache."""
    if path.is_dir() and not detection.files(path):
        return KnowledgeBase(path)
    return _cached([VocabularySource(path, path.stem)], progress=progress)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """What decides a knowledge base, beside its vocabularies and the type map.

    ``merge`` makes one concept of those that refer to each other. With an ``encoder`` (a known name or a
    path) names are found by meaning too, in an index of ``budget`` bytes of memory.
    """

    choice: Choice = field(default_factory=Choice)
    merge: bool = False
    encoder: str | None = None
    budget: int = dense.BUDGET

    def as_json(self) -> dict[str, Json]:
        """Returns the options as a manifest has them."""
        choice = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self.choice).items()}
        budget = self.budget if self.encoder else None
        return {"merge": self.merge, "encoder": self.encoder, "budget": budget, **choice}


def build(
    vocabularies: Sequence[VocabularySource],
    folder: Path,
    options: BuildOptions | None = None,
    *,
    types: TypeMap | None = None,
    offline: bool = False,
    command: str = "",
    progress: bool | None = None,
    language: Language | None = None,
) -> store.BaseManifest:
    """Reads vocabularies and writes them as one knowledge base; rows left out are counted in its manifest.

    A build that is killed while it encodes goes on there when it is repeated. Names are taken for English
    where no ``language`` is given.
    """
    options, types, language = options or BuildOptions(), types or load_types(), language or english()
    # Opened first, so that a wrong name is refused before a vocabulary is read for minutes.
    embedder = None if options.encoder is None else open_encoder(options.encoder, offline=offline)
    counts: list[store.Source] = []  # each vocabulary comes in when its last concept was read
    parts = [_concepts(vocabulary, types, options.choice, counts) for vocabulary in vocabularies]
    with _without_collector():
        writer.write(
            merging.merged(parts, link=options.merge),
            folder,
            sources=counts,
            options=options.as_json(),
            command=command,
            extra=partial(_add_indexes, folder, options, embedder, language, progress),
            language=language,
        )
    encoding.discard(folder)
    return store.read_manifest(folder)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Switches off the search for cyclic garbage: a tenth of a build went into it, and there is none."""
    # A caller may have switched it off for reasons of its own.
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _add_indexes(
    target: Path,
    options: BuildOptions,
    embedder: Embedder | None,
    language: Language,
    progress: bool | None,
    part: Path,
) -> Mapping[str, Json]:
    """Writes what needs the finished store ``part``: the index of initials, and that of vectors, if any.

    Vectors grow beside ``target``, the place of the base: ``part`` is lost when the build is killed.
    """
    names = store.Store(part, language=language)
    for file, values in initials.build(map(names.key, range(names.manifest.keys))).items():
        (part / file).write_bytes(values.tobytes())
    if embedder is None or options.encoder is None:
        return {}
    vectors, order = encoding.encode(_FirstNames(names), embedder, target, progress=progress)
    # A path is kept absolute: the base is opened from other folders than the one it was built from.
    path = Path(options.encoder)
    opened_as = str(path.resolve()) if path.exists() else options.encoder
    info = dense.build(vectors, order, part, embedder=embedder, opened_as=opened_as, budget=options.budget)
    return {"encoder": info.encoder, "dense": asdict(info)}


class _FirstNames(Sequence[str]):
    """The first name of each key, read on demand: a base may have millions of them."""

    def __init__(self, names: store.Store) -> None:
        self._store = names

    def __len__(self) -> int:
        return self._store.manifest.keys

    def __getitem__(self, key: int) -> str:  # type: ignore[override]
        if not 0 <= key < len(self):
            raise IndexError(key)
        return self._store.alias(self._store.key_rows[key])


def _concepts(
    vocabulary: VocabularySource, types: TypeMap, choice: Choice, counts: list[store.Source]
) -> Iterator[Concept]:
    """Yields the concepts of a vocabulary, and adds its record to ``counts`` behind the last of them."""
    rejected, number = Rejected(), 0
    for concept in sources.read(
        vocabulary.path,
        source=vocabulary.name,
        types=types,
        rejected=rejected,
        format=vocabulary.format,
        choice=choice,
    ):
        if given := _given(concept, vocabulary, types):
            number += 1
            yield given
    entry = store.Source(vocabulary.name, vocabulary.sha256, vocabulary.licence, number)
    counts.append(replace(entry, rejected=dict(rejected.counts), first_rejected=rejected.first))


def _given(concept: Concept, vocabulary: VocabularySource, types: TypeMap) -> Concept | None:
    """Returns a concept as its vocabulary gives it, with its further names; None where it is not taken."""
    if concept.id in vocabulary.left_out:
        return None
    kinds = concept.semantic_types
    if vocabulary.entity_types:
        wanted = set(vocabulary.entity_types)
        kinds = tuple(kind for kind in kinds if wanted.intersection(types.entities((kind,))))
        if not kinds:
            return None
    more = vocabulary.names.get(concept.id, ())
    # Most are as they were read, and replace() takes a tenth of the reading.
    if kinds == concept.semantic_types and not more:
        return concept
    return replace(concept, semantic_types=kinds, synonyms=(*concept.synonyms, *more))


def _cached(vocabularies: Sequence[VocabularySource], *, progress: bool | None) -> KnowledgeBase:
    types = load_types()
    # Not the name of the file but its content, and the type map: a base made with other types is another one.
    identity = (store.SCHEMA, asdict(types), [_identity(part) for part in vocabularies])
    key = hashlib.sha256(orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
    folder = paths.home() / "kb" / f"{'+'.join(part.name for part in vocabularies)[:80]}-{key}"
    try:
        return KnowledgeBase(folder, types=types)
    except KnowledgeError:
        pass  # absent, of another version, or damaged: it is built anew
    paths.private_folder("kb")
    begun = time.monotonic()
    # Two processes may build at once: each writes a folder of its own, which one rename puts in place.
    manifest = build(vocabularies, folder, types=types)
    if progress is not False:
        _report(manifest, time.monotonic() - begun, folder)
    return KnowledgeBase(folder, types=types)


def _identity(vocabulary: VocabularySource) -> tuple[object, ...]:
    """Returns what decides the concepts of a vocabulary, beside the type map."""
    choice = vocabulary.entity_types, vocabulary.names, sorted(vocabulary.left_out)
    return vocabulary.name, vocabulary.sha256, choice


def _report(manifest: store.BaseManifest, seconds: float, folder: Path) -> None:
    counts = f"{manifest.names:,} names of {manifest.concepts:,} concepts"
    print(f"indexed {counts} in {seconds:.1f} s: {folder}", file=sys.stderr)
    for source in manifest.sources:
        for line in source.losses():
            print(line, file=sys.stderr)
