"""Sentence vectors kept in files: float32 arrays of NumPy's own format, mapped into memory, never pickled.

The cache holds those of any corpus by a digest of its texts and the identity of the encoder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dirag.encoders.opening import identity
from dirag.files import atomic
from dirag.files.paths import private_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dirag.protocols import Embedder


def cached(texts: Sequence[str], embedder: Embedder) -> NDArray[np.float32]:
    """Returns the vectors of the texts, from the cache if they are there, else computed and put there."""
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        # With the length before it: else "ab", "c" and "a", "bc" would share their vectors.
        digest.update(b"%d:%b" % (len(data), data))
    path = private_folder("vectors") / f"{digest.hexdigest()}-{identity(embedder.name)}.npy"
    cached_vectors = load(path)
    if cached_vectors is not None and cached_vectors.shape == (len(texts), embedder.dimension):
        return cached_vectors
    vectors = embedder.embed(texts)
    _save(path, vectors)
    return vectors


def load(path: Path) -> NDArray[np.float32] | None:
    """Maps the array in a file into memory; None where there is no whole float32 array."""
    import numpy as np

    try:
        # No pickle: a file of the cache would be able to run code.
        array: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return array if array.dtype == np.float32 else None


def _save(path: Path, vectors: NDArray[np.float32]) -> None:
    import numpy as np

    with atomic.new_file(path, private=True) as part, part.open("wb") as file:
        np.save(file, vectors, allow_pickle=False)
