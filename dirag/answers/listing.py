"""Lists of mentions inside answers: their items, how an item is spelled, and their constraint.

A listed mention means every place where its string stands between token boundaries and no longer listed
mention does (``tests/benchmarks/repeats.py`` says what the other convention, one item a place, would cost).
Where that would be wrong, the places meant are listed one by one, each with its ordinal in
:func:`dirag.text.align.occurrences`: ``APC; #2 cancer`` is the second "cancer" only. Of strings that stand
there once this is never said, but for those with an end inside a word, which have no other way. Items come in
text order.

A mention has no blanks at its ends, and a line break inside it is a space. A backslash stands before
``\\`` and the first sign of the separator, before a full stop at the end, and before the first character of a
mention that begins with ``#`` or that would read as none. :class:`dirag.answers.items.ItemReader` reads it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TypeAlias

from dirag.answers.items import reads_as_none
from dirag.constraint import Builder
from dirag.data import Entity, Mention
from dirag.text.align import Span, occurrences, place
from dirag.text.language import Language
from dirag.text.occurrences import flatten, is_boundary, is_bounded, may_begin_name, may_end_name, trim

_LONGEST = 16  # tokens and blanks of a marked string that may be written under the constraint
_MAY_READ_AS_NONE = re.compile(r"[.\"'*-]|none", re.IGNORECASE)

Key: TypeAlias = tuple[str, str]
Groups: TypeAlias = Mapping[Key, Sequence[Span]]


@dataclass(frozen=True, slots=True)
class Item:
    """A mention to be listed; with an ``ordinal`` it means a single place."""

    name: str
    type: str
    ordinal: int | None = None


def side_by_side(
    text: str, entities: Iterable[Entity], types: Sequence[str]
) -> Iterator[tuple[int, int, str]]:
    """Yields start, end and type of the entities of these types that an answer can hold one after the other.

    They have no blanks at their ends. Of entities that overlap, the first and longest stays.
    """
    # Not align.longest: an answer is written from left to right, so what begins first has the place.
    taken = 0
    for entity in sorted(entities, key=lambda e: (e.start, -e.end)):
        start, end = trim(text, entity.start, entity.end)
        if entity.type in types and taken <= start < end:
            yield start, end, entity.type
            taken = end


def items(text: str, entities: Sequence[Entity], types: Sequence[str]) -> list[Item]:
    """Returns the entities of these types as items in text order.

    Of entities that overlap, the first and longest stays.
    """
    groups: defaultdict[Key, list[Span]] = defaultdict(list)
    for start, end, type_ in side_by_side(text, entities, types):
        groups[flatten(text[start:end]), type_].append((start, end))
    marked = _ambiguous(text, groups)
    listed = [(spans[0], Item(*key)) for key, spans in groups.items() if key not in marked]
    listed += _one_by_one(text, groups, marked)
    return [item for _, item in sorted(listed, key=lambda place: place[0])]


def _ambiguous(text: str, groups: Groups) -> Set[Key]:
    """Returns the strings that must be listed place by place, as on their own they would be read otherwise.

    An item without an ordinal means every place of its string that no longer item takes, so to mark a string
    changes what the others mean. Each pass reads the list as a parser would and marks what comes out wrong;
    marks only grow, so it ends after at most as many passes as there are strings.
    """
    marked: Set[Key] = frozenset()
    while wrong := _misread(text, groups, marked) - marked:
        places = occurrences(text, [name for name, _ in wrong])
        # A string that stands once needs no ordinal: if it lacks its only place, a longer string took that,
        # which is wrong itself and is marked here. Inside a word an ordinal is the only way to mean a place.
        several = {key for key in wrong if len(places[key[0]]) > 1 or not is_bounded(text, *groups[key][0])}
        marked |= several or wrong
    return marked


def _misread(text: str, groups: Groups, marked: Set[Key]) -> Set[Key]:
    mentions = [Mention(text[s:e], key[1], start=s) for key in marked for s, e in groups[key]]
    mentions += [Mention(name, type_) for name, type_ in groups if (name, type_) not in marked]
    read: defaultdict[Key, list[Span]] = defaultdict(list)
    for entity in place(text, mentions)[0]:
        read[flatten(entity.text), entity.type].append((entity.start, entity.end))
    return {key for key, spans in groups.items() if read[key] != spans}


def _one_by_one(text: str, groups: Groups, marked: Set[Key]) -> Iterator[tuple[Span, Item]]:
    """Yields the places of marked strings, each as an item with its ordinal."""
    places = occurrences(text, [name for name, _ in marked])
    ordinals = {name: {span: n for n, span in enumerate(spans, start=1)} for name, spans in places.items()}
    for name, type_ in marked:
        for span in groups[name, type_]:
            yield span, Item(name, type_, ordinals[name][span])


@dataclass(frozen=True, slots=True)
class ListSyntax:
    """How a list is written: what stands between items, and around each, then with JSON's escapes.

    ``language`` is that of the text of which the items are strings.
    """

    separator: str
    language: Language
    quote: str = ""

    def item(self, item: Item, suffix: str = "") -> str:
        return f"{self._opened(item)}{suffix}{self.quote}"

    def _opened(self, item: Item) -> str:
        """Spells an item without what may stand behind its mention."""
        inner = self.inner(item.name)
        if item.name != "." and item.name.endswith("."):
            inner = inner[:-1] + self._written("\\.")
        if item.name.startswith("#") or reads_as_none(item.name):
            inner = self._written("\\") + inner
        ordinal = f"#{item.ordinal} " if item.ordinal else ""
        return f"{self.quote}{ordinal}{inner}"

    def inner(self, piece: str) -> str:
        """Spells a part of a mention as it stands in an item."""
        sign = "" if self.quote else self.separator.strip()[0]
        piece = piece.replace("\\", "\\\\")
        return self._written(piece.replace(sign, "\\" + sign) if sign else piece)

    def _written(self, item: str) -> str:
        # A flat text has none of the other signs that JSON escapes.
        return item.replace("\\", "\\\\").replace('"', '\\"') if self.quote else item

    def add(
        self, builder: Builder, view: str, start: int, done: int, suffixes: Iterable[str] = ("",)
    ) -> None:
        """Adds the paths from ``start`` to ``done``: lists of strings of the flat text, in text order.

        The strings stand between token boundaries and do not overlap; those of :func:`_repeated` may have
        their ordinals. States are linear in the text: one chain waits for the next start, one copies from
        boundary to boundary.
        """
        bounds = [i for i in range(len(view) + 1) if is_boundary(view, i)]
        # At each boundary: between two mentions, within one that goes on, and behind one that may be over.
        gap, inside, ended = ([builder.state() for _ in bounds] for _ in range(3))
        endings = [suffix + self.quote for suffix in dict.fromkeys(suffixes)]
        builder.edge(start, "", gap[0])
        for i, (at, end) in enumerate(pairwise(bounds)):
            piece = view[at:end]
            builder.edge(gap[i], "", gap[i + 1])
            for literal in self._openings(view, at, end):
                builder.edge(gap[i], self.quote + literal, inside[i + 1])
            builder.edge(inside[i], self.inner(piece), inside[i + 1])
            if piece == ".":
                builder.edge(gap[i], self.quote + self._written("\\."), ended[i + 1])
                builder.edge(inside[i], self._written("\\."), ended[i + 1])
            elif piece != " ":
                builder.edge(inside[i + 1], "", ended[i + 1])
        for first, last, ordinal in _repeated(view, bounds, self.language):
            string = view[bounds[first] : bounds[last]]
            builder.edge(gap[first], self._opened(Item(string, "", ordinal)), ended[last])
        # After a mention the list goes on behind it only: items keep the text's order, so every list ends.
        for state, rest in zip(ended, gap, strict=True):
            after = builder.state()
            for ending in endings:
                builder.edge(state, ending, after)
            builder.edge(after, "", done)
            builder.edge(after, self.separator, rest)

    def _openings(self, view: str, start: int, end: int) -> list[str]:
        """Returns the spellings of ``view[start:end]`` at the beginning of a mention."""
        piece, inner, escaped = view[start:end], self.inner(view[start:end]), self._written("\\")
        if piece.startswith((" ", "#")):
            return [] if piece[0] == " " else [escaped + inner]
        return [inner, escaped + inner] if _MAY_READ_AS_NONE.match(view, start) else [inner]


def _repeated(view: str, bounds: Sequence[int], language: Language) -> list[tuple[int, int, int]]:
    """Returns the places of strings that stand twice or more: first and last bound by number, and ordinal.

    They have a letter, neither a blank nor a function word at an end, and at most ``_LONGEST`` tokens and
    blanks: a small model that has nothing more to say would otherwise go on with ordinals of other strings.
    """
    places: list[tuple[int, int, int]] = []
    tokens = [view[start:end] for start, end in pairwise(bounds)]
    starts = [i for i, token in enumerate(tokens) if token != " " and may_begin_name(token, language)]
    ends = {i for i, token in enumerate(tokens, start=1) if token != " " and may_end_name(token, language)}
    for size in range(1, _LONGEST + 1):
        groups: defaultdict[str, list[int]] = defaultdict(list)
        for i in starts:
            if i + size < len(bounds):
                groups[view[bounds[i] : bounds[i + size]]].append(i)
        several = {string: at for string, at in groups.items() if len(at) > 1}
        for string, at in several.items():
            if at[0] + size in ends and any(map(str.isalpha, string)):
                places += [(i, i + size, n) for n, i in enumerate(at, start=1)]
        starts = sorted(chain.from_iterable(several.values()))
    return places
