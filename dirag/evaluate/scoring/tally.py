"""Entities of many documents counted at once: those of each side, and the pairs of each kind.

In: texts with their gold and predicted entities. Out: a row of integers for each document and for each type,
columns as in ``COLUMNS``, from which the counts in every scheme are read. The texts are laid end to end:
entities of different ones cannot overlap then, so pairs are made once for all.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from dirag.data import Entity
from dirag.evaluate.scoring.counts import Table
from dirag.evaluate.scoring.pairing import Pair, Span, by_span, by_type

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: gold, predicted: distinct entities of each side.
#: equal: pairs with the same span and type. These are pairs in every scheme; two sets of further pairs go on
#: from them, and no scheme reads both sets:
#:   by span (exact, partial, strict): same_span, of which only the type differs; then overlapping;
#:   by type (type): same_type, which overlap and share a type; then other_type, which overlap only.
#: gold_tokens, predicted_tokens, equal_tokens: (token, type) pairs on either side, and on both.
_SIDES = ("gold", "predicted", "equal", "gold_tokens", "predicted_tokens", "equal_tokens")
COLUMNS = (*_SIDES[:3], "same_span", "overlapping", "same_type", "other_type", *_SIDES[3:])

#: Whether each ASCII character is white space; and the white space beyond ASCII.
_IS_SPACE = bytes(chr(point).isspace() for point in range(256))
_SPACES = [space for space in map(chr, range(128, 0x3001)) if space.isspace()]


class _Marked(NamedTuple):
    """Entities or tokens, a column each (start, end, type, document), with the sides that each is on.

    ``score`` is the score of a predicted entity, NaN where there is none.
    """

    columns: Table
    in_gold: NDArray[np.bool_]
    in_predicted: NDArray[np.bool_]
    score: NDArray[np.float64]

    def only(self, which: NDArray[np.bool_]) -> _Marked:
        return _Marked(
            self.columns[:, which], self.in_gold[which], self.in_predicted[which], self.score[which]
        )


class Tally(NamedTuple):
    """The outcome of a count: rows with the columns of ``COLUMNS``, and two numbers a predicted entity.

    These are its score, NaN where it has none, and whether it is correct, 1 or 0; where an entity is listed
    twice, the best score counts, and having none is better than any. ``ignored`` is how many predicted
    entities were left out for their types.
    """

    documents: Table
    types: dict[str, Table]
    judged: NDArray[np.float64]
    ignored: int


def tally(
    texts: Sequence[str],
    gold: Sequence[Sequence[Entity]],
    predicted: Sequence[Sequence[Entity]],
    *,
    types: Collection[str] | None = None,
    tokens: bool = True,
) -> Tally:
    """Counts a row a document, and one a type: there, the entities of that type are looked at by themselves.

    The entities of a document are a set of (start, end, type). A token stands between white space, and is of
    each type of which an entity covers it, wholly or in part. Entities of other ``types`` are left out.
    """
    import numpy as np

    offsets = np.cumsum([0, *map(len, texts)]) + np.arange(len(texts) + 1)
    listed, kinds = _laid_out(gold, predicted, offsets)
    entities = _distinct(listed)
    of_types = np.array([types is None or kind in types for kind in kinds], np.bool_)[entities.columns[2]]
    ignored = int(np.count_nonzero(entities.in_predicted & ~of_types))
    entities = entities if of_types.all() else entities.only(of_types)
    marked = [entities] + ([_distinct(_tokens(entities, texts))] if tokens else [])
    sides = [
        rows[2:, which]
        for rows, in_gold, in_predicted, _ in marked
        for which in (in_gold, in_predicted, in_gold & in_predicted)
    ]
    pairs = _paired(entities, offsets)
    columns = dict(zip(_SIDES, sides, strict=False))
    of_document = _counted(columns | pairs, 1, len(texts))
    # Within one type, pairs that overlap share the type, and unequal ones never have one span.
    of_type = _counted(
        columns | dict.fromkeys(("overlapping", "same_type"), pairs["same_type"]), 0, len(kinds)
    )
    per_type = {kind: row for kind, row in zip(kinds, of_type, strict=True) if types is None or kind in types}
    judged = np.stack([entities.score, entities.in_gold], axis=1)[entities.in_predicted]
    return Tally(of_document, per_type, judged, ignored)


def _laid_out(
    gold: Sequence[Sequence[Entity]], predicted: Sequence[Sequence[Entity]], offsets: Table
) -> tuple[_Marked, list[str]]:
    """Returns all entities as they are listed, and the types by their numbers."""
    import numpy as np

    flat = list(chain.from_iterable(chain(gold, predicted)))
    types = [entity.type for entity in flat]
    number = {kind: code for code, kind in enumerate(dict.fromkeys(types))}
    sizes = list(map(len, chain(gold, predicted)))
    columns = np.empty((4, len(flat)), np.int64)
    columns[3] = np.repeat(np.arange(len(sizes)) % max(1, len(gold)), sizes)
    columns[2] = list(map(number.__getitem__, types))
    columns[1] = [entity.end for entity in flat]
    columns[0] = [entity.start for entity in flat]
    columns[:2] += offsets[columns[3]]
    first = sum(sizes[: len(gold)])
    in_gold = np.arange(len(flat)) < first
    score = np.full(len(flat), -1.0)  # less than any, so that those of gold entities count nowhere
    score[first:] = [math.nan if entity.score is None else entity.score for entity in flat[first:]]
    return _Marked(columns, in_gold, ~in_gold, score), list(number)


def _distinct(listed: _Marked) -> _Marked:
    """Returns each column once, by its start, on all the sides where it is listed."""
    import numpy as np

    if not listed.columns.size:
        return listed
    order = np.lexsort(listed.columns[2::-1])
    columns = listed.columns[:, order]
    new = np.ones(len(order), np.bool_)
    new[1:] = np.logical_or.reduce(columns[:3, 1:] != columns[:3, :-1])
    begins = np.flatnonzero(new)
    sides = (listed.in_gold, listed.in_predicted)
    in_gold, in_predicted = (np.logical_or.reduceat(side[order], begins) for side in sides)
    # The maximum with NaN is NaN: an entity that is listed once without a score has none.
    score = np.maximum.reduceat(listed.score[order], begins)
    return _Marked(columns[:, begins], in_gold, in_predicted, score)


def _tokens(entities: _Marked, texts: Sequence[str]) -> _Marked:
    """Returns the tokens of each entity, by their number, which is both start and end."""
    import numpy as np

    text = "\n".join(texts)
    for space in () if text.isascii() else _SPACES:
        text = text.replace(space, " ")
    is_space = np.frombuffer(text.encode("ascii", "replace").translate(_IS_SPACE), np.bool_)
    begins = ~is_space
    begins[1:] &= is_space[:-1]
    token = np.cumsum(begins, dtype=np.int32) - 1  # of white space, the token before it
    start, end = entities.columns[:2]
    first = token[start] + is_space[start]
    many = token[end - 1] - first + 1
    entity = np.repeat(np.arange(len(many)), many)
    covered = (first - np.cumsum(many) + many)[entity] + np.arange(len(entity))
    columns = np.stack([covered, covered, *entities.columns[2:, entity]])
    return _Marked(columns, entities.in_gold[entity], entities.in_predicted[entity], entities.score[entity])


def _paired(entities: _Marked, offsets: Table) -> dict[str, Table]:
    """Returns type and document of the gold entity of each pair of unequal ones, by the kind of pair."""
    import numpy as np

    gold = entities.columns[:, entities.in_gold & ~entities.in_predicted]
    predicted = entities.columns[:, entities.in_predicted & ~entities.in_gold]
    i, j, left, right = _alone(gold, predicted)
    a, b = gold[:, i], predicted[:, j]
    one_span, one_type = (a[:2] == b[:2]).all(axis=0), a[2] == b[2]
    others = _spans(gold[:, left]), _spans(predicted[:, right])
    pairs, (typed, untyped) = by_span(*others), by_type(*others)
    same = [pair for pair in pairs if pair[0][:2] == pair[1][:2]]
    return {
        column: np.concatenate([a[2:, which], _rows(further, offsets)], axis=1)
        for column, which, further in (
            ("same_span", one_span, same),
            ("overlapping", ~one_span, pairs[len(same) :]),
            ("same_type", one_type, typed),
            ("other_type", ~one_type, untyped),
        )
    }


def _alone(gold: Table, predicted: Table) -> tuple[Table, Table, Table, Table]:
    """Returns the places of entities that overlap each other and nothing else: most pairs are such.

    Then the places of all others that overlap anything, on each side.
    """
    import numpy as np

    # Spans that overlap [start, end) are those that begin before its end, less those that end by its start:
    # two binary searches give the number for all spans at once. Two spans that overlap nothing but each other
    # can only be a pair, so the search for a largest set of pairs, in Python, sees the few others.
    degrees, lasts = [], []
    for these, those in ((gold, predicted), (predicted, gold)):
        number = np.searchsorted(those[0], these[1])
        degrees.append(number - np.searchsorted(np.sort(those[1]), these[0], side="right"))
        lasts.append(number - 1)
    i = np.flatnonzero(degrees[0] == 1)
    j = lasts[0][i]
    # Where entities are nested, the one that begins last may not be the one that overlaps.
    mutual = (degrees[1][j] == 1) & (predicted[1, j] > gold[0, i])
    i, j = i[mutual], j[mutual]
    left, right = (np.flatnonzero(degree) for degree in degrees)
    return i, j, np.setdiff1d(left, i, assume_unique=True), np.setdiff1d(right, j, assume_unique=True)


def _spans(columns: Table) -> set[Span[int]]:
    return set(zip(*columns[:3].tolist(), strict=True))


def _rows(pairs: Iterable[Pair[int]], offsets: Table) -> Table:
    """Returns the type and document of the gold entity of each pair."""
    import numpy as np

    start, _, kind = np.array([a for a, _ in pairs], np.int64).reshape(-1, 3).T
    return np.stack([kind, np.searchsorted(offsets, start, side="right") - 1])


def _counted(columns: Mapping[str, Table], by: int, number: int) -> Table:
    """Returns a row a type (``by`` 0) or a document (1), with the number of entities in each column."""
    import numpy as np

    nothing = np.zeros((2, 0), np.int64)
    return np.stack([np.bincount(columns.get(c, nothing)[by], minlength=number) for c in COLUMNS], axis=1)
