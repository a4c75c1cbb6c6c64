"""The laws of the ``Embedder`` protocol, to run over any implementation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dirag.encoders.opening import identity
from dirag.protocols import Embedder


def check_embedder(embedder: Embedder, texts: Sequence[str]) -> None:
    """Assert every law on these texts (any text at all)."""
    vectors = embedder.embed(texts)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(texts), embedder.dimension)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    for position, text in enumerate(texts):
        np.testing.assert_allclose(embedder.embed([text])[0], vectors[position], atol=1e-4)
    np.testing.assert_allclose(embedder.embed(list(reversed(texts))), vectors[::-1], atol=1e-4)
    assert embedder.embed([]).shape == (0, embedder.dimension)
    assert identity(embedder.name)
