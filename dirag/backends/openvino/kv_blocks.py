"""The memory of a paged engine in blocks of equal size, and which blocks hold which beginning of a prompt.

A full block is shared by all prompts that begin with everything from the first token of its prompt to its own
last. Of a block that begins alike the tokens in common are copied. Blocks that nobody uses stay known until
they are needed, the longest unused first.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

_BEGINNING = b""  # the name of what stands before the first block


class Copy(NamedTuple):
    """The first ``tokens`` of one block, to be copied to another."""

    source: int
    target: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Placement:
    """The ``blocks`` of a prompt, whose first ``past`` tokens they hold once ``copy`` is done.

    It is to be done before any other block is written to.
    """

    blocks: list[int]
    past: int
    copy: Copy | None = None


@dataclass(frozen=True, slots=True)
class _Content:
    """What a block holds: ``tokens`` of a prompt, behind those named ``before``; ``name`` is that of a full
    one by which it is shared, if it is.
    """

    before: bytes
    tokens: tuple[int, ...]
    name: bytes | None


class KvBlocks:
    """``count`` blocks of ``size`` tokens each."""

    def __init__(self, count: int, size: int) -> None:
        self.count, self.size = count, size
        self._free = list(range(count - 1, -1, -1))
        self._users: Counter[int] = Counter()
        self._shared: dict[bytes, int] = {}
        self._contents: dict[int, _Content] = {}
        self._behind: defaultdict[bytes, set[int]] = defaultdict(set)  # blocks by what stands before them
        self._unused: OrderedDict[int, None] = OrderedDict()  # blocks with a content and without users

    def needed(self, tokens: int) -> int:
        return -(-tokens // self.size)

    def take(self, prompt: Sequence[int], tokens: int) -> Placement | None:
        """Returns blocks for so many tokens, some of which may hold the first ones of the prompt already.

        At least two tokens of the prompt are left to compute. None where too few blocks are free.
        """
        # Two are left, as a prompt's token that is computed alone has other bits (see ``model``).
        beginning = prompt[: max(0, len(prompt) - 2)]
        shared, before = [], _BEGINNING
        for name, _ in self._chain(beginning):
            if name not in self._shared:
                break
            shared.append(self._shared[name])
            before = name
        past = len(shared) * self.size
        source, alike = self._most_alike(before, beginning[past : past + self.size])
        # Blocks without users count as free, but for those of this very beginning: they are about to be read,
        # so handing them out as fresh ones would write over them.
        reserve = {*shared, source}
        fresh = self.needed(tokens) - len(shared)
        if fresh > self._spare(reserve):
            alike, reserve = 0, {*shared}  # room counts for more than what could be copied
            if fresh > self._spare(reserve):
                return None
        idle = reserve & self._unused.keys()
        for block in idle:
            self._unused.pop(block)
        blocks = shared + [self._fresh() for _ in range(fresh)]
        self._users.update(blocks)
        if source in idle and source not in shared:
            self._unused[source] = None
        copy = Copy(source, blocks[len(shared)], alike) if alike else None
        return Placement(blocks, past + alike, copy)

    def computed(self, prompt: Sequence[int], blocks: Sequence[int]) -> None:
        """Remembers which blocks hold the beginnings of this prompt."""
        before = _BEGINNING
        for number, (name, tokens) in enumerate(self._chain(prompt)):
            self._remember(blocks[number], _Content(before, tokens, name))
            before = name
        end = len(prompt) // self.size
        if rest := tuple(prompt[end * self.size :]):
            self._remember(blocks[end], _Content(before, rest, None))

    def give_back(self, blocks: Sequence[int]) -> None:
        for block in blocks:
            self._users[block] -= 1
            if self._users[block] > 0:
                continue
            if block in self._contents:
                self._unused[block] = None
            else:
                self._free.append(block)

    def _spare(self, reserve: Set[int]) -> int:
        """Returns the number of blocks that can be handed out beside a reserve."""
        return len(self._free) + sum(block not in reserve for block in self._unused)

    def _remember(self, block: int, content: _Content) -> None:
        if block in self._contents:
            return
        if content.name in self._shared:  # the same was computed beside it: still worth copying from
            content = _Content(content.before, content.tokens, None)
        if content.name is not None:
            self._shared[content.name] = block
        self._contents[block] = content
        self._behind[content.before].add(block)

    def _most_alike(self, before: bytes, tokens: Sequence[int]) -> tuple[int, int]:
        """Returns the block that begins most like these tokens behind ``before``, and how many are alike."""
        best = (-1, 0)
        for block in self._behind.get(before, ()):
            alike = _alike(self._contents[block].tokens, tokens)
            if (alike, -block) > (best[1], -best[0]):
                best = (block, alike)
        return best

    def _fresh(self) -> int:
        if self._free:
            return self._free.pop()
        block, _ = self._unused.popitem(last=False)
        content = self._contents.pop(block)
        if content.name is not None:
            del self._shared[content.name]
        self._behind[content.before].discard(block)
        if not self._behind[content.before]:
            del self._behind[content.before]
        return block

    def _chain(self, prompt: Sequence[int]) -> Iterator[tuple[bytes, tuple[int, ...]]]:
        """Yields the name and the tokens of each full block of a prompt."""
        digest = blake2b(digest_size=16)
        for end in range(self.size, len(prompt) + 1, self.size):
            tokens = tuple(prompt[end - self.size : end])
            digest.update(",".join(map(str, tokens)).encode() + b";")
            yield digest.copy().digest(), tokens


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    """Returns how many tokens two begin alike."""
    number = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        number += 1
    return number
