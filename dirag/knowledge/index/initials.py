"""Names by their initials, for abbreviations that no vocabulary lists: "BMD" is Becker muscular dystrophy.

In: normalised names. Out: two arrays, codes of initials in order and the key of each. Short words count
or do not ("Paget disease of bone" is PDOB and PDB); digits count whole ("SCA2").
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from string import ascii_lowercase, digits

#: File of a knowledge base -> what is in it.
CODES, KEYS = "initials.q", "initials_keys.i"
_DIGITS = {character: place for place, character in enumerate(digits + ascii_lowercase, 1)}
_SHORTEST, _LONGEST = 2, 8


@dataclass(frozen=True, slots=True)
class Initials:
    """The index over arrays that lie in a knowledge base."""

    codes: Sequence[int]
    keys: Sequence[int]

    def search(self, words: Sequence[str]) -> Sequence[int]:
        """Returns the keys whose initials are these words written as one."""
        code = _code("".join(words))
        if code is None:
            return ()
        return self.keys[bisect_left(self.codes, code) : bisect_right(self.codes, code)]


def build(names: Iterable[str]) -> dict[str, array[int]]:
    """Returns the arrays by their file, over normalised names in the order of their keys."""
    pairs = sorted(
        (code, key) for key, name in enumerate(names) for code in dict.fromkeys(_codes(name.split()))
    )
    return {
        CODES: array("q", (code for code, _ in pairs)),
        KEYS: array("i", (key for _, key in pairs)),
    }


def _codes(words: Sequence[str]) -> Iterator[int]:
    """Yields the codes of a name's initials: of all its words, and of those that are not short."""
    # Two or three letters: of, in, and, the, von. A word of one letter is one of the initials: "type B".
    long = [word for word in words if len(word) not in (2, 3) or word.isdigit()]
    for parts in (words, long):
        code = _code("".join(part if part.isdigit() else part[0] for part in parts))
        if len(parts) > 1 and code is not None:
            yield code


def _code(letters: str) -> int | None:
    """Returns a number for two to eight ASCII letters and digits, None for all else."""
    if not _SHORTEST <= len(letters) <= _LONGEST or not all(letter in _DIGITS for letter in letters):
        return None
    # Places count from 1, so that "a" and "aa" differ; 37 to the power of 8 is within an int64.
    code = 0
    for letter in letters:
        code = code * (len(_DIGITS) + 1) + _DIGITS[letter]
    return code
