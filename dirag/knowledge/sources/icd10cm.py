"""ICD-10-CM, the tabular list as XML: each code of the list a concept, its inclusion terms as synonyms.

Codes made only by a seventh character (encounter, laterality of a fracture's course) are not in the list
and are not made up. Read as a stream.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from dirag.data import Concept
from dirag.errors import KnowledgeError
from dirag.knowledge.semantics import TypeMap
from dirag.knowledge.sources import Rejected, clean


def read(path: Path, *, source: str, types: TypeMap, rejected: Rejected) -> Iterator[Concept]:
    chapter = ""
    try:
        for event, element in ElementTree.iterparse(path, events=("start", "end")):
            if event == "start":
                chapter = "" if element.tag == "chapter" else chapter
            elif element.tag == "name" and not chapter:
                chapter = element.text or ""
            elif element.tag == "diag":
                if element.get("placeholder") == "true":
                    pass  # a level that only fills the code up to a seventh character
                elif concept := _concept(element, chapter, source, types):
                    yield concept
                else:
                    rejected.add("code without name", f"{path.name}: chapter {chapter}")
                # a parent needs no more of its child than that it has been read
                element.clear()
    except (ElementTree.ParseError, OSError) as error:
        raise KnowledgeError(f"{path} is not readable as ICD-10-CM XML: {error}") from error


def _concept(diag: ElementTree.Element, chapter: str, source: str, types: TypeMap) -> Concept | None:
    code, name = diag.findtext("name", "").strip(), " ".join(diag.findtext("desc", "").split())
    if not code or not name:
        return None
    terms = [note.text or "" for note in diag.findall("inclusionTerm/note")]
    semantic = types.icd10cm.get(chapter, f"chapter {chapter}")
    return Concept(f"ICD10CM:{code}", name, clean(terms, name), (semantic,), source=source)
