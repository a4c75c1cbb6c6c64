"""The answer as a filled template (DICE), one line a type: name, description if there is one, and mentions.

``Entity type is gene. A stretch of DNA or its product. Entity is APC [SEP] BRCA1.``, with ``none`` where
there is no mention. Repeats and odd mentions are written as :mod:`dirag.answers.listing` says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dirag.answers.items import NONE, ItemReader
from dirag.answers.labels import check_types, find_type
from dirag.answers.listing import ListSyntax, items
from dirag.constraint import Builder, Constraint
from dirag.data import Entity, Issue, Mention
from dirag.errors import UsageError
from dirag.text.language import Language
from dirag.text.occurrences import flatten

_TYPE, _LISTED = "Entity type is ", "Entity is"
_LINE = re.compile(rf"^(?= *{_TYPE})", re.MULTILINE | re.IGNORECASE)


class TemplateAnswer:
    """A line for each of the given types, in their order; ``descriptions`` are by type."""

    name = "template"
    stop: tuple[str, ...] = ("\n\n",)
    opening = ""

    def __init__(
        self, types: tuple[str, ...], language: Language, descriptions: Mapping[str, str] | None = None
    ) -> None:
        self.types = check_types(types)
        self._language, self._list = language, ListSyntax(" [SEP] ", language)
        by_type = descriptions or {}
        for type_, description in by_type.items():
            if _LISTED.casefold() in description.casefold() or len(description.splitlines()) != 1:
                raise UsageError(
                    f"the description of {type_!r} cannot be written in an answer",
                    hint=f"give one line, without the words {_LISTED!r}",
                )
        about = {type_: f" {by_type[type_]}." if type_ in by_type else "" for type_ in self.types}
        self._starts = {type_: f"{_TYPE}{type_}.{about[type_]} {_LISTED} " for type_ in self.types}
        # The known types first, as one may hold a full stop, which ends any other.
        names = "|".join(map(re.escape, self.types))
        self._filled = re.compile(
            rf" *{_TYPE}({names}|[^.\n]{{1,80}})\..*?{_LISTED}\b", re.IGNORECASE | re.DOTALL
        )

    def render(self, text: str, entities: Sequence[Entity]) -> str:
        """Fills in the entities; of those that overlap, the first and longest stays."""
        listed = items(text, entities, self.types)
        lines = []
        for type_, start in self._starts.items():
            written = [self._list.item(item) for item in listed if item.type == type_]
            lines.append(f"{start}{self._list.separator.join(written) or NONE}.")
        return "\n".join(lines)

    def constrain(self, text: str) -> Constraint:
        """Admits the lines of all types, each with a list of strings of the text or with ``none``."""
        builder = Builder()
        view, at = flatten(text).strip(), builder.body
        for type_, start in self._starts.items():
            last = type_ == self.types[-1]
            opened, listed, done = builder.state(), builder.state(), builder.state(final=last)
            builder.edge(at, start, opened)
            builder.edge(opened, NONE, listed)
            self._list.add(builder, view, opened, listed)
            builder.edge(listed, "." if last else ".\n", done)
            at = done
        return builder.build()

    def parse(self, text: str, answer: str) -> tuple[list[Mention], list[Issue]]:
        """Reads the lines, in any order; text before them is read as in the format ``mentions``."""
        mentions: list[Mention] = []
        issues: list[Issue] = []
        offset = 0
        for part in _LINE.split(answer):
            filled = self._filled.match(part)
            type_ = find_type(self.types, filled[1]) if filled else None
            if filled and type_:
                reader = ItemReader((type_,), text, self._language, separator=self._list.separator)
                listed = reader.read(part[filled.end() :])
                mentions += [replace(mention, after=offset + filled.end()) for mention in listed]
            elif _LINE.match(part):
                reader = ItemReader(self.types, text, self._language)
                issues.append(
                    Issue("unparsed", "", "a line without one of the wanted types, or without mentions")
                )
            else:
                reader = ItemReader(self.types, text, self._language)
                mentions += reader.read(part)
            issues += reader.issues
            offset += len(part)
        return mentions, issues
