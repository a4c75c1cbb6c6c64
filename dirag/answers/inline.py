"""The answer as the sentence itself, on one line, with its mentions in brackets (TANL).

``mutations in the [ ataxia - telangiectasia | disease ] gene``. In the text a backslash stands before
``\\``, ``[`` and ``|``. A mention with an end inside a word has brackets without spaces, as in
``anti[hypertensive|drug]s``, so that the constraint can keep the usual ones to token boundaries.

A copy that the model changed is aligned with the text token by token. A mention whose tokens are unchanged
has its place by that; any other is searched by its string.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from dirag.answers.labels import check_types, find_type
from dirag.answers.listing import side_by_side
from dirag.constraint import Builder, Constraint
from dirag.data import Entity, Issue, Mention
from dirag.text.language import Language
from dirag.text.occurrences import flat_view, flatten, is_boundary, is_bounded, trim

_SIGN = re.compile(r"\\(?P<escaped>[\\\[|])|(?P<open>\[ ?)| ?\|(?P<type>[^|\[\]\\]{1,80})\]|(?P<plain>.)")
_TOKEN = re.compile(r"[^\W_]+|[^\w\s]|_")
_NEAR = 8  # tokens of the text that a copy may have left out and still be taken up again by two tokens


class Inline:
    """The copied sentence with mentions of the given types in brackets."""

    name = "inline"
    stop: tuple[str, ...] = ("\n",)
    opening = "[ "

    def __init__(self, types: tuple[str, ...], language: Language) -> None:
        self.types = check_types(types)  # a copy has no words but those of its text, in any language

    def render(self, text: str, entities: Sequence[Entity]) -> str:
        """Brackets the entities of the wanted types; of those that overlap, the first and longest stays."""
        view = flat_view(text)
        parts: list[str] = []
        end = 0
        for first, last, type_ in side_by_side(text, entities, self.types):
            start, stop = bisect_left(view.starts, first), bisect_left(view.ends, last) + 1
            before, after = _brackets(type_, inside=not is_bounded(view.text, start, stop))
            parts += [_escape(view.text[end:start]), before, _escape(view.text[start:stop]), after]
            end = stop
        return "".join([*parts, _escape(view.text[end:])]).strip()

    def constrain(self, text: str) -> Constraint:
        """Admits copies of the text with any strings of it in brackets, in linearly many states."""
        view = flatten(text).strip()
        builder = Builder()
        outside = [builder.state() for _ in view]
        outside.append(builder.state(final=True))
        builder.edge(builder.body, "", outside[0])
        for i, char in enumerate(view):
            builder.edge(outside[i], _escape(char), outside[i + 1])
        for inside in (False, True):
            self._constrain_mentions(builder, view, outside, inside=inside)
        return builder.build()

    def _constrain_mentions(
        self, builder: Builder, view: str, outside: Sequence[int], *, inside: bool
    ) -> None:
        """Adds the paths through brackets; those for the ``inside`` of words may keep to boundaries too."""
        # One chain of states for all types: the opening bracket does not name the type, only the closing one.
        brackets = [_brackets(type_, inside=inside) for type_ in self.types]
        copied = [builder.state() for _ in outside]
        for i, char in enumerate(view):
            builder.edge(copied[i], _escape(char), copied[i + 1])
            if char != " " and (inside or is_boundary(view, i)):
                builder.edge(outside[i], brackets[0][0] + _escape(char), copied[i + 1])
            if char != " " and (inside or is_boundary(view, i + 1)):
                for _, after in brackets:
                    builder.edge(copied[i + 1], after, outside[i + 1])

    def parse(self, text: str, answer: str) -> tuple[list[Mention], list[Issue]]:
        """Reads a copy; a bracket that is not closed, or not by a wanted type, is an "unparsed" issue."""
        lines = answer.strip().splitlines() or [""]
        copy = _read(lines[0], self.types)
        issues = [Issue("unparsed", "", problem) for problem in copy.problems]
        # An answer that did not escape the text's own brackets has opened none by them.
        issues += [Issue("unparsed", "", "a bracket that is not closed")] * (copy.unclosed - text.count("["))
        if any(line.strip() for line in lines[1:]):
            issues.append(Issue("unparsed", "", "lines after the copy"))
        return _locate(text, copy), issues


@dataclass(slots=True)
class _Copy:
    """A copy without its brackets: the ``spans`` in them, and the ``problems`` of brackets without a span."""

    text: str = ""
    spans: list[tuple[int, int, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unclosed: int = 0


def _read(line: str, types: tuple[str, ...]) -> _Copy:
    copy = _Copy()
    chars: list[str] = []
    opened: list[int] = []  # a stack: a model may nest brackets, though no answer is rendered so
    for sign in _SIGN.finditer(line):
        if sign["open"]:
            opened.append(len(chars))
        elif sign["type"]:
            type_ = find_type(types, sign["type"])
            start = opened.pop() if opened else None
            if start is None:
                copy.problems.append("a bracket that was not opened")
            elif type_ is None:
                copy.problems.append("a mention without one of the wanted types")
            elif "".join(chars[start:]).strip():
                copy.spans.append((start, len(chars), type_))
        else:
            chars.append(sign["escaped"] or sign["plain"])
    copy.text = "".join(chars)
    copy.spans = sorted((*trim(copy.text, start, end), type_) for start, end, type_ in copy.spans)
    copy.unclosed = len(opened)
    return copy


def _locate(text: str, copy: _Copy) -> list[Mention]:
    view = flat_view(text)
    offset = len(view.text) - len(view.text.lstrip())
    # A faithful copy, the usual case, differs from the text by blanks at its beginning: one shift places all.
    unchanged = copy.text.strip() == view.text.strip()
    shift = offset - (len(copy.text) - len(copy.text.lstrip()))
    aligned = {} if unchanged else _align(copy.text, view.text)
    mentions: list[Mention] = []
    for start, end, type_ in copy.spans:
        name = copy.text[start:end]
        at = start + shift if unchanged else aligned.get(start)
        if at is None or view.text[at : at + len(name)] != name:
            mentions.append(Mention(name, type_))
        else:
            first, last = view.span(at, at + len(name))
            mentions.append(Mention(text[first:last], type_, start=first))
    return mentions


def _align(copy: str, text: str) -> dict[int, int]:
    """Returns where tokens of the copy begin in the text, by their offsets in the copy.

    A token that is not next in the text is searched a few tokens ahead, with the one after it, then anywhere
    later, with the two after it; if it is nowhere, the model added it. Takes linear time in both texts.
    """
    copied = [(m.start(), m[0]) for m in _TOKEN.finditer(copy)]
    tokens = [(m.start(), m[0]) for m in _TOKEN.finditer(text)]
    words = [word for _, word in tokens]
    triples: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for i in range(len(words) - 2):
        triples[tuple(words[i : i + 3])].append(i)
    starts: dict[int, int] = {}
    at = 0
    for i, (start, word) in enumerate(copied):
        following = tuple(w for _, w in copied[i : i + 3])
        number = _next(words, at, word, following, triples.get(following, []))
        if number is not None:
            starts[start] = tokens[number][0]
            at = number + 1
    return starts


def _next(
    words: Sequence[str], at: int, word: str, following: tuple[str, ...], later: Sequence[int]
) -> int | None:
    if at < len(words) and words[at] == word:
        return at
    pair = following[:2]
    for near in range(at + 1, min(at + 1 + _NEAR, len(words))):
        if tuple(words[near : near + len(pair)]) == pair:
            return near
    after = bisect_left(later, at)
    return later[after] if after < len(later) else None


def _brackets(type_: str, *, inside: bool) -> tuple[str, str]:
    """Returns the signs before and after a mention; it is ``inside`` a word if one of its ends is."""
    return ("[", f"|{type_}]") if inside else ("[ ", f" | {type_} ]")


def _escape(text: str) -> str:
    return re.sub(r"([\\\[|])", r"\\\1", text)
