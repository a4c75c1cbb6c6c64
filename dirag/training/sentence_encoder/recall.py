"""Measures what an encoder is worth on a vocabulary: the recall of held-out names, by vectors alone.

In: a split with names that were held out, an encoder. Out: how often the concept of such a name comes first,
and among the first five, by an exhaustive search of the other names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dirag.encoders.opening import identity
from dirag.knowledge.index import encoding
from dirag.training.sentence_encoder import synonyms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dirag.knowledge.index.dense import Dense
    from dirag.knowledge.store.store import Store
    from dirag.protocols import Embedder
    from dirag.training.sentence_encoder.synonyms import SynonymSplit

NEAREST = 64  # names that are looked at, to find the nearest concepts
_BLOCK = 1 << 14


@dataclass(frozen=True, slots=True)
class Recall:
    """The share of the held-out names whose concept comes first, and is among the first five."""

    at1: float
    at5: float


def measure(
    store: Store,
    split: SynonymSplit,
    embedder: Embedder,
    output: Path,
    *,
    index: Dense | None = None,
    progress: bool | None,
) -> Recall | None:
    """Returns the recall of the held-out names, None if there are none, by an exhaustive search.

    It is one in the ``index`` if that is exhaustive and has the vectors of this encoder.
    """
    if not split.held_out:
        return None
    import numpy as np

    queries = embedder.embed([name for name, _ in split.held_out])
    if index and index.info.kind == "flat" and identity(index.embedder.name) == identity(embedder.name):
        nearest, _ = index.search(queries, limit=NEAREST, allowed=split.searched)
    else:
        keys = np.flatnonzero(split.searched)
        names = [store.alias(store.key_rows[key]) for key in keys.tolist()]
        vectors, order = encoding.encode(names, embedder, output, progress=progress)
        nearest = keys[order[_nearest(queries, vectors)]]
    places = [
        concepts.index(concept) if concept in concepts else NEAREST
        for concepts, (_, concept) in zip(
            (concepts_of(store, row) for row in nearest.tolist()), split.held_out, strict=True
        )
    ]
    first, five = (sum(place < top for place in places) for top in (1, 5))
    return Recall(first / len(places), five / len(places))


def _nearest(queries: NDArray[np.float32], vectors: NDArray[np.float16]) -> NDArray[np.int64]:
    """Returns the rows of the vectors that are nearest to each query, nearest first: (queries, NEAREST)."""
    import numpy as np

    cosines = np.empty((len(queries), 0), np.float32)
    rows = np.empty((len(queries), 0), np.int64)
    # Block by block, with the best so far beside it: all cosines at once would take gigabytes.
    for start in range(0, len(vectors), _BLOCK):
        block = queries @ vectors[start : start + _BLOCK].astype(np.float32).T
        cosines = np.concatenate([cosines, block], axis=1)
        block_rows = np.arange(start, start + block.shape[1])
        rows = np.concatenate([rows, np.broadcast_to(block_rows, block.shape)], axis=1)
        best = np.argsort(-cosines, axis=1, kind="stable")[:, :NEAREST]  # ties in the order of the rows
        cosines, rows = np.take_along_axis(cosines, best, axis=1), np.take_along_axis(rows, best, axis=1)
    return rows


def concepts_of(store: Store, keys: Sequence[int]) -> list[int]:
    """Returns the concepts of keys in their order; key -1 is none."""
    return list(dict.fromkeys(c for key in keys if key >= 0 for c in synonyms.holders(store, key)))
