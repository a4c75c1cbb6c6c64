"""The built-in pool: annotated sentences written for this project, in ``prompts/examples``.

One sentence a line, a mention as ``[mention|type]``; a line that begins with ``#`` is a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from dirag.data import Document, Entity
from dirag.errors import ExamplesError
from dirag.files import paths

_MENTION = re.compile(r"\[([^\[\]|]+)\|([^\[\]|]+)\]")


@cache
def documents() -> tuple[Document, ...]:
    """Returns every sentence of the built-in pool, in the order of the files."""
    folder = paths.path("prompts", "examples")
    return tuple(document for path in sorted(folder.glob("*.txt")) for document in read(path))


def read(path: Path) -> Iterator[Document]:
    """Yields the sentences of a file of annotated lines; raises ExamplesError for a line that is not one."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            yield parse(line.strip(), name=f"{path.stem}:{number}")


def parse(line: str, *, name: str) -> Document:
    """Returns an annotated line as a document with the id ``name``."""
    text, end, entities = "", 0, []
    for match in _MENTION.finditer(line):
        text += line[end : match.start()]
        entities.append(Entity(len(text), len(text) + len(match[1]), match[2], match[1]))
        text, end = text + match[1], match.end()
    text += line[end:]
    if set(text) & set("[]|"):
        raise ExamplesError(
            f"{name}: a bracket that belongs to no [mention|type]", hint="close the bracket or leave it out"
        )
    return Document(name, text, tuple(entities))
