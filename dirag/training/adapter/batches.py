"""The order of lessons: epoch by epoch shuffled, cut into batches of sentences of about one length.

A position in this order is two numbers, so that training that was killed goes on with the batch that is next.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dirag.training.adapter.training_examples import TrainingExample, TrainingExamples

#: Training examples that are drawn at once, and sorted by length.
CHUNK = 1024


@dataclass(frozen=True, slots=True)
class TokenRow:
    """The tokens of a prompt and of its answer."""

    prompt: Sequence[int]
    answer: Sequence[int]

    def __len__(self) -> int:
        """The tokens that are computed: the last one of an answer is only foretold."""
        return len(self.prompt) + len(self.answer) - 1


@dataclass(frozen=True, slots=True)
class Position:
    """The batch that is next: its chunk, its number there, and the lessons seen before it."""

    chunk: int = 0
    batch: int = 0
    seen: int = 0


def batches(
    lessons: TrainingExamples,
    spell: Callable[[TrainingExample], TokenRow],
    *,
    total: int,
    tokens: int,
    seed: int,
    start: Position = Position(),
) -> Iterator[tuple[list[TokenRow], Position]]:
    """The batches of ``total`` lessons from a position on, each with the position behind it.

    A batch has at most so many ``tokens`` with its padding, or one lesson.
    """
    orders: dict[int, list[int]] = {}

    def place(number: int) -> tuple[int, int]:
        epoch, at = divmod(number, len(lessons))
        if epoch not in orders:
            orders[epoch] = list(range(len(lessons)))
            random.Random(f"{seed} order {epoch}").shuffle(orders[epoch])
        return epoch, orders[epoch][at]

    seen, skipped = start.seen, start.batch
    for chunk in range(start.chunk, -(-total // CHUNK)):
        numbers = range(chunk * CHUNK, min(total, (chunk + 1) * CHUNK))
        rows = [spell(lesson) for lesson in lessons.draw([place(number) for number in numbers])]
        cut = _cut(rows, tokens)
        random.Random(f"{seed} chunk {chunk}").shuffle(cut)
        for number, batch in enumerate(cut[skipped:], start=skipped + 1):
            seen += len(batch)
            yield batch, Position(chunk, number, seen)
        skipped = 0


def _cut(rows: Sequence[TokenRow], tokens: int) -> list[list[TokenRow]]:
    """The rows by length, in batches that hold as many as there is room for."""
    cut: list[list[TokenRow]] = []
    for row in sorted(rows, key=len):
        if cut and (len(cut[-1]) + 1) * len(row) <= tokens:  # none is longer so far
            cut[-1].append(row)
        else:
            cut.append([row])
    return cut
