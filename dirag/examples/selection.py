"""Opens the selectors of in-context examples: texts in, for each the examples of a pool that serve it best.

``random`` draws; ``bm25`` and ``tfidf`` rank by shared words, ``knn`` by cosine of sentence vectors (KATE);
``mmr`` weighs that cosine against likeness to the examples chosen before, ``coverage`` adds labels and names
that these do not show. All leave out the text itself and its near copies, and take equal examples once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from dirag.config import SELECTORS as SELECTORS
from dirag.config import selector_kind
from dirag.errors import UsageError
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
from dirag.text.language import Language, english

if TYPE_CHECKING:
    from dirag.data import Hit
    from dirag.protocols import Embedder, ExampleSelector


@dataclass(frozen=True, slots=True)
class SelectorInput:
    """What a selector is opened over: a pool and, where it needs them, an encoder and a scan for names."""

    pool: Pool
    language: Language
    embedder: Embedder | None = None
    seed: int = 0
    scan: Callable[[str], Iterable[Hit]] | None = None


def make(
    name: str,
    pool: Pool,
    *,
    embedder: Embedder | None = None,
    seed: int = 0,
    scan: Callable[[str], Iterable[Hit]] | None = None,
    language: Language | None = None,
) -> ExampleSelector:
    """Opens the selector that ``config.SELECTORS`` has under this name, over a pool.

    ``scan`` finds the concepts that a text names; without a ``language`` texts are English. Raises UsageError
    for an unknown name, or where a selector that compares vectors is given no embedder.
    """
    if selector_kind(name).encoder and embedder is None:
        raise UsageError(f"the selector {name} needs a sentence encoder", hint="give one with --encoder")
    inputs = SelectorInput(pool, language or english(), embedder, seed, scan)
    opened: ExampleSelector = resolve_name(SELECTORS[name].open)(inputs)
    return opened


def open_random(inputs: SelectorInput) -> ExampleSelector:
    return RandomSelector(inputs.pool.examples, seed=inputs.seed)


def open_bm25(inputs: SelectorInput) -> ExampleSelector:
    return LexicalSelector(inputs.pool.examples, weigh=bm25)


def open_tfidf(inputs: SelectorInput) -> ExampleSelector:
    return LexicalSelector(inputs.pool.examples, weigh=tfidf)


def open_knn(inputs: SelectorInput) -> NearestSelector:
    assert inputs.embedder is not None
    return NearestSelector(inputs.pool, inputs.embedder)


def open_mmr(inputs: SelectorInput) -> ExampleSelector:
    return MmrSelector(open_knn(inputs))


def open_coverage(inputs: SelectorInput) -> ExampleSelector:
    return CoverageSelector(open_knn(inputs), inputs.language, scan=inputs.scan)
