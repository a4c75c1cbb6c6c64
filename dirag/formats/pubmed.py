"""PubMed and MEDLINE, as XML: a document an article, its text the title and, on further lines, the abstract.

Parts of a structured abstract begin with their label ("METHODS: "). Markup within is left out, its text
stays. Journal, year and language are in ``meta``; other fields and translated abstracts are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from dirag.data import Document, Issue
from dirag.formats.elements import elements
from dirag.formats.streams import Stream

if TYPE_CHECKING:
    from dirag.data import Json

#: The elements that are articles, each within the ones before, if it is.
ARTICLES = ("PubmedArticle", "PubmedBookArticle", "MedlineCitation")
_LAYOUT = re.compile("[ \t\r\n]+")
_META = {"journal": ".//Journal/Title", "year": ".//PubDate/Year", "language": ".//Language"}


def read(stream: Stream, *, name: str, stem: str) -> Iterator[Document]:
    """Yields the articles of a set, each as soon as it is whole."""
    for number, (line, article) in enumerate(elements(stream, ARTICLES), start=1):
        lines = [_text(next(article.iter(title), None)) for title in ("ArticleTitle", "BookTitle")]
        abstract = next(article.iter("Abstract"), None)
        parts = abstract.iter("AbstractText") if abstract is not None else ()
        text = "\n".join(filter(None, [next(filter(None, lines), ""), *map(_labelled, parts)]))
        meta: dict[str, Json] = {
            key: value for key, path in _META.items() if (value := (article.findtext(path) or "").strip())
        }
        id_ = _text(next(article.iter("PMID"), None)) or f"{stem}:{number}"
        issues = () if text else (Issue("empty", f"{name}:{line}"),)
        yield Document(id_, text, meta=meta, issues=issues)


def _labelled(part: Element) -> str:
    label, text = part.get("Label", "").strip(), _text(part)
    return f"{label}: {text}" if label and text and label != "UNLABELLED" else text


def _text(element: Element | None) -> str:
    """Returns the text of an element, without the line breaks of its layout."""
    return "" if element is None else _LAYOUT.sub(" ", "".join(element.itertext())).strip(" ")
