"""Tables, CSV or TSV: a first row with names of columns, of which one is the text, then a document a row.

The delimiter is that by which the first row has the column of the text: a comma, semicolon, tab or bar. A
cell in quotation marks may hold line breaks. The column ``id`` is the id, all others but the text are in
``meta``. A row of another length than the first, or with bytes that are not UTF-8, costs that document.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import chain, count
from typing import TYPE_CHECKING

from dirag.data import Document
from dirag.formats import jsonl
from dirag.formats.shapes import BadRecordError
from dirag.formats.streams import LARGEST
from dirag.formats.text import unreadable

if TYPE_CHECKING:
    from dirag.data import Json

_DELIMITERS = (",", "\t", ";", "|")
#: What columns of texts are called; only these names are repeated in a message, as a first row may be a text.
_USUAL = ("text", "note", "note_text", "abstract", "body", "content", "sentence", "report", "transcription")


def delimiter_of(line: bytes, text_field: str) -> str | None:
    """Returns the delimiter of a table by its first line, None where no column there is the text's."""
    row = line.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    for delimiter in _DELIMITERS:
        cells = _row(csv.reader([row], delimiter=delimiter))
        names = _names(cells if isinstance(cells, list) else [], text_field)
        if len(names) > 1 and text_field in names:
            return delimiter
    return None


def read(lines: Iterable[bytes], *, name: str, stem: str, text_field: str = "text") -> Iterator[Document]:
    """Yields the rows of a source, each as soon as it is there; without a column of the text, one issue."""
    csv.field_size_limit(LARGEST)  # a note may be longer than the module's own limit
    rest = iter(lines)
    first = next(rest, b"").removeprefix(b"\xef\xbb\xbf")
    delimiter = delimiter_of(first, text_field) or ("\t" if b"\t" in first else ",")
    # What is not UTF-8 becomes lone surrogates, which cost the row that has them.
    texts = (line.decode("utf-8", "surrogateescape") for line in chain([first], rest))
    rows = csv.reader(texts, delimiter=delimiter)
    cells = _row(rows)
    names = _names(cells if isinstance(cells, list) else [], text_field)
    if text_field not in names:
        if first.strip():
            yield unreadable(stem, where=f"{name}:1", detail=_missing(names, text_field), line=1)
        return
    for ordinal in count(1):
        line, row = rows.line_num + 1, _row(rows)
        if row is None:
            return
        where, fallback = f"{name}:{line}", f"{stem}:{ordinal}"
        try:
            yield jsonl.document(_record(row, names), where=where, fallback=fallback, text_field=text_field)
        except BadRecordError as error:
            yield unreadable(fallback, where=where, detail=str(error), line=line)


def _row(rows: Iterator[list[str]]) -> list[str] | csv.Error | None:
    """Returns the next row that is not blank, or why it is none; None at the end."""
    try:
        return next((row for row in rows if row), None)
    except csv.Error as error:
        return error


def _record(row: list[str] | csv.Error, names: list[str]) -> Json:
    if isinstance(row, csv.Error):
        raise BadRecordError("the row has a line break outside quotation marks, or is too long")
    if len(row) != len(names):
        raise BadRecordError(f"{len(row)} cells in place of {len(names)}")
    try:
        "".join(row).encode()
    except UnicodeEncodeError:
        raise BadRecordError("a byte of the row is not valid UTF-8") from None
    return {name: cell for name, cell in zip(names, row, strict=True) if cell or name != "id"}


def _names(row: list[str], text_field: str) -> list[str]:
    """Returns names of columns, each once; that of the text and ``id`` are also known in capitals."""
    names: list[str] = []
    for number, name in enumerate((name.strip() for name in row), start=1):
        names.append(name if name and name not in names else f"{name or 'column'} {number}")
    for known in (text_field, "id"):
        places = [place for place, name in enumerate(names) if name.lower() == known.lower()]
        if known not in names and len(places) == 1:
            names[places[0]] = known
    return names


def _missing(names: list[str], text_field: str) -> str:
    likely = [name for name in names if name.lower() in _USUAL]
    hint = f", such as {likely[0]}" if likely else ""
    return f"no column {text_field!r} among the {len(names)} of the table; --text-field names another{hint}"
