"""The answer as a list: the mentions in text order, on one line, or ``none``.

One type: ``colorectal cancer; APC``. Several: ``colorectal cancer (disease); APC (gene)``.

A listed mention means every place where its string stands between token boundaries and no longer listed
mention does (``tests/benchmarks/repeats.py`` says what the other convention, one item a place, would cost).
Where that would be wrong, the places meant come last, each with its ordinal in
:func:`dirag.align.occurrences`: ``APC; #2 cancer`` is the second "cancer" only.

A mention has no blanks at its ends, and a line break inside it is a space. A backslash stands before
``\\`` and ``;``, before a full stop at the end, and before the first character of a mention that begins with
``#`` or that would read as none.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from itertools import pairwise
from typing import TypeAlias

from dirag.align import Span, occurrences, place
from dirag.answers.items import NONE, ItemReader, reads_as_none
from dirag.answers.labels import check_types
from dirag.constraint import Builder, Constraint
from dirag.data import Entity, Issue, Mention
from dirag.occurrences import flatten, is_boundary, trim

_MAY_READ_AS_NONE = re.compile(r"[.\"'*-]|none", re.IGNORECASE)

Key: TypeAlias = tuple[str, str]
Groups: TypeAlias = Mapping[Key, Sequence[Span]]


class Mentions:
    """Lists of mentions of the given types."""

    name = "mentions"
    stop: tuple[str, ...] = ("\n",)
    opening = ""

    def __init__(self, types: tuple[str, ...]) -> None:
        self.types = check_types(types)

    def render(self, text: str, entities: Sequence[Entity]) -> str:
        """List the entities of the wanted types; of those that overlap, the first and longest stays."""
        groups: defaultdict[Key, list[Span]] = defaultdict(list)
        end = 0
        for entity in sorted(entities, key=lambda e: (e.start, -e.end)):
            span = trim(text, entity.start, entity.end)
            if entity.type in self.types and end <= span[0] < span[1]:
                groups[flatten(text[slice(*span)]), entity.type].append(span)
                end = span[1]
        marked = _ambiguous(text, groups)
        plain = [self._item(key) for key in groups if key not in marked]
        ordinals = _ordinals(text, groups, marked)
        return "; ".join(plain + [f"#{n} {self._item(key)}" for n, key in ordinals]) or NONE

    def _item(self, key: Key) -> str:
        return _escape(key[0]) + self._suffix(key[1])

    def _suffix(self, type_: str) -> str:
        return f" ({type_})" if len(self.types) > 1 else ""

    def parse(self, text: str, answer: str) -> tuple[list[Mention], list[Issue]]:
        """Read an answer; each part that is no mention is an "unparsed" issue.

        A last item that the token limit cut short is not told from others here: only the caller knows.
        """
        reader = ItemReader(self.types, text)
        return reader.read(answer), reader.issues

    def constrain(self, text: str) -> Constraint:
        """Admit lists of strings of the text, between token boundaries and in text order, then marked ones.

        A marked one may be any string of the text, for ordinals reach inside words. States and edges are
        linear in the text: one chain waits for the next start, one copies from boundary to boundary,
        and one, for the marked, from character to character.
        """
        view = flatten(text).strip()
        bounds = [i for i in range(len(view) + 1) if is_boundary(view, i)]
        builder = Builder()
        builder.edge(builder.body, NONE, builder.state(final=True))
        gap, inside, ended = ([builder.state() for _ in bounds] for _ in range(3))
        marker = self._constrain_marked(builder, view)
        builder.edge(builder.body, "", gap[0])
        builder.edge(builder.body, "#", marker)
        for i, (start, end) in enumerate(pairwise(bounds)):
            piece = view[start:end]
            builder.edge(gap[i], "", gap[i + 1])
            for literal in _openings(view, start, end):
                builder.edge(gap[i], literal, inside[i + 1])
            builder.edge(inside[i], _inner(piece), inside[i + 1])
            if piece == ".":
                builder.edge(gap[i], "\\.", ended[i + 1])
                builder.edge(inside[i], "\\.", ended[i + 1])
            elif piece != " ":
                builder.edge(inside[i + 1], "", ended[i + 1])
        for state, rest in zip(ended, gap, strict=True):
            after = self._constrain_end(builder, state)
            builder.edge(after, "; ", rest)
            builder.edge(after, "; #", marker)
        return builder.build()

    def _constrain_marked(self, builder: Builder, view: str) -> int:
        marker, digits, start, ended = (builder.state() for _ in range(4))
        for digit in "0123456789":
            builder.edge(digits, digit, digits)
            if digit != "0":
                builder.edge(marker, digit, digits)
        builder.edge(digits, " ", start)
        inside = [builder.state() for _ in range(len(view) + 1)]
        for i, char in enumerate(view):
            for literal in _openings(view, i, i + 1):
                builder.edge(start, literal, inside[i + 1])
            builder.edge(inside[i], _inner(char), inside[i + 1])
            if char == ".":
                builder.edge(start, "\\.", ended)
                builder.edge(inside[i], "\\.", ended)
            elif char != " ":
                builder.edge(inside[i + 1], "", ended)
        builder.edge(self._constrain_end(builder, ended), "; #", marker)
        return marker

    def _constrain_end(self, builder: Builder, state: int) -> int:
        after = builder.state(final=True)
        for suffix in dict.fromkeys(map(self._suffix, self.types)):
            builder.edge(state, suffix, after)
        return after

    def constrain_to(self, text: str, candidates: Sequence[Entity]) -> Constraint:
        """Admit lists of some of the candidates, in text order; those that overlap exclude each other."""
        spans = sorted({(*trim(text, e.start, e.end), e.type) for e in candidates if e.type in self.types})
        spans = [span for span in spans if span[0] < span[1]]
        builder = Builder()
        builder.edge(builder.body, NONE, builder.state(final=True))
        gap = [builder.state() for _ in range(len(spans) + 1)]
        builder.edge(builder.body, "", gap[0])
        for i, (start, end, type_) in enumerate(spans):
            after = builder.state(final=True)
            builder.edge(gap[i], "", gap[i + 1])
            builder.edge(gap[i], self._item((flatten(text[start:end]), type_)), after)
            builder.edge(after, "; ", gap[bisect_left(spans, (end,))])
        return builder.build()


def _ambiguous(text: str, groups: Groups) -> Set[Key]:
    """The strings that must be listed place by place, because on their own they would be read otherwise."""
    marked = _misread(text, groups, frozenset())
    # What one wrong string no longer takes, another may take wrongly; then all are marked, which is exact.
    return frozenset(groups) if marked and _misread(text, groups, marked) else marked


def _misread(text: str, groups: Groups, marked: Set[Key]) -> Set[Key]:
    mentions = [Mention(text[s:e], key[1], start=s) for key in marked for s, e in groups[key]]
    mentions += [Mention(name, type_) for name, type_ in groups if (name, type_) not in marked]
    read: defaultdict[Key, list[Span]] = defaultdict(list)
    for entity in place(text, mentions)[0]:
        read[flatten(entity.text), entity.type].append((entity.start, entity.end))
    return {key for key, spans in groups.items() if read[key] != spans}


def _ordinals(text: str, groups: Groups, marked: Set[Key]) -> list[tuple[int, Key]]:
    """The ordinal of each marked place, in text order."""
    spans = occurrences(text, [name for name, _ in marked])
    number = {(name, span): n for name, found in spans.items() for n, span in enumerate(found, start=1)}
    places = sorted((span, key) for key in marked for span in groups[key])
    return [(number[key[0], span], key) for span, key in places]


def _inner(piece: str) -> str:
    return piece.replace("\\", "\\\\").replace(";", "\\;")


def _escape(name: str) -> str:
    inner = _inner(name)
    if name != "." and name.endswith("."):
        inner = inner[:-1] + "\\."
    return "\\" + inner if name.startswith("#") or reads_as_none(name) else inner


def _openings(view: str, start: int, end: int) -> list[str]:
    """The ways in which a mention that begins with ``view[start:end]`` may be written so far."""
    literal = _inner(view[start:end])
    if literal.startswith((" ", "#")):
        return [] if literal[0] == " " else ["\\" + literal]
    return [literal, "\\" + literal] if _MAY_READ_AS_NONE.match(view, start) else [literal]
