"""The laws of the ``ExampleSelector`` protocol, to run over any implementation."""

from __future__ import annotations

from collections.abc import Sequence

from dirag.data import Document
from dirag.examples.selection import near_copy
from dirag.protocols import ExampleSelector


def check_selector(
    selector: ExampleSelector, examples: Sequence[Document], texts: Sequence[str], *, k: int
) -> None:
    """Assert every law for a selector over these examples, on these texts (any text at all)."""
    chosen = selector.select(texts, k=k)
    assert len(chosen) == len(texts)
    assert selector.select([], k=k) == []
    assert selector.select(texts, k=k) == chosen
    assert selector.select(list(reversed(texts)), k=k) == list(reversed(chosen))
    for text, found in zip(texts, chosen, strict=True):
        assert selector.select([text], k=k) == [found]
        assert all(example in examples for example in found)
        assert not any(near_copy(text, example.text) for example in found)
        keys = {" ".join(example.text.split()).casefold() for example in found}
        assert len(keys) == len(found)
        assert len(found) <= k
        if len(found) < k:
            usable = [example for example in examples if not near_copy(text, example.text)]
            missed = [example for example in usable if example not in found]
            assert all(any(near_copy(example.text, taken.text) for taken in found) for example in missed)
