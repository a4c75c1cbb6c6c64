"""Rows of TSV and CSV files by the names in their first line.

In TSV a tab or line feed always parts; quotes around a whole field are taken off. In CSV a quoted field
may hold both. Rows that do not fit are counted.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dirag.knowledge.sources.opening import lines
from dirag.knowledge.sources.reading import Rejected

Row = Mapping[str, str]


def tabs(path: Path, rejected: Rejected, header: Sequence[str] = ()) -> Iterator[tuple[str, Row]]:
    """Yields the rows of a TSV file with the place of each; ``header`` stands in for the first line."""
    columns: list[str] = []
    # Not csv with its dialect of tabs: one stray quote in a field would swallow the lines up to the next.
    for number, line in lines(path, rejected):
        fields = [_unquoted(part) for part in line.split("\t")]
        if number == 1:
            columns = list(header) or [column.strip() for column in fields]
        elif line.strip():
            row = _row(columns, fields, f"{path.name}:{number}", rejected)
            if row is not None:
                yield f"{path.name}:{number}", row


def commas(path: Path, rejected: Rejected) -> Iterator[tuple[str, Row]]:
    """Yields the rows of a CSV file with the place of each."""
    reader = csv.reader((f"{line}\n" for _, line in lines(path, rejected)), strict=True)
    columns: list[str] | None = None
    while True:
        first = reader.line_num + 1  # a record may reach over several lines
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            rejected.add(f"text that is no CSV ({error})", f"{path.name}:{first}-{reader.line_num}")
            continue
        if columns is None:
            columns = [column.strip() for column in fields]
        elif any(fields):
            row = _row(columns, fields, f"{path.name}:{first}", rejected)
            if row is not None:
                yield f"{path.name}:{first}", row


def _row(columns: Sequence[str], fields: Sequence[str], where: str, rejected: Rejected) -> Row | None:
    """Returns fields by column; the last ones may be missing, and a row with more than all is rejected."""
    if len(fields) > len(columns):
        rejected.add("row with too many fields", where)
        return None
    return dict(zip(columns, fields, strict=False))


def _unquoted(part: str) -> str:
    if len(part) > 1 and part[0] == part[-1] == '"':
        return part[1:-1].replace('""', '"')
    return part
