"""Puts training examples in order: shuffled epoch by epoch, in batches of about one length.

In: training examples. Out: batches of rows of tokens, each with the position behind it, so that a training
that was killed goes on with the batch that is next.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import TypeVar

#: A training example in tokens; its ``len`` is the number of those that the model reads.
R = TypeVar("R", bound=Sized)
R_contra = TypeVar("R_contra", bound=Sized, contravariant=True)

#: Training examples drawn at once and sorted by length: more would need less padding, but take longer to draw
#: again when a training is resumed.
CHUNK = 1024


@dataclass(frozen=True, slots=True)
class Position:
    """The next batch: its chunk, its number there, and the training examples seen before it."""

    chunk: int = 0
    batch: int = 0
    seen: int = 0


def batches(
    draw: Callable[[Iterable[tuple[int, int]]], Sequence[R]],
    number: int,
    *,
    total: int,
    tokens: int,
    seed: int,
    start: Position = Position(),
) -> Iterator[tuple[list[R], Position]]:
    """Yields the batches of ``total`` training examples from a position on, each with the position behind it.

    ``draw`` gives the rows of pairs of epoch and place, of which an epoch has so great a ``number``; none may
    depend on what is drawn with it. A batch has at most so many ``tokens`` with its padding, or one row.
    """
    orders: dict[int, list[int]] = {}

    def shuffled(example: int) -> tuple[int, int]:
        epoch, place = divmod(example, number)
        if epoch not in orders:
            orders[epoch] = list(range(number))
            random.Random(f"{seed} order {epoch}").shuffle(orders[epoch])
        return epoch, orders[epoch][place]

    seen, skipped = start.seen, start.batch
    for chunk in range(start.chunk, -(-total // CHUNK)):
        drawn = range(chunk * CHUNK, min(total, (chunk + 1) * CHUNK))
        # Drawn whole also where a resumed training is past some of its batches: the order depends on all.
        chunk_batches = _by_length(draw(map(shuffled, drawn)), tokens)
        random.Random(f"{seed} chunk {chunk}").shuffle(chunk_batches)
        for following, batch in enumerate(chunk_batches[skipped:], start=skipped + 1):
            seen += len(batch)
            yield batch, Position(chunk, following, seen)
        skipped = 0


def _by_length(rows: Sequence[R], tokens: int) -> list[list[R]]:
    """Sorts the rows by length and cuts them into batches that hold as many as there is room for."""
    result: list[list[R]] = []
    for row in sorted(rows, key=len):
        if result and (len(result[-1]) + 1) * len(row) <= tokens:  # none is longer so far
            result[-1].append(row)
        else:
            result.append([row])
    return result
