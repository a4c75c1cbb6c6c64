"""The answer as a list: the mentions in text order, on one line, or ``none``.

One type: ``colorectal cancer; APC``. Several: ``colorectal cancer (disease); APC (gene)``. Repeats and odd
mentions are written as :mod:`dirag.answers.listing` says.
"""

from __future__ import annotations

from collections.abc import Sequence

from dirag.answers.items import NONE, ItemReader
from dirag.answers.labels import check_types
from dirag.answers.listing import Item, ListSyntax, items
from dirag.constraint import Builder, Constraint
from dirag.data import Entity, Issue, Mention
from dirag.text.language import Language
from dirag.text.occurrences import flatten


class Mentions:
    """Lists of mentions of the given types."""

    name = "mentions"
    stop: tuple[str, ...] = ("\n",)
    opening = ""

    def __init__(self, types: tuple[str, ...], language: Language) -> None:
        self.types = check_types(types)
        self._language, self._list = language, ListSyntax("; ", language)

    def render(self, text: str, entities: Sequence[Entity]) -> str:
        """Lists the entities of the wanted types; of those that overlap, the first and longest stays."""
        listed = items(text, entities, self.types)
        return self._list.separator.join(map(self._item, listed)) or NONE

    def _item(self, item: Item) -> str:
        return self._list.item(item, self._suffix(item.type))

    def _suffix(self, type_: str) -> str:
        return f" ({type_})" if len(self.types) > 1 else ""

    def parse(self, text: str, answer: str) -> tuple[list[Mention], list[Issue]]:
        """Reads an answer; each part that is not a mention is an "unparsed" issue.

        A last item that the token limit cut short is read like others: only the caller knows of the limit.
        """
        reader = ItemReader(self.types, text, self._language)
        return reader.read(answer), reader.issues

    def constrain(self, text: str) -> Constraint:
        """Admits lists of strings of the text, as :meth:`ListSyntax.add` has them, and ``none``."""
        builder = Builder()
        done = builder.state(final=True)
        builder.edge(builder.body, NONE, done)
        suffixes = map(self._suffix, self.types)
        self._list.add(builder, flatten(text).strip(), builder.body, done, suffixes)
        return builder.build()
