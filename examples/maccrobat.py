"""The case reports of MACCROBAT with splits and dirag's names of types, for `dirag eval --dataset OUT`.

    python examples/maccrobat.py FOLDER OUT

FOLDER holds the BRAT files of MACCROBAT 2020. The corpus has no official splits: of its documents, in an
order that their ids decide, 15% are for testing and 10% for development. Types without a name below are left
out, and of mentions that overlap the first and longest stays.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from dirag import formats
from dirag.data import Document, Result
from dirag.formats import jsonl

TYPES = {
    "Disease_disorder": "disease",
    "Sign_symptom": "symptom",
    "Medication": "chemical",
    "Therapeutic_procedure": "procedure",
    "Diagnostic_procedure": "test",
    "Biological_structure": "anatomy",
}


def made(document: Document) -> Result:
    entities, end = [], 0
    for entity in sorted(document.entities, key=lambda e: (e.start, -e.end)):
        if entity.type in TYPES and entity.start >= end:
            entities.append(replace(entity, type=TYPES[entity.type]))
            end = entity.end
    return Result(replace(document, meta={}), tuple(entities))


def main(folder: str, out: Path) -> None:
    results = [made(document) for document in formats.read([folder])]
    results.sort(key=lambda result: sha256(result.document.id.encode()).digest())
    test, devel = (round(share * len(results)) for share in (0.15, 0.25))
    out.mkdir(parents=True, exist_ok=True)
    for name, part in (("test", results[:test]), ("devel", results[test:devel]), ("train", results[devel:])):
        (out / f"{name}.jsonl").write_bytes(b"".join(map(jsonl.dumps, part)))
        print(f"{name}: {len(part)} documents, {sum(len(result.entities) for result in part)} entities")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
