"""The memory of a paged engine in blocks of equal size, and which blocks hold which beginning of a prompt.

A block is known by everything from the first token of its prompt to its own last. Blocks that nobody uses
stay known until they are needed, the longest unused first.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from hashlib import blake2b


class KvBlocks:
    """``count`` blocks of ``size`` tokens each."""

    def __init__(self, count: int, size: int) -> None:
        self.count, self.size = count, size
        self._free = list(range(count - 1, -1, -1))
        self._users: Counter[int] = Counter()
        self._known: dict[bytes, int] = {}
        self._names: dict[int, bytes] = {}
        self._unused: OrderedDict[int, None] = OrderedDict()  # known blocks without users

    def needed(self, tokens: int) -> int:
        return -(-tokens // self.size)

    def take(self, prompt: Sequence[int], tokens: int) -> tuple[list[int], int] | None:
        """Returns blocks for so many tokens, and how many of the prompt's first tokens they hold already.

        At least two tokens of the prompt are left to compute. None where too few blocks are free.
        """
        # Two are left, as a prompt's token that is computed alone has other bits (see ``model``).
        shared = []
        for name in self._chain(prompt[: max(0, len(prompt) - 2)]):
            if name not in self._known:
                break
            shared.append(self._known[name])
        fresh = self.needed(tokens) - len(shared)
        # Blocks without users count as free, but for those of this very beginning: they are about to be used,
        # so handing them out as fresh ones would write over what is shared.
        spare = sum(block not in shared for block in self._unused)
        if fresh > len(self._free) + spare:
            return None
        for block in shared:
            self._unused.pop(block, None)
        blocks = shared + [self._fresh() for _ in range(fresh)]
        self._users.update(blocks)
        return blocks, len(shared) * self.size

    def computed(self, prompt: Sequence[int], blocks: Sequence[int]) -> None:
        """Remembers which blocks hold the beginnings of this prompt."""
        for name, block in zip(self._chain(prompt), blocks, strict=False):
            if name not in self._known and block not in self._names:
                self._known[name] = block
                self._names[block] = name

    def give_back(self, blocks: Sequence[int]) -> None:
        for block in blocks:
            self._users[block] -= 1
            if self._users[block] > 0:
                continue
            if block in self._names:
                self._unused[block] = None
            else:
                self._free.append(block)

    def _fresh(self) -> int:
        if self._free:
            return self._free.pop()
        block, _ = self._unused.popitem(last=False)
        del self._known[self._names.pop(block)]
        return block

    def _chain(self, prompt: Sequence[int]) -> Iterator[bytes]:
        """Yields the name of each full block of a prompt."""
        digest = blake2b(digest_size=16)
        for end in range(self.size, len(prompt) + 1, self.size):
            digest.update(",".join(map(str, prompt[end - self.size : end])).encode() + b";")
            yield digest.copy().digest()
