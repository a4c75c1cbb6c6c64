"""A corpus without official splits, with splits and dirag's names of types, for `dirag eval --dataset OUT`.

    python examples/split.py CORPUS OUT TYPES [TEST]

CORPUS is a path, or a name that dirag knows. Of its documents, in an order that their ids decide, 15% are for
testing and 10% for development; with TEST, a corpus that has a test split, that is for testing. Mentions of
other than TYPES, comma-separated, are left out, and of mentions that overlap the first and longest stays.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from dirag.corpora import datasets
from dirag.corpora.labels import type_of
from dirag.data import Document, Result
from dirag.formats import jsonl


def made(document: Document, types: Collection[str]) -> Result:
    entities, end = [], 0
    for entity in sorted(document.entities, key=lambda e: (e.start, -e.end)):
        if type_of(entity.type) in types and entity.start >= end:
            entities.append(replace(entity, type=type_of(entity.type)))
            end = entity.end
    return Result(replace(document, meta={}), tuple(entities))


def main(corpus: str, out: Path, types: Collection[str], test: str | None) -> None:
    results = [made(document, types) for document in datasets.load(corpus).documents]
    results.sort(key=lambda result: sha256(result.document.id.encode()).digest())
    first, second = (0, 0.1) if test else (0.15, 0.25)
    tested, developed = round(first * len(results)), round(second * len(results))
    tests = results[:tested]
    if test:
        tests = [made(document, types) for document in datasets.load(test).documents]
    out.mkdir(parents=True, exist_ok=True)
    for name, part in (("test", tests), ("devel", results[tested:developed]), ("train", results[developed:])):
        (out / f"{name}.jsonl").write_bytes(b"".join(map(jsonl.dumps, part)))
        print(f"{name}: {len(part)} documents, {sum(len(result.entities) for result in part)} entities")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3].split(","), sys.argv[4] if len(sys.argv) > 4 else None)
