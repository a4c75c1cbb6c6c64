"""Puts training examples in order: shuffled epoch by epoch, in batches of about one length.

In: training examples. Out: batches of their tokens, each with the position behind it, so that a training that
was killed goes on with the batch that is next.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dirag.training.adapter.training_examples import TrainingExample, TrainingExamples

#: Training examples drawn at once and sorted by length: more would need less padding, but take longer to draw
#: again when a training is resumed.
CHUNK = 1024


@dataclass(frozen=True, slots=True)
class TokenRow:
    """The tokens of a prompt and of its answer."""

    prompt: Sequence[int]
    answer: Sequence[int]

    def __len__(self) -> int:
        """Returns the number of tokens that the model reads: the last one of an answer is only predicted."""
        return len(self.prompt) + len(self.answer) - 1


@dataclass(frozen=True, slots=True)
class Position:
    """The next batch: its chunk, its number there, and the training examples seen before it."""

    chunk: int = 0
    batch: int = 0
    seen: int = 0


def batches(
    examples: TrainingExamples,
    encode: Callable[[TrainingExample], TokenRow],
    *,
    total: int,
    tokens: int,
    seed: int,
    start: Position = Position(),
) -> Iterator[tuple[list[TokenRow], Position]]:
    """Yields the batches of ``total`` training examples from a position on, each with the position behind it.

    A batch has at most so many ``tokens`` with its padding, or one example.
    """
    orders: dict[int, list[int]] = {}

    def shuffled(number: int) -> tuple[int, int]:
        epoch, place = divmod(number, len(examples))
        if epoch not in orders:
            orders[epoch] = list(range(len(examples)))
            random.Random(f"{seed} order {epoch}").shuffle(orders[epoch])
        return epoch, orders[epoch][place]

    seen, skipped = start.seen, start.batch
    for chunk in range(start.chunk, -(-total // CHUNK)):
        numbers = range(chunk * CHUNK, min(total, (chunk + 1) * CHUNK))
        # Drawn whole also where a resumed training is past some of its batches: the order depends on all.
        rows = [encode(example) for example in examples.draw(map(shuffled, numbers))]
        chunk_batches = _by_length(rows, tokens)
        random.Random(f"{seed} chunk {chunk}").shuffle(chunk_batches)
        for number, batch in enumerate(chunk_batches[skipped:], start=skipped + 1):
            seen += len(batch)
            yield batch, Position(chunk, number, seen)
        skipped = 0


def _by_length(rows: Sequence[TokenRow], tokens: int) -> list[list[TokenRow]]:
    """Sorts the rows by length and cuts them into batches that hold as many as there is room for."""
    result: list[list[TokenRow]] = []
    for row in sorted(rows, key=len):
        if result and (len(result[-1]) + 1) * len(row) <= tokens:  # none is longer so far
            result[-1].append(row)
        else:
            result.append([row])
    return result
