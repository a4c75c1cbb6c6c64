"""HTML from files beside this module, and the one place where text becomes part of it.

Text that goes into a template is escaped unless it is :class:`Html`, which only files and filled templates
are: what a corpus, a model or a report says cannot become markup by oversight.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from html import escape
from importlib.resources import files
from string import Template

import orjson

from dirag.data import Json

_NAME = re.compile(r"^<!-- ([\w-]+) -->\n", re.MULTILINE)


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


class Fragments:
    """The templates of one file: each begins with its name as a comment, ``<!-- name -->``.

    Line breaks and indents in the file are for its reader alone; an empty line is a line break of the page.
    """

    def __init__(self, file: str) -> None:
        _, *parts = _NAME.split(source(file))
        self._templates = {
            name: Template("\n".join(map(_joined, text.strip().split("\n\n"))))
            for name, text in zip(parts[::2], parts[1::2], strict=True)
        }

    def fill(self, name: str, /, **values: object) -> Html:
        """Returns a template with these values, one for each of its fields; all but HTML are escaped."""
        template = self._templates[name]
        # `substitute` finds missing values only; one for which there is no field would vanish from the page.
        assert set(template.get_identifiers()) == set(values), f"the fields of {name} are others"
        return Html(
            template.substitute({
                field: value if isinstance(value, Html) else escape(str(value))
                for field, value in values.items()
            })
        )  # fmt: skip


def joined(parts: Iterable[Html], between: Html | None = None) -> Html:
    """Returns HTML one part after the other."""
    return Html((between or "").join(parts))


@cache
def source(file: str) -> Html:
    """Returns the text of a file beside this module: a style sheet, a script, templates."""
    return Html(files("dirag.evaluate.page").joinpath(file).read_text("utf-8"))


def embedded(value: Json) -> Html:
    """Returns JSON for a script element: no character of it means anything to HTML or ends a line."""
    text = orjson.dumps(value).decode()
    # A script is not unescaped, and "</script>" ends it even within a string: JSON's own escapes are left.
    # U+2028 and U+2029 ended a line in strings of JavaScript before ES2019.
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Html(text)


def _joined(text: str) -> str:
    return "".join(line.strip() for line in text.splitlines())
