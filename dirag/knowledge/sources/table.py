"""A vocabulary of one's own: TSV or CSV with a header, or JSON Lines.

Columns: ``id`` and ``name``, and if wanted ``synonyms``, ``types``, ``definition``, ``parents``, ``xrefs``.
Several values are parted by ``|`` in TSV and CSV and are lists in JSON. Other columns are left aside; a
file without ``id`` and ``name`` is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson

from dirag.data import Concept
from dirag.errors import KnowledgeError
from dirag.knowledge.sources.delimited import commas, tabs
from dirag.knowledge.sources.identifiers import curies
from dirag.knowledge.sources.opening import lines
from dirag.knowledge.sources.reading import Reading, Rejected, clean


def read(path: Path, reading: Reading) -> Iterator[Concept]:
    """Yields a concept for each row with an id and a name."""
    for where, row in _rows(path, reading.rejected):
        identifier, name = (" ".join(str(row.get(column) or "").split()) for column in ("id", "name"))
        if not identifier or not name:
            reading.rejected.add("row without id or name", where)
            continue
        yield Concept(
            identifier,
            name,
            clean(_several(row.get("synonyms")), name),
            clean(_several(row.get("types")), ""),
            str(row.get("definition") or ""),
            reading.source,
            clean(_several(row.get("parents")), identifier),
            curies(_several(row.get("xrefs")), reading.types.prefixes, own=identifier),
        )


def _rows(path: Path, rejected: Rejected) -> Iterator[tuple[str, Mapping[str, object]]]:
    _, first = next(lines(path, Rejected()))  # what is wrong is counted when the rows are read
    if first.startswith("{") or ".jsonl" in path.suffixes:
        return _json_rows(path, rejected)
    mark, rows = ("\t", tabs) if "\t" in first else (",", commas)
    columns = {column.strip().strip('"') for column in first.split(mark)}
    missing = [column for column in ("id", "name") if column not in columns]
    if missing:
        raise KnowledgeError(
            f"{path}: the first line names no column {' and no column '.join(missing)}",
            hint="the columns are id, name, synonyms, types, definition, parents, xrefs",
        )
    return rows(path, rejected)


def _json_rows(path: Path, rejected: Rejected) -> Iterator[tuple[str, Mapping[str, object]]]:
    for number, line in lines(path, rejected):
        where = f"{path.name}:{number}"
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except ValueError:
            rejected.add("line that is not JSON", where)
            continue
        if isinstance(row, dict):
            yield where, row
        else:
            rejected.add("line that is no JSON object", where)


def _several(value: object) -> list[str]:
    if isinstance(value, list):
        return [str(part) for part in value]
    return str(value).split("|") if value else []
