"""Concepts to bytes and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirag.data import Concept
from dirag.knowledge.store import concept_codec

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
PAIRS = st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple)


@given(st.builds(Concept, TEXT, TEXT, TEXTS, TEXTS, TEXT, TEXT, TEXTS, TEXTS, PAIRS))
def test_every_field_comes_back(concept: Concept) -> None:
    data = concept_codec.dumps(concept)
    assert concept_codec.loads(data) == concept_codec.loads(memoryview(data)) == concept
    assert b"\n" not in data  # ``merge`` keeps one concept a line


@pytest.mark.parametrize("data", [b"", b"{", b"{}", b'["X:1","Asthma"]', b"[1,2,3,4,5,6,7,8,9]"])
def test_bytes_that_are_no_concept_are_refused(data: bytes) -> None:
    with pytest.raises((ValueError, TypeError)):
        concept_codec.loads(data)
