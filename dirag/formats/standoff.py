"""Labels that lie in a file beside their text, one a line: what is common to the formats of this kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

from dirag.data import Document, Entity, Issue
from dirag.formats import streams


def beside(file: Path, ending: str) -> Path:
    """Returns the file of the same stem with another ending, compressed or not; plain where there is none."""
    plain = Path(streams.bare(str(file))).with_suffix(ending)
    return next((p for c in ("", *streams.COMPRESSIONS) if (p := Path(f"{plain}{c}")).is_file()), plain)


def utf16_places(text: str) -> dict[int, int] | None:
    """Returns the place of each character, and the end, by its offset in UTF-16; None where these are one."""
    if text.isascii() or max(text) < "\U00010000":
        return None
    units = accumulate((1 + (character > "\uffff") for character in text), initial=0)
    return {offset: place for place, offset in enumerate(units)}


def labelled(
    document: Document,
    labels: Path,
    *,
    name: str,
    encoding: str | None,
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
    with streams.open_file(labels, encoding) as lines:
        for number, line in enumerate(lines, start=1):
            raw = line.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n")
            if not is_label(raw):
                continue
            try:
                label = read(raw.decode("utf-8"))
            except UnicodeDecodeError as error:
                label = f"byte {error.start} of the line is not valid UTF-8"
            if isinstance(label, Entity):
                entities.append(label)
            else:
                issues.append(Issue("unusable-label", f"{name}:{number}", label))
    return replace(document, entities=tuple(entities), issues=tuple(issues))
