"""Selectors of in-context examples: texts in, for each the examples of a pool that serve it best.

``random`` draws, ``bm25`` and ``tfidf`` rank by shared words, ``knn`` by cosine of sentence vectors (KATE);
``mmr`` weighs that cosine against likeness to what is chosen already, ``coverage`` adds what the chosen ones
do not show yet. All leave out the text itself and near copies of it, and take equal examples of a pool once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from dirag.config import SELECTORS as SELECTORS
from dirag.errors import UsageError, unknown
from dirag.examples.coverage_selector import CoverageSelector as CoverageSelector
from dirag.examples.leak_guard import CONTAINED as CONTAINED
from dirag.examples.leak_guard import NEAR_COPY as NEAR_COPY
from dirag.examples.leak_guard import comparison_form as comparison_form
from dirag.examples.leak_guard import near_copy as near_copy
from dirag.examples.lexical_selector import LexicalSelector as LexicalSelector
from dirag.examples.lexical_selector import bm25 as bm25
from dirag.examples.lexical_selector import tfidf as tfidf
from dirag.examples.nearest_selector import MmrSelector as MmrSelector
from dirag.examples.nearest_selector import NearestSelector as NearestSelector
from dirag.examples.pool import Pool
from dirag.examples.random_selector import RandomSelector as RandomSelector

if TYPE_CHECKING:
    from dirag.data import Hit
    from dirag.protocols import Embedder, ExampleSelector

#: The selectors that need a sentence encoder.
EMBEDDING = ("knn", "mmr", "coverage")


def make(
    name: str,
    pool: Pool,
    *,
    embedder: Embedder | None = None,
    seed: int = 0,
    scan: Callable[[str], Iterable[Hit]] | None = None,
) -> ExampleSelector:
    """The selector of this name over a pool; those of ``EMBEDDING`` need an embedder.

    ``scan`` finds the concepts that a text names, which ``coverage`` takes into account.
    """
    if name == "random":
        return RandomSelector(pool.examples, seed=seed)
    if name in ("bm25", "tfidf"):
        return LexicalSelector(pool.examples, weigh=bm25 if name == "bm25" else tfidf)
    if name not in EMBEDDING:
        raise unknown("selector", name, SELECTORS)
    if embedder is None:
        raise UsageError(f"the selector {name} needs a sentence encoder", hint="give one with --encoder")
    nearest = NearestSelector(pool, embedder)
    if name == "mmr":
        return MmrSelector(nearest)
    return CoverageSelector(nearest, scan=scan) if name == "coverage" else nearest
