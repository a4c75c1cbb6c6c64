"""Many lists of numbers in two flat arrays, as the arrays of a knowledge base hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Lists:
    """Lists of numbers one after the other: list n is ``values[starts[n] : starts[n + 1]]``."""

    starts: NDArray[np.int32]
    values: NDArray[np.int32]


def group(groups: NDArray[np.integer], values: NDArray[np.integer], size: int) -> Lists:
    """Returns the values of each of ``size`` groups, ascending; ``groups[i]`` is that of ``values[i]``."""
    import numpy as np

    # Group and value in one integer: one sort puts both in order. Values are below 2**32 and not negative.
    pairs = groups.astype(np.int64) << 32 | values
    pairs.sort()
    starts = np.append(0, np.bincount(groups, minlength=size).cumsum())
    return Lists(starts.astype(np.int32), (pairs & 0xFFFFFFFF).astype(np.int32))
