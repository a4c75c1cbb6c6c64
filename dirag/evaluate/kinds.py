"""Errors by kind: what became of each gold and each predicted entity of a document.

In come the spans of both sides, out comes one kind of ``KINDS`` for each. Spans that are on both sides are
correct and are put aside. The rest fall into groups that hang together by overlaps of a gold with a predicted
span, and the shape of its group decides the kind of a span. With the sides swapped, each kind becomes
that of ``SWAPPED``, or stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

Span: TypeAlias = tuple[int, int, str]

#: Each kind with its rule. "Overlaps" is said of a gold and a predicted entity neither of which is correct.
KINDS: Mapping[str, str] = {
    "correct": "both ends and the type are those of a gold entity",
    "wrong type": "one overlaps one: both ends are right, the type is not",
    "too long": "one overlaps one of its type, which lies within the predicted entity",
    "too short": "one overlaps one of its type, and the predicted entity lies within it",
    "shifted": "one overlaps one of its type, and each has characters that the other lacks",
    "type and boundary": "one overlaps one: neither the type nor both ends are right",
    "split": "one gold entity overlaps several predicted ones, which are apart from each other",
    "merged": "one predicted entity overlaps several gold ones, which are apart from each other",
    "entangled": "any other group of entities that overlap",
    "missed": "a gold entity that overlaps none",
    "spurious": "a predicted entity that overlaps none",
}
_PAIRS = (("missed", "spurious"), ("too long", "too short"), ("split", "merged"))
#: What a kind becomes where gold and predicted entities change sides; other kinds stay what they are.
SWAPPED: Mapping[str, str] = dict(_PAIRS) | {b: a for a, b in _PAIRS}


@dataclass(frozen=True, slots=True)
class Judged:
    """The kind of each span of a document, in the order of offsets."""

    gold: Mapping[Span, str]
    predicted: Mapping[Span, str]


def judge(gold: Collection[Span], predicted: Collection[Span]) -> Judged:
    """Returns the kind of every gold and every predicted span; one that is listed twice counts once."""
    correct = set(gold) & set(predicted)
    of_gold, of_predicted = dict.fromkeys(correct, "correct"), dict.fromkeys(correct, "correct")
    for group, against in _groups(set(gold) - correct, set(predicted) - correct):
        kind = _kind(group, against)
        of_gold.update(dict.fromkeys(group, kind))
        of_predicted.update(dict.fromkeys(against, kind))
    return Judged(dict(sorted(of_gold.items())), dict(sorted(of_predicted.items())))


def _kind(gold: Sequence[Span], predicted: Sequence[Span]) -> str:
    """Returns the kind of a group."""
    if not predicted:
        return "missed"
    if not gold:
        return "spurious"
    if len(gold) == len(predicted) == 1:
        return _kind_of_pair(gold[0], predicted[0])
    if len(gold) == 1 and _are_apart(predicted):
        return "split"
    if len(predicted) == 1 and _are_apart(gold):
        return "merged"
    return "entangled"


def _kind_of_pair(gold: Span, predicted: Span) -> str:
    if gold[:2] == predicted[:2]:
        return "wrong type"
    if gold[2] != predicted[2]:
        return "type and boundary"
    # Equal spans of one type were put aside as correct: one end at least differs here.
    if predicted[0] <= gold[0] and gold[1] <= predicted[1]:
        return "too long"
    if gold[0] <= predicted[0] and predicted[1] <= gold[1]:
        return "too short"
    return "shifted"


def _are_apart(spans: Sequence[Span]) -> bool:
    ordered = sorted(spans)
    return all(a[1] <= b[0] for a, b in pairwise(ordered))


def _groups(gold: Iterable[Span], predicted: Iterable[Span]) -> Iterator[tuple[list[Span], list[Span]]]:
    """Yields gold and predicted spans that hang together by overlaps of one with the other."""
    marked = sorted([(span, True) for span in gold] + [(span, False) for span in predicted])
    first = end = 0
    for i, (span, _) in enumerate(marked):
        # Nothing after a gap overlaps what is before it, so one stretch is compared at a time.
        if span[0] >= end:
            yield from _linked(marked[first:i])
            first = i
        end = max(end, span[1])
    yield from _linked(marked[first:])


def _linked(marked: Sequence[tuple[Span, bool]]) -> Iterator[tuple[list[Span], list[Span]]]:
    remaining = list(marked)
    while remaining:
        group = [remaining.pop(0)]
        for span, is_gold in group:  # a list may grow while it is walked: what is reached is walked too
            reached = [other for other in remaining if other[1] != is_gold and _overlap(span, other[0])]
            group += reached
            remaining = [other for other in remaining if other not in reached]
        yield [span for span, is_gold in group if is_gold], [span for span, is_gold in group if not is_gold]


def _overlap(a: Span, b: Span) -> bool:
    return a[0] < b[1] and b[0] < a[1]
