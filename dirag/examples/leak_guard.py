"""Guards against leaks: no text gets itself or a near copy of itself as an example, nor an example twice."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from dirag.data import Document
from dirag.errors import UsageError

#: Texts this alike (rapidfuzz ratio of their letters and digits) are near copies of each other.
NEAR_COPY = 90.0
#: A text inside another is a near copy from so many letters and digits on: shorter ones are common phrases.
CONTAINED = 40

_WORD = re.compile(r"\w+")


def near_copy(one: str, other: str) -> bool:
    """Returns whether two texts are the same but for a few characters, or one contains the other."""
    return _alike(comparison_form(one), comparison_form(other))


class LeakGuard:
    """The distinct examples of a pool, from which those are taken that are no near copies of a text.

    ``positions`` are those of the examples in the pool; of equal ones the first stays.
    """

    def __init__(self, examples: Sequence[Document]) -> None:
        first: dict[str, int] = {}
        for position, example in enumerate(examples):
            first.setdefault(comparison_form(example.text), position)
        self.positions = list(first.values())
        self.examples = [examples[position] for position in self.positions]
        self._forms = list(first)

    def __len__(self) -> int:
        return len(self.examples)

    def documents(self, text: str, ranked: Iterable[int], k: int) -> list[Document]:
        return [self.examples[position] for position in self.take(text, ranked, k)]

    def take(self, text: str, ranked: Iterable[int], k: int) -> list[int]:
        """Returns the positions of the first ``k`` ranked examples that are no near copies of the text."""
        check(k)
        form = comparison_form(text)
        positions: list[int] = []
        candidates = iter(ranked)  # sorted as they are read: a selector need not rank them all
        while len(positions) < k and (position := next(candidates, None)) is not None:
            if not _alike(form, self._forms[position]):
                positions.append(position)
        return positions


def check(k: int) -> None:
    """Refuses a negative number of examples."""
    if k < 0:
        raise UsageError(f"cannot select {k} examples", hint="give 0 or more")


def comparison_form(text: str) -> str:
    """Returns the letters and digits of a text in one case, so that tokenisation makes no difference."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(_WORD.findall(folded)) or folded.strip()


def _alike(one: str, other: str) -> bool:
    from rapidfuzz import fuzz

    if one == other:
        return True
    shorter, longer = sorted((one, other), key=len)
    if len(shorter) >= CONTAINED and shorter in longer:
        return True
    return bool(fuzz.ratio(one, other, score_cutoff=NEAR_COPY) >= NEAR_COPY)
