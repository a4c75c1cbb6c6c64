"""Labels that lie in a file beside their text, one a line: what is common to the formats of this kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dirag.data import Document, Entity, Issue


def labelled(
    document: Document,
    labels: Path,
    *,
    name: str,
    is_label: Callable[[bytes], bool],
    read: Callable[[str], Entity | str],
) -> Document:
    """Returns the document with the entities of a file of labels, called ``name`` in issues. Raises OSError.

    ``read`` gives the entity of a line, or what is wrong with it, which is an issue. An unreadable document
    stays as it is.
    """
    if any(issue.code == "unreadable" for issue in document.issues):
        return document
    entities: list[Entity] = []
    issues = list(document.issues)
    for number, raw in enumerate(labels.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not is_label(raw):
            continue
        try:
            label = read(raw.decode("utf-8").rstrip("\r"))
        except UnicodeDecodeError as error:
            label = f"byte {error.start} of the line is not valid UTF-8"
        if isinstance(label, Entity):
            entities.append(label)
        else:
            issues.append(Issue("unusable-label", f"{name}:{number}", label))
    return replace(document, entities=tuple(entities), issues=tuple(issues))
