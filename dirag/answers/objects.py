"""The answer as one JSON object on one line: each wanted type in order, with the list of its mentions.

``{"disease": ["colorectal cancer"], "gene": ["APC", "#2 cancer"]}``. Every type is there, also with an empty
list, so that a model decides nothing but the lists: an object for each mention takes three times the tokens,
and small models go wrong where keys come and go. A string is an item of :mod:`dirag.answers.listing`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from dirag.answers.items import ItemReader
from dirag.answers.labels import check_types, find_type
from dirag.answers.listing import ListSyntax, items
from dirag.constraint import Builder, Constraint
from dirag.data import Entity, Issue, Mention
from dirag.text.language import Language
from dirag.text.occurrences import flatten

# A string that the answer's end cuts off is one too; its last backslash may be half an escape.
_STRING = re.compile(r'"(?P<body>(?:[^"\\]|\\.)*)(?:"(?P<key>\s*:)?|\\?$)', re.DOTALL)
#: Words between strings end the object, but for those that stand for an empty value.
_PROSE = re.compile(r"(?!(?:null|none)\b)\b[^\W\d_]+", re.IGNORECASE)


class JsonObject:
    """An object of lists of the given types."""

    name = "json"
    stop: tuple[str, ...] = ("\n\n",)
    opening = '"'

    def __init__(self, types: tuple[str, ...], language: Language) -> None:
        self.types = check_types(types)
        self._language, self._list = language, ListSyntax(", ", language, quote='"')

    def render(self, text: str, entities: Sequence[Entity]) -> str:
        """Lists the entities of the wanted types; of those that overlap, the first and longest stays."""
        listed = items(text, entities, self.types)
        lists = []
        for type_ in self.types:
            written = [self._list.item(item) for item in listed if item.type == type_]
            lists.append(f"{_name(type_)}: [{self._list.separator.join(written)}]")
        return "{" + ", ".join(lists) + "}"

    def constrain(self, text: str) -> Constraint:
        """Admits the object with a list of strings of the text for each type."""
        builder = Builder()
        view, at = flatten(text).strip(), builder.body
        before = "{"
        for type_ in self.types:
            opened, listed = builder.state(), builder.state()
            builder.edge(at, f"{before}{_name(type_)}: [", opened)
            builder.edge(opened, "", listed)
            self._list.add(builder, view, opened, listed)
            at, before = listed, "], "
        builder.edge(at, "]}", builder.state(final=True))
        return builder.build()

    def parse(self, text: str, answer: str) -> tuple[list[Mention], list[Issue]]:
        """Reads the strings, also of an object that is cut off, spaced otherwise, or in a fenced block.

        An answer without strings is read as a list in the format ``mentions``.
        """
        reader = ItemReader(self.types, text, self._language)
        if '"' not in answer:
            return reader.read(answer), reader.issues
        readers = {type_: ItemReader((type_,), text, self._language) for type_ in self.types}
        mentions: list[Mention] = []
        type_ = self.types[0] if len(self.types) == 1 else None
        end = 0
        for string in _STRING.finditer(answer):
            if end and _PROSE.search(answer, end, string.start()):
                break
            end = string.end()
            body = _decoded(string["body"])
            if string["key"]:
                type_ = find_type(self.types, body)
            elif type_ is None:
                reader.issues.append(Issue("unparsed", "", "a mention without one of the wanted types"))
            else:
                items_read = readers[type_].item(flatten(body).strip())
                mentions += [replace(mention, after=string.start()) for mention in items_read]
        if _PROSE.search(answer, end):
            reader.issues.append(Issue("unparsed", "", "words after the object"))
        return mentions, [issue for r in (reader, *readers.values()) for issue in r.issues]


def _name(type_: str) -> str:
    return json.dumps(type_, ensure_ascii=False)


def _decoded(body: str) -> str:
    """Returns the string between quotes without its escapes, or as it is where these are not valid."""
    try:
        decoded: str = json.loads(f'"{body}"', strict=False)  # control characters may stand as they are
    except ValueError:
        return body
    return decoded
