"""i2b2 concept files, as of the 2010 challenge: a ``.con`` for each ``.txt``, spans by line and token.

A label reads ``c="chest pain" 12:3 12:4||t="problem"``: lines are counted from 1, tokens, which stand between
white space, from 0. The text lies beside its ``.con``, or where the release has it. A label whose text does
not stand at its place is left out and reported. Without a ``.con`` the document has no entities.
"""

from __future__ import annotations

import re
from pathlib import Path

from dirag.data import Document, Entity
from dirag.formats import standoff, streams
from dirag.formats import text as plain

_LABEL = re.compile(r'c="(.*)" ([0-9]{1,9}):([0-9]{1,9}) ([0-9]{1,9}):([0-9]{1,9})\|\|t="([^"]+)"')
_TOKEN = re.compile(r"\S+")
#: Where the texts lie, from the folder of the labels: beside them, and in the releases of 2010.
_PLACES = (".", "../txt", "../../test_data")


def text_of(labels: Path) -> Path | None:
    """Returns the ``.txt`` of a ``.con``, if there is one."""
    candidates = (standoff.beside(labels.parent / place / labels.name, ".txt") for place in _PLACES)
    return next((path for path in candidates if path.is_file()), None)


def read_pair(path: Path, *, name: str, stem: str, encoding: str | None = None) -> Document:
    """Returns the document of a ``.con``, or of a ``.txt`` by itself. Raises OSError."""
    has_labels = streams.bare(path.name).lower().endswith(".con")
    source = text_of(path) if has_labels else path
    if source is None:
        return plain.unreadable(stem, where=name, detail="no .txt file for the .con file")
    with streams.open_file(source, encoding) as lines:
        text_name = str(Path(name).parent / source.relative_to(path.parent))
        (document,) = plain.read(lines, name=text_name, stem=stem)
    if not has_labels:
        return document
    tokens = _tokens(document.text)
    return standoff.labelled(
        document,
        path,
        name=name,
        encoding=encoding,
        is_label=lambda line: bool(line.strip()),
        read=lambda line: _label(line.strip(), document.text, tokens),
    )


def _tokens(text: str) -> list[list[tuple[int, int]]]:
    """Returns start and end of each token, by line; the first is line 1."""
    at = 0
    lines: list[list[tuple[int, int]]] = [[]]
    # Not splitlines, for which a form feed in a note would be a line end, and every number behind it off.
    for line in text.split("\n"):
        lines.append([(at + token.start(), at + token.end()) for token in _TOKEN.finditer(line)])
        at += len(line) + 1
    return lines


def _label(line: str, text: str, tokens: list[list[tuple[int, int]]]) -> Entity | str:
    """Returns the entity of a line, or what is wrong with it."""
    label = _LABEL.fullmatch(line)
    if not label:
        return "it is not text, first and last token, and type"
    row, first, last_row, last = (int(label[n]) for n in range(2, 6))
    try:
        start, end = tokens[row][first][0], tokens[last_row][last][1]
    except IndexError:
        return f"its tokens {row}:{first} to {last_row}:{last} are not in the text"
    covered = text[start:end]
    if covered.lower().split() != label[1].lower().split():
        return f"its text does not stand at its tokens {row}:{first} to {last_row}:{last}"
    return Entity(start, end, label[6], covered)
