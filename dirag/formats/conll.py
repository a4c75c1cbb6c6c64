"""CoNLL and BIO columns: a token a line, the token in the first column and its tag in the last.

Each sentence is a document, its text the tokens with one space between. Tags may be IOB1, IOB2, BIOES
or BILOU, read as ``bio_tags.ANY_SCHEME``. ``-DOCSTART-`` lines are skipped. A tag that is none of these
counts as O and is reported once a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dirag.data import Document, Issue
from dirag.formats.bio_tags import ANY_SCHEME, to_entities
from dirag.formats.text import unreadable

_Line = tuple[int, bytes]


def read(lines: Iterable[bytes], *, name: str, stem: str) -> Iterator[Document]:
    """Yields the sentences of a source, ``<stem>:1`` onwards."""
    for ordinal, block in enumerate(_blocks(lines), start=1):
        yield _sentence(block, name=name, id=f"{stem}:{ordinal}")


def _blocks(lines: Iterable[bytes]) -> Iterator[list[_Line]]:
    block: list[_Line] = []
    for number, line in enumerate(lines, start=1):
        content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        # Decoded, as white space of Unicode is a blank line too.
        if content.decode("utf-8", "replace").strip() and not content.startswith(b"-DOCSTART-"):
            block.append((number, content.rstrip(b"\r\n")))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _sentence(block: list[_Line], *, name: str, id: str) -> Document:
    tokens: list[str] = []
    tags: list[str] = []
    bad: list[int] = []
    for number, raw in block:
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            detail = f"byte {error.start} of the line is not valid UTF-8"
            return unreadable(id, where=f"{name}:{number}", detail=detail, line=number)
        # Where there are tabs they alone part columns: a token may hold a blank.
        columns = line.split("\t") if "\t" in line else line.split()
        tag = columns[-1].strip() if len(columns) > 1 else ""
        if not ANY_SCHEME.has(tag):
            bad.append(number)
            tag = "O"
        if columns[0]:
            tokens.append(columns[0])
            tags.append(tag)
    issues: tuple[Issue, ...] = ()
    if bad:
        detail = f"{len(bad)} of {len(block)} lines have no tag in the last column"
        issues = (Issue("unusable-label", f"{name}:{bad[0]}", detail),)
    spans, _ = ANY_SCHEME.spans(tags)  # refuses none: the tags of no scheme are O by now
    return Document(id, " ".join(tokens), tuple(to_entities(tokens, spans)), issues=issues)
