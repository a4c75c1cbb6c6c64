"""JSON that is not one record a line: indented objects, one after the other, and arrays of records.

Each record is cut out by its brackets and parsed by itself, so that what is broken costs that record, and
memory holds one. An object that is a container (``documents``, ``data``, ``annotations`` …) is its records.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import count

from dirag.data import Document
from dirag.formats import jsonl, shapes
from dirag.formats.streams import LARGEST, BrokenStreamError
from dirag.formats.text import unreadable

# A string with its second quotation mark, if that is there, or a sign that parts values.
_SIGN = re.compile(rb'"(?:[^"\\]++|\\.)*+("?)|[\[\]{},]', re.DOTALL)


def read(lines: Iterable[bytes], *, name: str, stem: str, text_field: str = "text") -> Iterator[Document]:
    """Yields the records of a source, whose ids are numbered from 1 where they give none."""
    numbers = count(1)
    for line, value in values(lines):
        where = f"{name}:{line}"
        try:
            whole = jsonl.parse(value, of="record")
        except shapes.BadRecordError as error:
            yield unreadable(f"{stem}:{next(numbers)}", where=where, detail=str(error), line=line)
            continue
        for record in shapes.records(whole, text_field):
            fallback = f"{stem}:{next(numbers)}"
            try:
                yield jsonl.document(record, where=where, fallback=fallback, text_field=text_field)
            except shapes.BadRecordError as error:
                yield unreadable(fallback, where=where, detail=str(error), line=line)


def values(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yields each value with the number of its first line, from 1; for an array, the values in it.

    What stands where no value may is one too. Raises BrokenStreamError where an array is not closed.
    """
    buffer, depth, base = _Buffer(lines), 0, 0  # values lie at the depth `base`
    while sign := buffer.next_sign():
        mark, pieces = sign[0][:1], []
        if mark == b"," and depth == base:
            pieces, _ = [buffer.take(sign.start())], buffer.take(sign.end())
        elif mark in b"{[":
            if depth == base:
                pieces = [buffer.take(sign.start())]
            if depth == 0 and mark == b"[":
                base, _ = 1, buffer.take(sign.end())
            depth += 1
        elif mark in b"}]":
            depth -= 1
            if depth < base and mark == b"]":
                pieces, _ = [buffer.take(sign.start())], buffer.take(sign.end())
                base = 0
            elif depth <= base:
                pieces = [buffer.take(sign.end())]
            depth = max(depth, base)  # where one closes that was not opened
        yield from (piece for piece in pieces if piece[1])
    piece = buffer.take(None)
    if piece[1]:
        yield piece
    elif base:
        raise BrokenStreamError("it is cut off: its array has no end")


class _Buffer:
    """As much of a stream as the value at hand takes."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = iter(lines)
        self._data = next(self._lines, b"").removeprefix(b"\xef\xbb\xbf")
        self._begin = self._at = 0  # what is not taken, and what is not searched, begins here
        self._line = 1

    def next_sign(self) -> re.Match[bytes] | None:
        """Returns the next string or sign, None at the end."""
        while True:
            sign = _SIGN.search(self._data, self._at)
            if sign and (sign[0][:1] != b'"' or sign[1]):
                self._at = sign.end()
                return sign
            self._at = sign.start() if sign else len(self._data)
            if not self._read():
                return None

    def _read(self) -> bool:
        rest = self._data[self._begin :]
        if len(rest) > LARGEST:
            raise BrokenStreamError(f"a record is longer than {LARGEST:,} bytes")
        lines, size = [rest], 0
        # As much again as there is, so that a long record is not gone through anew for each line.
        while size <= len(rest) and (line := next(self._lines, b"")):
            lines.append(line)
            size += len(line)
        self._data, self._at, self._begin = b"".join(lines), self._at - self._begin, 0
        return size > 0

    def take(self, end: int | None) -> tuple[int, bytes]:
        """Returns what stands before an offset and was not taken, and the line on which it begins."""
        piece = self._data[self._begin : end]
        content = piece.lstrip()
        line = self._line + piece.count(b"\n", 0, len(piece) - len(content))
        self._line += piece.count(b"\n")
        self._begin += len(piece)
        return line, content.rstrip()
