"""BRAT standoff: a ``.txt`` and the ``.ann`` beside it, of which the text-bound lines (T) are read.

Events, relations, attributes and notes are left out. A span in parts with nothing but white space between, as
BRAT has it where a line ends, is one span. Any other discontinuous one has no place in a model of half-open
spans: it is left out and reported, as is a label whose text does not stand at its offsets. Without an
``.ann`` the document has no entities; without a ``.txt`` it is unreadable.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

from dirag.data import Document, Entity
from dirag.formats import standoff, streams
from dirag.formats import text as plain

_SPAN = re.compile(r"(\S+) ([0-9]{1,9} [0-9]{1,9}(?:;[0-9]{1,9} [0-9]{1,9})*)")


def text_of(labels: Path) -> Path:
    """Returns the ``.txt`` of an ``.ann``."""
    return standoff.beside(labels, ".txt")


def read_pair(path: Path, *, name: str, stem: str, encoding: str | None = None) -> Document:
    """Returns the document of a pair, of which ``path`` names either file. Raises OSError."""
    source, labels = text_of(path), standoff.beside(path, ".ann")
    if not source.exists():
        return plain.unreadable(stem, where=name, detail="no .txt file beside the .ann file")
    with streams.open_file(source, encoding) as lines:
        (document,) = plain.read(lines, name=str(Path(name).with_name(source.name)), stem=stem)
    if not labels.exists():
        return document
    return standoff.labelled(
        document,
        labels,
        name=str(Path(name).with_name(labels.name)),
        encoding=encoding,
        is_label=lambda line: line.startswith(b"T"),
        read=lambda line: _label(line, document.text),
    )


def _label(line: str, text: str) -> Entity | str:
    """Returns the entity of a text-bound line, or what is wrong with it."""
    columns = line.split("\t", 2)
    if len(columns) < 3:
        return f"{len(columns)} columns in place of 3"
    span = _SPAN.fullmatch(columns[1])
    if not span:
        return "its second column is not type, start and end"
    parts = [(int(start), int(end)) for start, end in (part.split() for part in span[2].split(";"))]
    start, end = parts[0][0], parts[-1][1]
    if not all(0 <= first < last <= len(text) for first, last in parts):
        return f"its offsets {span[2]} do not lie in the text"
    if not all(last <= first and not text[last:first].strip() for (_, last), (first, _) in pairwise(parts)):
        return "its span is discontinuous"
    covered = text[start:end]
    # BRAT writes a line break inside a span as a space.
    if covered.split() != columns[2].split():
        return f"its text does not stand at its offsets {span[2]}"
    return Entity(start, end, span[1], covered)
