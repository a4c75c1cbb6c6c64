"""Tags of words (IO, BIO, BIOES, BILOU) to spans of words, and character spans to BIO tags and back.

``Scheme.spans`` is the one decoder of tags, whether they stand in a file or a model gave them. What one side
cannot say of the other is handed back to the caller, never dropped in silence. Scores do not pass through
here: `score` compares character offsets, so a span off the token boundaries counts as what it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import NamedTuple

from dirag.data import Entity, Issue


class WordSpan(NamedTuple):
    """An entity of the words ``start`` to ``end``, half-open."""

    start: int
    end: int
    type: str


@dataclass(frozen=True, slots=True)
class Scheme:
    """A way to read tags, ``O`` or a prefix and a type: ``B-disease``.

    ``prefixes``: those that the scheme has. ``orphans_begin``: an inside or end tag that continues no entity
    of its type begins one, as IO and IOB1 mean it; where not, it is refused.
    """

    prefixes: frozenset[str]
    orphans_begin: bool

    def has(self, tag: str) -> bool:
        """Tells whether a tag is one of the scheme's; "O" is."""
        prefix, _, type_ = tag.partition("-")
        return tag == "O" or (prefix in self.prefixes and type_ != "")

    def spans(self, tags: Iterable[str]) -> tuple[list[WordSpan], list[int]]:
        """Returns the entities of a sentence with a tag a word, and the numbers of the tags that are refused.

        A refused tag ends the entity before it, as ``O`` does.
        """
        spans: list[WordSpan] = []
        refused: list[int] = []
        open_type = ""  # of the entity that the next word may continue
        for number, tag in enumerate(tags):
            prefix, _, type_ = tag.partition("-")
            continues = type_ == open_type and prefix in _INSIDE
            if tag == "O" or not self.has(tag) or not (continues or self.orphans_begin or prefix in _BEGIN):
                if tag != "O":
                    refused.append(number)
                open_type = ""
                continue
            start = spans.pop().start if continues else number
            spans.append(WordSpan(start, number + 1, type_))
            open_type = "" if prefix in _END else type_
        return spans, refused


_BEGIN, _INSIDE, _END = frozenset("BSU"), frozenset("IMEL"), frozenset("ESLU")
#: The reading of seqeval's mode "strict": to take an orphan for a beginning rewards malformed output.
STRICT_BIO = Scheme(frozenset("BI"), orphans_begin=False)
#: Every scheme there is at once: well-formed tags of one mean in no other something else.
ANY_SCHEME = Scheme(_BEGIN | _INSIDE | _END, orphans_begin=True)


#: The type of entities whose tags name none: B and I alone.
UNNAMED = "entity"
_HABITS = (
    (re.compile("(.+)[-_]([BIESLUM])"), r"\2-\1"),
    (re.compile("([BIESLUM])_(.+)"), r"\1-\2"),
)


def reading_of(tags: Collection[str]) -> Callable[[str], str]:
    """Returns how tags become ``prefix-type``, by the habit of those that one file or record uses.

    They may be ``b-disease``, ``disease-B``, ``B_disease``, ``B`` without a type, or types without a prefix
    beside ``O``.
    """
    marks = {tag for tag in tags if tag != "O"}
    if not marks or all(map(ANY_SCHEME.has, marks)):
        return lambda tag: tag
    for habit, order in _HABITS:
        if all(habit.fullmatch(tag) for tag in marks):
            return partial(habit.sub, order)
    if all(ANY_SCHEME.has(_capital(tag)) for tag in marks):
        return _capital
    if any(map(ANY_SCHEME.has, marks)):
        return lambda tag: tag
    if marks <= _BEGIN | _INSIDE | _END:
        return lambda tag: f"{tag}-{UNNAMED}" if tag in marks else tag
    if len(marks) < len(set(tags)):
        return lambda tag: tag if tag in ("O", "") else f"I-{tag}"
    return lambda tag: tag


def _capital(tag: str) -> str:
    return tag[:1].upper() + tag[1:]


def to_bio(text: str, entities: Iterable[Entity]) -> tuple[list[str], list[str], list[Entity]]:
    """Returns the whitespace tokens of a text, their IOB2 tags, and the entities that these tags cannot say.

    Those are the entities that begin or end inside a token, and those that overlap one that starts earlier
    (of two that start together, the longer has the place).
    """
    tokens = list(re.finditer(r"\S+", text))
    first = {token.start(): i for i, token in enumerate(tokens)}
    last = {token.end(): i for i, token in enumerate(tokens)}
    tags = ["O"] * len(tokens)
    left_out, free = [], 0
    for entity in sorted(entities, key=lambda e: (e.start, -e.end, e.type)):
        # Whatever is missing has -1, which fails one of the two tests.
        begin, end = first.get(entity.start, -1), last.get(entity.end, -1)
        if begin < free or end < begin:
            left_out.append(entity)
            continue
        tags[begin : end + 1] = [f"B-{entity.type}", *[f"I-{entity.type}"] * (end - begin)]
        free = end + 1
    return [token.group() for token in tokens], tags, left_out


def from_bio(tokens: Sequence[str], tags: Sequence[str]) -> tuple[str, tuple[Entity, ...], tuple[Issue, ...]]:
    """Returns the tokens joined by spaces, the entities of the tags, and an issue for each tag refused.

    The tags are read as ``STRICT_BIO``; a tag on an empty token is refused. Raises ValueError where there are
    not as many tags as tokens.
    """
    # An empty token has no characters to be an entity of, so its tag is made one that no scheme has.
    readable = [tag if token or tag == "O" else "" for token, tag in zip(tokens, tags, strict=True)]
    spans, refused = STRICT_BIO.spans(readable)
    issues = (Issue("unusable-label", f"token {n + 1}", _refusal(tokens[n], tags[n])) for n in refused)
    return " ".join(tokens), tuple(to_entities(tokens, spans)), tuple(issues)


def to_entities(tokens: Sequence[str], spans: Iterable[WordSpan]) -> Iterator[Entity]:
    """Yields the entities of word spans, with offsets into the tokens joined by spaces."""
    text = " ".join(tokens)
    ends = list(accumulate(len(token) + 1 for token in tokens))
    for first, after, type_ in spans:
        start, end = ends[first] - len(tokens[first]) - 1, ends[after - 1] - 1
        yield Entity(start, end, type_, text[start:end])


def _refusal(token: str, tag: str) -> str:
    """Says why a tag is refused; never repeats the tag, which in a broken file may be document text."""
    if not STRICT_BIO.has(tag):
        return "the tag is not O, B-type or I-type"
    return "an I- tag that continues no entity of its type" if token else "a tag on an empty token"
