"""A vocabulary of one's own: TSV or CSV with a header, or JSON Lines.

Columns: ``id`` and ``name``, and if wanted ``synonyms``, ``types`` and ``definition``. Several synonyms
or types are parted by ``|`` in TSV and CSV and are lists in JSON. Other columns are left aside; a file
without ``id`` and ``name`` is refused.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson

from dirag.data import Concept
from dirag.errors import KnowledgeError
from dirag.knowledge.semantics import TypeMap
from dirag.knowledge.sources import Rejected, clean


def read(path: Path, *, source: str, types: TypeMap, rejected: Rejected) -> Iterator[Concept]:
    del types  # a table names its semantic types itself
    rows = _json_rows(path, rejected) if path.suffix == ".jsonl" else _csv_rows(path, rejected)
    try:
        for line, row in rows:
            identifier, name = (" ".join(str(row.get(column) or "").split()) for column in ("id", "name"))
            if not identifier or not name:
                rejected.add("row without id or name", f"{path.name}:{line}")
                continue
            synonyms, kinds = _several(row.get("synonyms")), _several(row.get("types"))
            definition = str(row.get("definition") or "")
            yield Concept(identifier, name, clean(synonyms, name), clean(kinds, ""), definition, source)
    except (OSError, csv.Error) as error:
        raise KnowledgeError(f"cannot read the vocabulary {path}: {error}") from error


def _csv_rows(path: Path, rejected: Rejected) -> Iterator[tuple[int, Mapping[str, object]]]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        rows = csv.DictReader(stream, delimiter="," if path.suffix == ".csv" else "\t")
        missing = [column for column in ("id", "name") if column not in (rows.fieldnames or ())]
        if missing:
            raise KnowledgeError(
                f"{path}: the first line names no column {' and no column '.join(missing)}",
                hint="the columns are id, name, synonyms, types, definition",
            )
        for row in rows:
            if None in row:
                rejected.add("row with too many fields", f"{path.name}:{rows.line_num}")
            else:
                yield rows.line_num, row


def _json_rows(path: Path, rejected: Rejected) -> Iterator[tuple[int, Mapping[str, object]]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = orjson.loads(line)
            except ValueError:
                rejected.add("line that is not JSON", f"{path.name}:{number}")
                continue
            if isinstance(row, dict):
                yield number, row
            else:
                rejected.add("line that is no JSON object", f"{path.name}:{number}")


def _several(value: object) -> list[str]:
    if isinstance(value, list):
        return [str(part) for part in value]
    return str(value).split("|") if value else []
