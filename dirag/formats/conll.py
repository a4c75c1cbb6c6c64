"""CoNLL and BIO columns: a token a line, its tag in one of the columns behind it.

Each sentence is a document, its text the tokens with one space between. Tags may be IO, IOB1, IOB2, BIOES
or BILOU, read as ``bio_tags.ANY_SCHEME``, or have the habits of ``bio_tags.reading_of``. Their column is the
one in which most of the first lines have a tag, the last of several. ``-DOCSTART-`` lines and comments are
skipped, and a first column of numbers. A tag that is none of these counts as O and is reported once a
sentence.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from dirag.data import Document, Issue
from dirag.formats.bio_tags import ANY_SCHEME, reading_of, to_entities
from dirag.formats.text import unreadable

_Line = tuple[int, bytes]
_NUMBER = re.compile(r"[0-9]{1,4}")
_FIRST = 2000  # lines by which columns are known


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which columns have the token and the tag, and how a tag is read; a tag at -1 is in the last one."""

    token: int
    tag: int
    read: Callable[[str], str]


def read(lines: Iterable[bytes], *, name: str, stem: str) -> Iterator[Document]:
    """Yields the sentences of a source, ``<stem>:1`` onwards."""
    rest = iter(lines)
    first = list(islice(rest, _FIRST))
    columns = _columns_of(first)
    for ordinal, block in enumerate(_blocks(chain(first, rest)), start=1):
        yield _sentence(block, columns, name=name, id=f"{stem}:{ordinal}")


def _columns_of(lines: list[bytes]) -> _Columns:
    rows = [_split(raw.decode("utf-8", "replace")) for block in _blocks(lines) for _, raw in block]
    width = Counter(map(len, rows)).most_common(1)[0][0] if rows else 1
    rows = [row for row in rows if len(row) == width]
    token = int(width > 2 and all(_NUMBER.fullmatch(row[0]) for row in rows))
    shares = {at: sum(ANY_SCHEME.has(row[at].strip()) for row in rows) for at in range(token + 1, width)}
    tag = max(shares, key=lambda at: (shares[at], at), default=-1)
    if not shares.get(tag) or tag == width - 1:
        tag = -1
    return _Columns(token, tag, reading_of({row[tag].strip() for row in rows if len(row) > 1}))


def _split(line: str) -> list[str]:
    """Returns the columns of a line; where there are tabs they alone part them: a token may hold a blank."""
    return line.split("\t") if "\t" in line else line.split()


def _blocks(lines: Iterable[bytes]) -> Iterator[list[_Line]]:
    block: list[_Line] = []
    for number, line in enumerate(lines, start=1):
        content = (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).rstrip(b"\r\n")
        # Decoded, as white space of Unicode is a blank line too.
        text = content.decode("utf-8", "replace")
        if text.strip() and not text.startswith("-DOCSTART-"):
            if not _is_comment(text):
                block.append((number, content))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _is_comment(line: str) -> bool:
    """Tells whether a line is a comment, and not a token that begins with its sign."""
    return line.startswith("#") and "\t" not in line and not ANY_SCHEME.has(line.split()[-1])


def _sentence(block: list[_Line], columns: _Columns, *, name: str, id: str) -> Document:
    tokens: list[str] = []
    tags: list[str] = []
    bad: list[int] = []
    for number, raw in block:
        try:
            cells = _split(raw.decode("utf-8"))
        except UnicodeDecodeError as error:
            detail = f"byte {error.start} of the line is not valid UTF-8"
            return unreadable(id, where=f"{name}:{number}", detail=detail, line=number)
        has_tag = len(cells) > max(columns.tag, columns.token + 1)
        tag = columns.read(cells[columns.tag].strip()) if has_tag else ""
        if not ANY_SCHEME.has(tag):
            bad.append(number)
            tag = "O"
        if token := cells[min(columns.token, len(cells) - 1)]:
            tokens.append(token)
            tags.append(tag)
    issues: tuple[Issue, ...] = ()
    if bad:
        where = "the last column" if columns.tag < 0 else f"column {columns.tag + 1}"
        detail = f"{len(bad)} of {len(block)} lines have no tag in {where}"
        issues = (Issue("unusable-label", f"{name}:{bad[0]}", detail),)
    spans, _ = ANY_SCHEME.spans(tags)  # refuses none: the tags of no scheme are O by now
    return Document(id, " ".join(tokens), tuple(to_entities(tokens, spans)), issues=issues)
