"""Plain text: one file is one document, its text exactly as the bytes say.

Line ends, a byte order mark, NUL and trailing white space all stay, so that offsets fit the file.
Bytes that are not UTF-8 make the document unreadable; nothing is replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dirag.data import Document, Issue
from dirag.formats.streams import LARGEST, BrokenStreamError


def read(lines: Iterable[bytes], *, name: str, stem: str) -> Iterator[Document]:
    """Yields the one document of a source, whose lines are given with their line ends."""
    data = whole(lines)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        detail = f"byte {error.start} of the file is not valid UTF-8; --encoding names another encoding"
        yield unreadable(stem, where=f"{name}:{line}", detail=detail, line=line)
        return
    issues = () if text.strip() else (Issue("empty", name),)
    yield Document(stem, text, issues=issues)


def whole(lines: Iterable[bytes]) -> bytes:
    """Returns all bytes of a source; raises BrokenStreamError where they are more than any document has."""
    pieces, size = [], 0
    for line in lines:
        pieces.append(line)
        size += len(line)
        if size > LARGEST:
            raise BrokenStreamError(f"it is a document of more than {LARGEST:,} bytes")
    return b"".join(pieces)


def unreadable(id: str, *, where: str, detail: str, line: int | None = None) -> Document:
    """Returns what stands in for a record that could not be read; ``line`` is counted from 1."""
    return Document(
        id, "", meta={} if line is None else {"line": line}, issues=(Issue("unreadable", where, detail),)
    )
