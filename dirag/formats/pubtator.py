"""PubTator: title and abstract lines, then tab-separated labels; a blank line ends a document.

The text is title, one line feed, abstract, which is how the format counts its offsets. Composite parts
(the seventh column) and relations are left out. A label that does not stand at its offsets is an issue
of its document and is never moved.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dirag.data import Concept, Document, Entity, Hit, Issue
from dirag.formats.text import unreadable

_TITLE = re.compile(rb"[^|\t]*\|t\|")
# ASCII digits, and few: \d takes those of every script, and int() refuses a number of 4,301 digits.
_OFFSET = re.compile("[0-9]{1,9}")
_RELATION = re.compile("[A-Za-z][A-Za-z_ :-]+")
_PASSAGE = re.compile(r"([^|\t]*)\|[a-z]\|(.*)", re.DOTALL)
_NO_CONCEPT = frozenset({"", "-", "-1"})


def read(lines: Iterable[bytes], *, name: str, stem: str) -> Iterator[Document]:
    """Yields the documents of a source, each when the next one begins; ids are as the file has them."""
    block: list[tuple[int, bytes]] = []
    for number, line in enumerate(lines, start=1):
        content = line.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n")
        if block and (_TITLE.match(content) or not content.strip()):
            yield _document(block, name=name, stem=stem)
            block = []
        if content.strip():
            block.append((number, content))
    if block:
        yield _document(block, name=name, stem=stem)


def _document(block: list[tuple[int, bytes]], *, name: str, stem: str) -> Document:
    first = block[0][0]
    fallback = f"{stem}:{first}"
    passages: list[str] = []
    labels: list[tuple[int, list[str]]] = []
    id_ = ""
    for number, raw in block:
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            detail = f"byte {error.start} of the line is not valid UTF-8"
            return unreadable(id_ or fallback, where=f"{name}:{number}", detail=detail, line=number)
        if not labels and (passage := _PASSAGE.fullmatch(line)):
            id_ = id_ or passage[1].strip()
            passages.append(passage[2])
        else:
            labels.append((number, line.split("\t")))
    if not passages:
        detail = "no title or abstract line before the labels"
        return unreadable(fallback, where=f"{name}:{first}", detail=detail, line=first)
    text = "\n".join(passages)
    entities: list[Entity] = []
    issues = [] if text.strip() else [Issue("empty", f"{name}:{first}")]
    for number, columns in labels:
        if len(columns) >= 4 and _RELATION.fullmatch(columns[1]):
            continue  # id, kind and two arguments; BioRED says in a fifth column whether it is new
        label = _label(columns, text)
        if isinstance(label, Entity):
            entities.append(label)
        else:
            issues.append(Issue("unusable-label", f"{name}:{number}", label))
    return Document(id_ or fallback, text, tuple(entities), issues=tuple(issues))


def _label(columns: list[str], text: str) -> Entity | str:
    """Returns the entity of a label line, or what is wrong with it."""
    if len(columns) < 5:
        return f"{len(columns)} columns in place of at least 5"
    first, last, mention, type_ = columns[1:5]
    if not _OFFSET.fullmatch(first) or not _OFFSET.fullmatch(last):
        return "its offsets are no numbers"
    start, end = int(first), int(last)
    if not 0 <= start < end <= len(text):
        return f"its offsets {start}..{end} do not lie in the text"
    covered = text[start:end]
    # NCBI-disease has a mention with trailing spaces that its offsets do not cover.
    if covered != mention and covered != mention.rstrip():
        return f"its text does not stand at its offsets {start}..{end}"
    if not type_.strip():
        return "it has no type"
    concept = columns[5].strip() if len(columns) > 5 else ""
    return Entity(start, end, type_.strip(), covered, link=_gold_hit(concept, covered, start, end))


def _gold_hit(concept: str, mention: str, start: int, end: int) -> Hit | None:
    """Returns the gold concept, its id as annotated: alternatives and composites stay joined."""
    if concept in _NO_CONCEPT:
        return None
    return Hit(Concept(concept, name=""), mention, "exact", 1.0, start, end)
