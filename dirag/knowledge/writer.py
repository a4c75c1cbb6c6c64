"""Writes a knowledge base: concepts in, a directory out, in one go or not at all.

Every name and every variant of it becomes a row under its key; the rows of a key are sorted with the
preferred names first, in the order of the vocabularies.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

import orjson

from dirag.data import Concept
from dirag.errors import KnowledgeError
from dirag.knowledge import exact, fuzzy, normalise
from dirag.knowledge.store import SCHEMA, Manifest, Source

NAME, SYNONYM, VARIANT = range(3)
_STALE = 3600.0  # seconds

_Row = tuple[tuple[str, ...], int, int, str]  # key, rank, concept, alias


def write(concepts: Iterable[Concept], folder: Path, *, sources: Iterable[Source] = ()) -> None:
    """Write a knowledge base; ``sources`` is read after the last concept, so that it can hold counts.

    A knowledge base that stands there already is replaced; anything else is refused.
    """
    if folder.exists() and not (folder / "manifest.json").is_file():
        raise KnowledgeError(f"{folder} exists and is no knowledge base", hint="name a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.part-", dir=folder.parent))
    try:
        manifest = _write(concepts, part, sources)
        (part / "manifest.json").write_text(json.dumps(asdict(manifest), indent=1) + "\n", "utf-8")
        _place(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what a killed build left; a young folder may belong to a build that runs now."""
    for leftover in folder.parent.glob(f".{folder.name}.part-*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - leftover.stat().st_mtime > _STALE:
                shutil.rmtree(leftover, ignore_errors=True)


def _place(part: Path, folder: Path) -> None:
    for path in (*part.iterdir(), part):
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
    old = part.with_name(part.name + ".old")
    with contextlib.suppress(FileNotFoundError):
        folder.replace(old)
    try:
        part.rename(folder)
    except OSError:
        if not (folder / "manifest.json").is_file():  # else another build of the same came first
            raise
    shutil.rmtree(old, ignore_errors=True)


def _write(concepts: Iterable[Concept], folder: Path, sources: Iterable[Source]) -> Manifest:
    rows: list[_Row] = []
    kinds: dict[tuple[str, ...], int] = {}
    concept_types = array("i")
    with _Strings(folder, "concepts") as blob:
        for number, concept in enumerate(concepts):
            blob.add(orjson.dumps(_fields(concept)))
            concept_types.append(kinds.setdefault(concept.semantic_types, len(kinds)))
            rows.extend(_rows(number, concept))
    if not rows:
        raise KnowledgeError("the vocabulary holds no concept that can be used")
    rows.sort()
    grouped = [(key, _distinct(group)) for key, group in groupby(rows, key=lambda row: row[0])]
    _array(folder, "concept_types", concept_types)
    names = _write_names(folder, grouped)
    _write_indexes(folder, [key for key, _ in grouped])
    files = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    return Manifest(
        SCHEMA, sys.byteorder, tuple(sources), len(concept_types), names, len(grouped), tuple(kinds), files
    )


def _fields(concept: Concept) -> Sequence[str | tuple[str, ...]]:
    return (
        concept.id,
        concept.name,
        concept.synonyms,
        concept.semantic_types,
        concept.definition,
        concept.source,
        concept.parents,
        concept.xrefs,
    )


def _rows(number: int, concept: Concept) -> Iterable[_Row]:
    for name in (concept.name, *concept.synonyms):
        yield normalise.key(name), NAME if name == concept.name else SYNONYM, number, name
        for variant in normalise.variants(name):
            yield normalise.key(variant), VARIANT, number, variant


def _distinct(rows: Iterable[_Row]) -> list[_Row]:
    """One row a concept and key, but each spelling where case tells names apart."""
    kept: dict[tuple[int, str], _Row] = {}
    for row in rows:
        kept.setdefault((row[2], row[3] if normalise.is_acronym(row[3]) else ""), row)
    return list(kept.values())


def _write_names(folder: Path, grouped: Sequence[tuple[tuple[str, ...], Sequence[_Row]]]) -> int:
    row_concepts, row_ranks, key_rows = array("i"), array("b"), array("i", [0])
    with _Strings(folder, "keys") as keys, _Strings(folder, "aliases") as aliases:
        for key, rows in grouped:
            keys.add(" ".join(key).encode("utf-8"))
            for _, rank, concept, alias in rows:
                row_concepts.append(concept)
                row_ranks.append(rank)
                aliases.add(alias.encode("utf-8"))
            key_rows.append(len(row_concepts))
    for name, values in (("row_concepts", row_concepts), ("row_ranks", row_ranks), ("key_rows", key_rows)):
        _array(folder, name, values)
    return len(row_concepts)


def _write_indexes(folder: Path, keys: Sequence[tuple[str, ...]]) -> None:
    words, arrays = exact.build(keys)
    (folder / "words.txt").write_bytes("\n".join(words).encode("utf-8"))
    for name, values in arrays.items():
        _array(folder, name, values)
    fuzzy.build([" ".join(key) for key in keys]).save(folder)


def _array(folder: Path, name: str, values: array[int]) -> None:
    (folder / f"{name}.{values.typecode}").write_bytes(values.tobytes())


class _Strings:
    """Writes byte strings one after the other, with the offset of each in an array beside them."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._stream = (folder / f"{name}.bin").open("wb")
        self._offsets = array("q", [0])

    def __enter__(self) -> _Strings:
        return self

    def add(self, value: bytes) -> None:
        self._stream.write(value)
        self._offsets.append(self._offsets[-1] + len(value))

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        _array(self._folder, self._name, self._offsets)
