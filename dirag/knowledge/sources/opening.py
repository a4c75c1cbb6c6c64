"""Opens vocabulary files, gzip'ed or not, and reads them line by line, or as XML element by element.

Bytes that are no UTF-8 are counted and read as U+FFFD, so that they cost a name and not a file. Only a
line feed ends a line: carriage returns inside a field are white space.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast
from xml.etree import ElementTree
from xml.parsers.expat import errors

import orjson

from dirag.errors import KnowledgeError

if TYPE_CHECKING:
    from dirag.knowledge.sources.reading import Rejected

#: The file ends between two tags, with some not closed: an excerpt, or a file cut off.
_UNFINISHED = errors.codes[errors.XML_ERROR_NO_ELEMENTS]


def binary(path: Path) -> IO[bytes]:
    """Opens a file for reading bytes; one that is gzip'ed is known by its first two, whatever its name."""
    with path.open("rb") as stream:
        magic = stream.read(2)
    return cast("IO[bytes]", gzip.open(path)) if magic == b"\x1f\x8b" else path.open("rb")


def json_value(path: Path) -> Any:
    """Returns the value of a JSON file; raises KnowledgeError where it is none."""
    with binary(path) as stream:
        try:
            return orjson.loads(stream.read())
        except ValueError as error:
            raise KnowledgeError(f"{path} is not readable as JSON: {error}") from error


def lines(path: Path, rejected: Rejected) -> Iterator[tuple[int, str]]:
    """Yields the lines with their numbers from 1, without their ends and without a byte order mark."""
    # Decoded line by line: a text stream would end lines at carriage returns, and stop at the first bad byte.
    with binary(path) as stream:
        for number, raw in enumerate(stream, 1):
            try:
                line = raw.decode("utf-8")
            except UnicodeDecodeError:
                rejected.add("line with bytes that are no UTF-8 (read as \ufffd)", f"{path.name}:{number}")
                line = raw.decode("utf-8", "replace")
            yield number, (line.removeprefix("\ufeff") if number == 1 else line).rstrip("\r\n")


def elements(path: Path, form: str, rejected: Rejected) -> Iterator[tuple[str, ElementTree.Element]]:
    """Yields the starts and ends of the elements of an XML file; whoever takes them clears them.

    A file that breaks off is read that far; one that is no XML is refused.
    """
    with binary(path) as stream:
        events = ElementTree.iterparse(stream, events=("start", "end"))
        while True:
            try:
                event, element = next(events)
            except StopIteration:
                return
            except (ElementTree.ParseError, LookupError, ValueError) as error:  # two are for the encoding
                if getattr(error, "code", None) != _UNFINISHED:
                    raise KnowledgeError(f"{path} is not readable as {form}: {error}") from error
                rejected.add("file that breaks off (what stood whole is read)", path.name)
                return
            yield event, element
