"""Writes a knowledge base: concepts in, a directory out, in one go or not at all.

Every name and every variant of it becomes a row under its key; the rows of a key are sorted with the
preferred names first, in the order of the vocabularies. Rows are sorted on disk, so memory grows with the
arrays of the index only.
"""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

from dirag.data import Concept, Json
from dirag.errors import KnowledgeError
from dirag.files import atomic, fingerprint
from dirag.knowledge.index import exact, fuzzy, lists, word_index
from dirag.knowledge.store import concept_codec
from dirag.knowledge.store.files import StringsWriter, write_array
from dirag.knowledge.store.sorting import Sorter
from dirag.knowledge.store.store import SCHEMA, BaseManifest, Source, StoredFile
from dirag.text import normalise
from dirag.text.language import Language, english
from dirag.text.normalise import Normaliser

NAME, SYNONYM, VARIANT = range(3)

_Key: TypeAlias = Sequence[str]
_Row: TypeAlias = tuple[_Key, int, int, str]  # key, rank, concept, alias


def write(
    concepts: Iterable[Concept],
    folder: Path,
    *,
    sources: Iterable[Source] = (),
    options: Mapping[str, Json] | None = None,
    command: str = "",
    extra: Callable[[Path], Mapping[str, Json]] | None = None,
    language: Language | None = None,
) -> None:
    """Writes a knowledge base; ``sources`` is read after the last concept, so that it can hold counts.

    A knowledge base that stands there already is replaced; anything else is refused. ``options`` and
    ``command`` go into the manifest as they are. ``extra`` gets the finished folder before it is put in its
    place: a ``Store`` can be opened there, and files that it adds become part of the knowledge base. What it
    returns is the manifest's ``extra``, and of that ``encoder`` names the encoder. Names become keys by the
    rules of ``language``, English where none is given.
    """
    if folder.exists() and not (folder / "manifest.json").is_file():
        raise KnowledgeError(f"{folder} exists and is no knowledge base", hint="name a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with atomic.new_folder(folder, private=True) as part:
        manifest = _write(concepts, part, sources, language or english())
        manifest = replace(manifest, options=options or {}, command=command)
        _write_manifest(part, manifest)
        # Twice: ``extra`` opens the folder as a store, which needs a manifest, and then adds files to it.
        if extra is not None:
            details = extra(part)
            encoder = details.get("encoder")
            _write_manifest(
                part,
                replace(manifest, extra=details, encoder=None if encoder is None else str(encoder)),
            )


def _write_manifest(folder: Path, manifest: BaseManifest) -> None:
    """Writes the manifest with the sizes and digests of the other files, of which those it has stay."""
    paths = [path for path in sorted(folder.iterdir()) if path.name != "manifest.json"]
    files = {
        path.name: manifest.files.get(path.name) or StoredFile(path.stat().st_size, fingerprint.sha256(path))
        for path in paths
    }
    table = asdict(replace(manifest, files=files))
    (folder / "manifest.json").write_text(json.dumps(table, indent=1) + "\n", "utf-8")


def _write(
    concepts: Iterable[Concept], folder: Path, sources: Iterable[Source], language: Language
) -> BaseManifest:
    normaliser = normalise.normaliser(language)
    kinds: dict[tuple[str, ...], int] = {}
    concept_types, prefixes = array("i"), set[str]()
    with ExitStack() as stack:
        rows: Sorter[_Row] = stack.enter_context(Sorter(folder))
        ids: Sorter[tuple[str, bool, int]] = stack.enter_context(Sorter(folder))
        parents: Sorter[tuple[str, int]] = stack.enter_context(Sorter(folder))
        with StringsWriter(folder, "concepts") as blob:
            for number, concept in enumerate(concepts):
                blob.add(concept_codec.dumps(concept))
                concept_types.append(kinds.setdefault(concept.semantic_types, len(kinds)))
                for row in _rows(number, concept, normaliser):
                    rows.add(row)
                ids.add((concept.id, False, number))
                prefixes.add(concept.id.rpartition(":")[0])
                for id in concept.xrefs:
                    ids.add((id, True, number))
                for id in concept.parents:
                    parents.add((id, number))
        if not concept_types:
            raise KnowledgeError("the vocabulary holds no concept that can be used")
        write_array(folder, "concept_types.i", concept_types)
        unknown = _write_hierarchy(folder, ids, parents, len(concept_types))
        names, keys = _write_names(folder, rows, len(concept_types))
    return BaseManifest(
        schema=SCHEMA,
        version=fingerprint.version(),
        byteorder=sys.byteorder,
        sources=tuple(sources),
        concepts=len(concept_types),
        names=names,
        keys=keys,
        unknown_parents=unknown,
        types=tuple(kinds),
        prefixes=tuple(sorted(prefixes - {""})),
        language=language.code,
    )


def _rows(number: int, concept: Concept, normaliser: Normaliser) -> Iterator[_Row]:
    """Yields every name of a concept and every variant of it, with its key."""
    for name in (concept.name, *concept.synonyms):
        yield normaliser.key(name), NAME if name == concept.name else SYNONYM, number, name
        for variant in normaliser.variants(name):
            yield normaliser.key(variant), VARIANT, number, variant


def _distinct(rows: Iterable[_Row]) -> Iterable[_Row]:
    """Returns one row a concept and key, but each spelling where case tells names apart."""
    # Rows come by rank, so that of a concept's names with this key the best one stays.
    first: dict[tuple[int, str], _Row] = {}
    for row in rows:
        first.setdefault((row[2], row[3] if normalise.is_acronym(row[3]) else ""), row)
    return first.values()


def _write_hierarchy(
    folder: Path, ids: Iterable[tuple[str, bool, int]], parents: Iterable[tuple[str, int]], concepts: int
) -> int:
    """Writes ids, parents and children; returns the number of references to parents that are not there."""
    import numpy as np

    # Ids and parents are sorted by the same strings and may outgrow memory: they are merged side by side.
    unknown, pairs, id_concepts = 0, array("q"), array("i")
    waiting = iter(parents)
    parent = next(waiting, None)
    with StringsWriter(folder, "ids") as strings:
        for identifier, group in groupby(ids, key=lambda row: row[0]):
            number = next(group)[2]  # False before True: a concept's own id before another's cross-reference
            strings.add(identifier.encode("utf-8"))
            id_concepts.append(number)
            while parent is not None and parent[0] <= identifier:
                if parent[0] == identifier:
                    pairs.append(parent[1] << 32 | number)
                else:
                    unknown += 1
                parent = next(waiting, None)
    unknown += (parent is not None) + sum(1 for _ in waiting)
    write_array(folder, "id_concepts.i", id_concepts)
    # unique(): a concept may name one parent by two ids.
    links = np.unique(np.asarray(pairs))
    below, above = links >> 32, links & 0xFFFFFFFF
    for name, groups, members in (("parents", below, above), ("children", above, below)):
        members_of = lists.group(groups, members, concepts)
        write_array(folder, f"{name}_starts.i", members_of.starts)
        write_array(folder, f"{name}.i", members_of.values)
    return unknown


def _write_names(folder: Path, rows: Iterable[_Row], concepts: int) -> tuple[int, int]:
    """Writes keys, names and every index over them; returns the numbers of names and of keys."""
    row_concepts, row_ranks, key_rows = array("i"), array("b"), array("i", [0])
    concept_keys = array("i", [0]) * concepts  # of preferred names
    numbers: dict[str, int] = {}  # of words, in the order of their first key
    starts, words = array("i", [0]), array("i")
    with StringsWriter(folder, "keys") as keys, StringsWriter(folder, "aliases") as aliases:
        for key, group in groupby(rows, key=lambda row: row[0]):
            keys.add(" ".join(key).encode("utf-8"))
            words.extend(numbers.setdefault(word, len(numbers)) for word in key)
            starts.append(len(words))
            for _, rank, concept, alias in _distinct(group):
                row_concepts.append(concept)
                row_ranks.append(rank)
                if rank == NAME:
                    concept_keys[concept] = len(key_rows) - 1
                aliases.add(alias.encode("utf-8"))
            key_rows.append(len(row_concepts))
    write_array(folder, "row_concepts.i", row_concepts)
    write_array(folder, "row_ranks.b", row_ranks)
    write_array(folder, "key_rows.i", key_rows)
    write_array(folder, "concept_keys.i", concept_keys)
    _write_indexes(folder, numbers, starts, words)
    return len(row_concepts), len(key_rows) - 1


def _write_indexes(folder: Path, numbers: dict[str, int], starts: array[int], words: array[int]) -> None:
    """Numbers the words by their order and writes what is built over them."""
    import numpy as np

    # Words must be sorted to be searched by halves, and are known only now: the keys get their new numbers.
    vocabulary = sorted(numbers)
    with StringsWriter(folder, "words") as strings:
        for word in vocabulary:
            strings.add(word.encode("utf-8"))
    places = np.empty(len(numbers), np.int32)
    places[np.fromiter((numbers[word] for word in vocabulary), np.int32)] = np.arange(len(numbers))
    contents = places[np.asarray(words)]
    size = len(vocabulary)
    for arrays in (
        word_index.build(vocabulary),
        exact.build(starts, array("i", contents.tobytes()), vocabulary=size),
        fuzzy.build(np.asarray(starts), contents, vocabulary=size),
    ):
        for file, values in arrays.items():
            write_array(folder, file, values)
