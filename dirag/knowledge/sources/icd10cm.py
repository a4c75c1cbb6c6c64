"""ICD-10-CM, the tabular list as XML: each code of the list a concept, its inclusion terms as synonyms.

The parent is the code that encloses it. Codes made only by a seventh character (encounter, a fracture's
course) are not in the list: the code above them has these characters as ``extensions``. Read as a stream.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from dirag.data import Concept
from dirag.knowledge.sources.opening import elements
from dirag.knowledge.sources.reading import Reading, clean

#: A note on codes of a category that not all of its seventh characters complete.
_EXCEPTION = re.compile(r"7th characters (.*) do not apply to .* with 6th character (.*)")


def read(path: Path, reading: Reading) -> Iterator[Concept]:
    """Yields a concept for each code that the list writes out; a child comes before its parent."""
    chapter = ""
    enclosing: list[ElementTree.Element] = []  # the codes that are open
    for event, element in elements(path, "ICD-10-CM XML", reading.rejected):
        if event == "start":
            chapter = "" if element.tag == "chapter" else chapter
            enclosing += [element] if element.tag == "diag" else []
        # The first name within a chapter is its own, before those of its codes.
        elif element.tag == "name" and not chapter:
            chapter = element.text or ""
        elif element.tag == "diag":
            enclosing.pop()
            if concept := _concept(element, chapter, enclosing, reading):
                yield concept
            elif not _placeholder(element):
                reading.rejected.add("code without name", f"{path.name}: chapter {chapter}")
            element.clear()  # a parent needs no more of its child than that it has been read
        elif element.tag == "chapter":
            element.clear()


def _concept(
    diag: ElementTree.Element, chapter: str, enclosing: list[ElementTree.Element], reading: Reading
) -> Concept | None:
    code, name = _text(diag, "name"), _text(diag, "desc")
    if not code or not name or _placeholder(diag):
        return None
    terms = [note.text or "" for note in diag.findall("inclusionTerm/note")]
    semantic = reading.types.icd10cm.get(chapter, f"chapter {chapter}")
    above = [_text(parent, "name") for parent in enclosing if not _placeholder(parent)]
    parents = tuple(f"ICD10CM:{parent}" for parent in above[-1:] if parent)
    return Concept(
        f"ICD10CM:{code}",
        name,
        clean(terms, name),
        (semantic,),
        source=reading.source,
        parents=parents,
        extensions=_extensions(diag) or _remaining(code, enclosing),
    )


def _extensions(diag: ElementTree.Element) -> tuple[tuple[str, str], ...]:
    """Returns the seventh characters that complete this code and those below it, with their meanings."""
    return tuple(
        (element.get("char", ""), " ".join((element.text or "").split()))
        for element in diag.findall("sevenChrDef/extension")
    )


def _remaining(code: str, enclosing: Sequence[ElementTree.Element]) -> tuple[tuple[str, str], ...]:
    """Returns the seventh characters of a code that a note of its category excepts from the others.

    Those of S06: "7th characters D and S do not apply to codes in category S06 with 6th character 7 - ...".
    """
    if len(code) != len("S06.1X7"):
        return ()
    for category in reversed(enclosing):
        if extensions := _extensions(category):
            for note in category.findall("notes/note"):
                match = _EXCEPTION.search(note.text or "")
                if match and code[-1] in re.findall(r"(?:^|or )(\w) - ", match[2]):
                    characters = re.findall(r"\b\w\b", match[1])
                    return tuple(pair for pair in extensions if pair[0] not in characters)
            return ()
    return ()


def _text(diag: ElementTree.Element, tag: str) -> str:
    return " ".join(diag.findtext(tag, "").split())


def _placeholder(diag: ElementTree.Element) -> bool:
    """Tells whether a level only fills the code up to a seventh character."""
    return diag.get("placeholder") == "true"
