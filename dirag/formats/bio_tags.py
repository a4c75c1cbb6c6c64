"""Character spans to BIO tags over whitespace tokens, and back (the IOB2 scheme, read strictly).

In come a text with its entities, or tokens with their tags; out comes the other. What one side cannot say of
the other is handed back to the caller, never dropped in silence. Scores do not pass through here: `score`
compares character offsets, so a span off the token boundaries counts as what it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dirag.data import Entity, Issue


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
        begin, end = first.get(entity.start, -1), last.get(entity.end, -1)
        if begin < free or end < begin:
            left_out.append(entity)
            continue
        tags[begin : end + 1] = [f"B-{entity.type}", *[f"I-{entity.type}"] * (end - begin)]
        free = end + 1
    return [token.group() for token in tokens], tags, left_out


def from_bio(tokens: Sequence[str], tags: Sequence[str]) -> tuple[str, tuple[Entity, ...], tuple[Issue, ...]]:
    """Returns the tokens joined by spaces, the entities of the tags, and an issue for each tag refused.

    Strict as in seqeval's mode of that name: an entity is a ``B-`` with the ``I-`` of the same type right
    after it. An ``I-`` that continues nothing is refused, for it does not say where its entity begins: the
    lenient readings, which count it as a beginning, reward a system for malformed output.
    Raises ValueError where there are not as many tags as tokens.
    """
    text, offset, open_type = " ".join(tokens), 0, ""
    spans: list[tuple[int, int, str]] = []
    issues: list[Issue] = []
    for i, (token, tag) in enumerate(zip(tokens, tags, strict=True)):
        prefix, _, kind = tag.partition("-")
        start, end = offset, offset + len(token)
        offset = end + 1
        if prefix == "B" and kind and token:
            spans.append((start, end, kind))
            open_type = kind
        elif prefix == "I" and kind == open_type and kind and token:
            spans[-1] = (spans[-1][0], end, kind)
        else:
            open_type = ""
            if tag != "O":
                issues.append(Issue("unusable-label", f"token {i + 1}", _refusal(token, prefix, kind)))
    return text, tuple(Entity(s, e, kind, text[s:e]) for s, e, kind in spans), tuple(issues)


def _refusal(token: str, prefix: str, kind: str) -> str:
    """Tells why a tag is refused; never repeats the tag, which in a broken file may be document text."""
    if not kind or prefix not in {"B", "I"}:
        return "the tag is not O, B-type or I-type"
    return "an I- tag that continues no entity of its type" if token else "a tag on an empty token"
