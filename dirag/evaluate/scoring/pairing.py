"""Which predicted entity is held against which gold one: pairs, each entity in one at most.

In: the gold and predicted entities of a document as sets of (start, end, type); out: the pairs. Entities that
are equal are paired first, then those of the same span, then as many as overlap; where the type decides, as
many as overlap and have the same type come before the others that overlap. Where the entities of each side do
not overlap among themselves, no other pairs would give a better score in any scheme; nested ones get the
best score of all pairs in which equal entities stay together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet
from heapq import heappop, heappush
from operator import itemgetter
from typing import TypeAlias, TypeVar

from dirag.data import Entity

K = TypeVar("K", str, int)  # a type, by its name or by a number
Span: TypeAlias = tuple[int, int, K]
Pair: TypeAlias = tuple[Span[K], Span[K]]


def spans(entities: Iterable[Entity]) -> set[Span[str]]:
    """Returns entities as they are compared; one that is listed twice is there once."""
    return {(entity.start, entity.end, entity.type) for entity in entities}


def pairs(gold: AbstractSet[Span[K]], predicted: AbstractSet[Span[K]]) -> list[Pair[K]]:
    """Returns the pairs of a document: equal entities, then those of one span, then those that overlap."""
    return [(span, span) for span in gold & predicted] + by_span(gold - predicted, predicted - gold)


def by_span(gold: AbstractSet[Span[K]], predicted: AbstractSet[Span[K]]) -> list[Pair[K]]:
    """Pairs entities none of which are equal: those of the same span, then as many as overlap."""
    waiting: dict[tuple[int, int], list[Span[K]]] = {}
    # Sorted: a set has another order in each process, and the pairs must not.
    for span in sorted(gold):
        waiting.setdefault(span[:2], []).append(span)
    same = [(of_span.pop(), span) for span in sorted(predicted) if (of_span := waiting.get(span[:2]))]
    return same + overlapping(*_rest(gold, predicted, same))


def by_type(
    gold: AbstractSet[Span[K]], predicted: AbstractSet[Span[K]]
) -> tuple[list[Pair[K]], list[Pair[K]]]:
    """Pairs entities none of which are equal: as many as overlap and share a type; then the others."""
    typed = [
        pair
        for kind in {span[2] for span in gold}
        for pair in overlapping(_of(kind, gold), _of(kind, predicted))
    ]
    return typed, overlapping(*_rest(gold, predicted, typed))


def overlapping(gold: Collection[Span[K]], predicted: Collection[Span[K]]) -> list[Pair[K]]:
    """Returns as many pairs that overlap as there can be.

    The entity that ends first gets that of the other side which overlaps it and ends first: in a largest set
    of pairs these two can always take the place of what they are in.
    """
    sides = [[(end, start, kind) for start, end, kind in side] for side in (gold, predicted)]
    ends = sorted((entry, side) for side in (0, 1) for entry in sides[side])
    starts = [sorted(side, key=itemgetter(1), reverse=True) for side in sides]
    open_: list[list[tuple[int, int, K]]] = [[], []]  # of each side, what has begun, by its end
    done: list[set[tuple[int, int, K]]] = [set(), set()]
    paired = []
    for entry, side in ends:
        if entry in done[side]:
            continue
        done[side].add(entry)
        coming, others, gone = starts[1 - side], open_[1 - side], done[1 - side]
        while coming and coming[-1][1] < entry[0]:
            heappush(others, coming.pop())
        while others and others[0] in gone:
            heappop(others)
        # What waits overlaps: it begins before this one ends, and ends no earlier, or it would be gone.
        if others:
            gone.add(others[0])
            a, b = (entry, others[0]) if side == 0 else (others[0], entry)
            paired.append(((a[1], a[0], a[2]), (b[1], b[0], b[2])))
    return paired


def _rest(
    gold: AbstractSet[Span[K]], predicted: AbstractSet[Span[K]], paired: Iterable[Pair[K]]
) -> tuple[AbstractSet[Span[K]], AbstractSet[Span[K]]]:
    return gold - {a for a, _ in paired}, predicted - {b for _, b in paired}


def _of(kind: K, entities: Iterable[Span[K]]) -> list[Span[K]]:
    return [span for span in entities if span[2] == kind]
