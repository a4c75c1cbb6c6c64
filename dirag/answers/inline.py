"""The answer as the sentence itself, on one line, with its mentions in brackets (TANL).

``mutations in the [ ataxia - telangiectasia | disease ] gene``. In the text a backslash stands before
``\\``, ``[`` and ``|``. A mention with an end inside a word has brackets without spaces, as in
``anti[hypertensive|drug]s``, so that the constraint can keep the usual ones to token boundaries.

A copy that the model changed is aligned with the text token by token, and a mention whose tokens did not
change is found by that; of any other only its string is known.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from dirag.answers.labels import check_types, find_type
from dirag.constraint import Builder, Constraint
from dirag.data import Entity, Issue, Mention
from dirag.text.occurrences import flat_view, flatten, is_boundary, is_bounded, trim

_SIGN = re.compile(r"\\(?P<escaped>[\\\[|])|(?P<open>\[ ?)| ?\|(?P<type>[^|\[\]\\]{1,80})\]|(?P<plain>.)")
_TOKEN = re.compile(r"[^\W_]+|[^\w\s]|_")
_NEAR = 8


class Inline:
    """The copied sentence with mentions of the given types in brackets."""

    name = "inline"
    stop: tuple[str, ...] = ("\n",)
    opening = "[ "

    def __init__(self, types: tuple[str, ...]) -> None:
        self.types = check_types(types)

    def render(self, text: str, entities: Sequence[Entity]) -> str:
        """Bracket the entities of the wanted types; of those that overlap, the first and longest stays."""
        view = flat_view(text)
        parts: list[str] = []
        end = 0
        for entity in sorted(entities, key=lambda e: (e.start, -e.end)):
            first, last = trim(text, entity.start, entity.end)
            if entity.type not in self.types or first == last:
                continue
            start, stop = bisect_left(view.starts, first), bisect_left(view.ends, last) + 1
            if start >= end:
                before, after = _brackets(entity.type, inside=not is_bounded(view.text, start, stop))
                parts += [_escape(view.text[end:start]), before, _escape(view.text[start:stop]), after]
                end = stop
        return "".join([*parts, _escape(view.text[end:])]).strip()

    def constrain(self, text: str) -> Constraint:
        """Admit the text's copy with any strings of it in brackets, in linearly many states."""
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
        """Add the ways through brackets; those for the ``inside`` of words may also keep to boundaries."""
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
        """Read a copy; a bracket that is not closed, or not by a wanted type, is an "unparsed" issue."""
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
    """A copy without its brackets; ``spans`` were in them, ``problems`` are brackets that make none."""

    text: str = ""
    spans: list[tuple[int, int, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unclosed: int = 0


def _read(line: str, types: tuple[str, ...]) -> _Copy:
    copy = _Copy()
    chars: list[str] = []
    opened: list[int] = []
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
    """Where each token of the copy begins in the text, for those that are found in order.

    A token that is not next in the text is looked for a few tokens on, then, with the two after it,
    anywhere later; if it is nowhere, the model added it. Linear in both, but for the sorting of what repeats.
    """
    ours = [(m.start(), m[0]) for m in _TOKEN.finditer(copy)]
    theirs = [(m.start(), m[0]) for m in _TOKEN.finditer(text)]
    words = [word for _, word in theirs]
    triples: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for i in range(len(words) - 2):
        triples[tuple(words[i : i + 3])].append(i)
    starts: dict[int, int] = {}
    at = 0
    for i, (start, word) in enumerate(ours):
        following = tuple(w for _, w in ours[i : i + 3])
        found = _next(words, at, word, following, triples.get(following, []))
        if found is not None:
            starts[start] = theirs[found][0]
            at = found + 1
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
    """What stands before and after a mention; ``inside`` a word if one of its ends is."""
    return ("[", f"|{type_}]") if inside else ("[ ", f" | {type_} ]")


def _escape(text: str) -> str:
    return re.sub(r"([\\\[|])", r"\\\1", text)
