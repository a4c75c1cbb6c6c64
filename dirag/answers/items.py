"""Reads a list of mentions as a model wrote it: in the form of ``Mentions.render``, or in any other.

Of the readings of an item that one is taken which stands in the text, so that "2,4-dinitrophenol" is not cut
at its comma nor "E. coli" at its full stop. An item without a reading as a typed mention is an issue.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dirag.answers.labels import find_type
from dirag.data import Issue, Mention
from dirag.text.language import Language
from dirag.text.occurrences import fold

NONE = "none"
_AROUND = " .\"'*-"
# Nine digits at most: int() refuses more than 4,300, and no parser may raise, whatever a model writes.
_ORDINAL = re.compile(r"#(\d{1,9}) +(.+)")
# Greedy, so that the last brackets hold the type: "CK (MB) (test)".
_TYPED = re.compile(r"(.*\S) ?\(([^()]*)\)")
_LABEL = re.compile(r"([^:]{1,40}): *(.*)")
_BULLET = re.compile(r"\s*(?:[-*•–+]|\(?\d{1,4}[.)])\s+(.*)")
_WRAPPING = "\"'“”‘’«»`*_[]{}<> "


def reads_as_none(item: str) -> bool:
    """Returns whether an item denies that there is a mention; a mention that reads so has a backslash."""
    return item.strip(_AROUND).casefold() in ("", NONE)


class ItemReader:
    """Reads one answer about one text; ``issues`` holds what could not be read."""

    def __init__(
        self, types: tuple[str, ...], text: str, language: Language, *, separator: str = ";"
    ) -> None:
        self.issues: list[Issue] = []
        self._types, self._rules = types, language.answers
        between = re.escape(separator.strip())
        self._item = re.compile(rf"((?:(?!{between})[^\\]|\\.|\\$)+)|{between}")
        self._text = text
        self._folded: str | None = None
        # The type of items that have none: the only one, or that of the label before them ("disease: a; b").
        self._type = types[0] if len(types) == 1 else None

    def read(self, answer: str) -> list[Mention]:
        return [mention for item in self._items(answer) for mention in self.item(item)]

    def _items(self, answer: str) -> Iterator[str]:
        """Yields the items of the first line, and of the lines after it that are bullets."""
        lines = [line for line in answer.strip().splitlines() if line.strip()]
        for number, line in enumerate(lines):
            bullet = _BULLET.fullmatch(line)
            if number == 0:
                introduction = len(lines) > 1 and line.rstrip().endswith(":")
                yield from [] if introduction else map(str.strip, self._item.findall(line))
            elif bullet:
                yield from map(str.strip, self._item.findall(bullet[1]))
            else:
                self._unparsed("lines after the list")
                return

    def item(self, item: str) -> Iterator[Mention]:
        """Yields the mentions of one item: one, or several of a list with other separators."""
        if reads_as_none(item):
            return
        item = _without_full_stop(item)
        ordinal = _ORDINAL.fullmatch(item)
        name, type_ = self._as_rendered(ordinal[2] if ordinal else item)
        if type_ is not None and self._stands(name):
            yield Mention(name, type_, occurrence=int(ordinal[1]) if ordinal else None)
        else:
            yield from self._loosely(item)

    def _as_rendered(self, body: str) -> tuple[str, str | None]:
        if len(self._types) == 1:
            return _unescape(body), self._type
        typed = _TYPED.fullmatch(body)
        return (_unescape(typed[1]), find_type(self._types, typed[2])) if typed else (_unescape(body), None)

    def _loosely(self, item: str) -> Iterator[Mention]:
        if bullet := _BULLET.fullmatch(item):
            item = bullet[1]
        item = self._without_label(item).strip(_WRAPPING)
        type_ = self._type
        typed = _TYPED.fullmatch(item)
        if typed and not (type_ and self._stands(item)):
            item = typed[1].strip(_WRAPPING)
            type_ = find_type(self._types, typed[2]) or (type_ if self._stands(item) else None)
        if reads_as_none(item) or (self._rules.nothing.fullmatch(item) and not self._stands(item)):
            return
        if type_ is None:
            self._unparsed("an item without one of the wanted types")
            return
        for name in self._names(_unescape(item)):
            yield Mention(name, type_)

    def _without_label(self, item: str) -> str:
        label = _LABEL.fullmatch(item)
        if not label:
            return item
        if listed := find_type(self._types, label[1]):
            self._type = listed
            return label[2]
        return item if self._stands(item) else label[2]

    def _names(self, item: str) -> list[str]:
        if self._stands(item):
            return [item]
        parts = [part.strip(_WRAPPING) for part in self._rules.between.split(item)]
        return [part for part in parts if part] if any(map(self._stands, parts)) else [item]

    def _stands(self, name: str) -> bool:
        if self._folded is None:
            self._folded = fold(self._text)
        return bool(name) and fold(name) in self._folded

    def _unparsed(self, detail: str) -> None:
        self.issues.append(Issue("unparsed", "", detail))


def _unescape(item: str) -> str:
    return re.sub(r"\\(.)", r"\1", item)


def _without_full_stop(item: str) -> str:
    # By signs, not characters: a full stop behind a backslash belongs to the mention.
    signs = re.findall(r"\\.|.", item)
    return "".join(signs[:-1]).rstrip() if signs[-1] == "." and len(signs) > 1 else item
