"""Elements of XML, one whole record after the other, from a stream of any length.

No entity is expanded but the five of XML itself and characters by their number: a file that declares one is
refused, as is one with an entity that a DTD elsewhere may declare. Nothing outside the file is ever read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from itertools import chain
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from dirag.formats.streams import LARGEST, BrokenStreamError, Stream

_DEEPEST = 200
_CHUNK = 1 << 16


def elements(stream: Stream, names: Collection[str] | None) -> Iterator[tuple[int, Element]]:
    """Yields each outermost element of these names, with the line on which it begins, from 1.

    Names are compared without their namespace, which stands before a blank in ``tag``; None is for all within
    the root. Raises BrokenStreamError, behind all elements before, where the file is no XML.
    """
    reader = _Reader(names, "utf-8" if stream.was else None)
    for chunk in chain(iter(lambda: stream.read1(_CHUNK), b""), [b""]):
        problem = reader.feed(chunk)
        while reader.whole:
            yield reader.whole.popleft()
        if problem:
            raise BrokenStreamError(problem)


class _Reader:
    """A parser that builds the elements of some names, and forgets the others."""

    def __init__(self, names: Collection[str] | None, encoding: str | None) -> None:
        self.whole: deque[tuple[int, Element]] = deque()
        self._names = names
        self._builder: TreeBuilder | None = None
        self._depth = self._line = self._begin = 0
        self._outside = 0  # elements around the one that is built
        self._parser = expat.ParserCreate(encoding, " ")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.EntityDeclHandler = self._refuse
        self._parser.SkippedEntityHandler = self._refuse

    def feed(self, chunk: bytes) -> str:
        """Takes a chunk, an empty one at the end; returns what is wrong with it, if anything is."""
        try:
            self._parser.Parse(chunk, not chunk)
        except expat.ExpatError as error:
            # The library's message, which names no content but an entity's or a prefix's name.
            return f"it is broken XML at line {error.lineno}: {expat.ErrorString(error.code)}"
        except BrokenStreamError as error:
            return str(error)
        except (ValueError, LookupError):
            return "it is XML in an encoding that is not known; --encoding names it"
        if self._builder and self._parser.CurrentByteIndex - self._begin > LARGEST:
            return f"a record is longer than {LARGEST:,} bytes"
        return ""

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._builder is None:
            if not self._outside if self._names is None else name.rpartition(" ")[2] not in self._names:
                self._outside += 1
                return
            self._builder, self._line = TreeBuilder(), self._parser.CurrentLineNumber
            self._begin = self._parser.CurrentByteIndex
        self._depth += 1
        if self._depth > _DEEPEST:
            raise BrokenStreamError(f"line {self._parser.CurrentLineNumber}: elements are nested too deep")
        self._builder.start(name, attributes)

    def _end(self, name: str) -> None:
        if self._builder is None:
            self._outside -= 1
            return
        self._builder.end(name)
        self._depth -= 1
        if not self._depth:
            self.whole.append((self._line, self._builder.close()))
            self._builder = None

    def _text(self, data: str) -> None:
        if self._builder is not None:
            self._builder.data(data)

    def _refuse(self, *_: object) -> None:
        line = self._parser.CurrentLineNumber
        raise BrokenStreamError(f"line {line}: XML with entities of its own is not read, for safety")
