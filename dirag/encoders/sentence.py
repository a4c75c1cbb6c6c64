"""Sentence encoders of a folder: texts in, unit vectors out.

Runs any sentence-transformers or transformers folder. Nothing here reaches a network. A folder that holds no
encoder is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dirag.encoders.bert_openvino import Bert
from dirag.encoders.bert_torch import Pooled
from dirag.errors import ArtifactError
from dirag.files import fingerprint
from dirag.files.libraries import loading, quiet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

#: The files that decide what a folder's vectors are.
_CONTENT = (
    "modules.json",
    "config.json",
    "sentence_bert_config.json",
    "tokenizer*",
    "vocab*",
    "*.safetensors",
    "*.bin",
    "[0-9]_*/*",
)

_SURROGATE = re.compile("[\ud800-\udfff]")


class SentenceEncoder:
    """The encoder in a sentence-transformers folder, or in a plain transformers folder.

    ``pooling`` "auto" is that of the folder, and the mean where it is a plain one. Where the folder is a
    BERT that :mod:`dirag.encoders.bert_openvino` computes, sentence-transformers is loaded only for a
    ``device`` that is not the CPU. Texts are read up to the encoder's own limit. ``name`` is
    ``folder@identity``; the identity is of the content and of a pooling that is not the folder's own, and
    does not change when the folder moves.
    """

    def __init__(
        self, path: Path, *, device: str = "cpu", batch_size: int = 32, pooling: str = "auto"
    ) -> None:
        is_plain = not (path / "modules.json").is_file()
        if is_plain and not (path / "config.json").is_file():
            raise ArtifactError(
                f"{str(path)!r} is not a sentence-transformers model: no modules.json or config.json in it",
                hint="give the folder of such a model, or a name that `dirag models list` shows",
            )
        is_default = pooling == "auto" or (is_plain and pooling == "mean")
        self.name = f"{path.resolve().name}@{_identity(path)}" + ("" if is_default else f"-{pooling}")
        self._batch_size = batch_size
        self._model = _open(path, device, "mean" if is_plain and is_default else pooling)
        # A probe: the method of SentenceTransformer that gives it has another name in each major version.
        is_own = isinstance(self._model, Bert | Pooled)
        self.dimension: int = self._model.dimension if is_own else self.embed(["probe"]).shape[1]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns unit vectors in the order of the texts."""
        import numpy as np

        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        # Half a surrogate pair, as JSON may bring one, has no UTF-8, so every tokenizer refuses it.
        texts = [_SURROGATE.sub("\ufffd", text) for text in texts]
        if isinstance(self._model, Bert | Pooled):
            return self._model.embed(texts)
        # encode() sorts by length itself.
        vectors: NDArray[np.float32] = self._model.encode(
            texts,
            batch_size=self._batch_size,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        ).astype(np.float32, copy=False)
        return vectors


def _open(path: Path, device: str, pooling: str) -> Bert | Pooled | SentenceTransformer:
    """Opens what computes the vectors, the fastest that the folder, device and pooling allow."""
    if pooling != "auto":
        return Pooled(path, pooling=pooling, device=device)
    bert = Bert.open(path) if device == "cpu" else None
    return bert or load_model(path, device)


def load_model(path: Path, device: str) -> SentenceTransformer:
    """Loads the sentence-transformers model in a folder; raises ArtifactError where that fails."""
    with quiet():
        from sentence_transformers import SentenceTransformer
    failed = f"{str(path)!r} could not be loaded as a sentence encoder"
    with loading(failed, hint="it must be a complete folder as sentence-transformers saves it"):
        return SentenceTransformer(str(path), device=device, local_files_only=True)


def _identity(path: Path) -> str:
    """Digests the content of a folder by samples of its files, at a cost that no size raises."""
    digest = hashlib.sha256()
    for file in sorted(file for pattern in _CONTENT for file in path.glob(pattern)):
        # The name and size go in: two files do not count as one that holds what both hold.
        digest.update(f"{file.relative_to(path)}:{file.stat().st_size}\n".encode())
        for block in fingerprint.samples(file):
            digest.update(block)
    return digest.hexdigest()[:12]
