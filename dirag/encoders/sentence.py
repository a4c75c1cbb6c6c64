"""Sentence encoders: texts in, unit vectors out.

``SentenceEncoder`` runs any sentence-transformers or transformers folder, ``HashEmbedder`` needs no model.
Nothing here reaches a network. A folder that holds no encoder is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dirag.errors import ArtifactError, UsageError
from dirag.files import fingerprint
from dirag.files.libraries import loading, quiet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

    from dirag.encoders.bert_openvino import Bert
    from dirag.encoders.bert_torch import Pooled

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
    """A sentence-transformers folder, or a plain transformers folder.

    ``pooling`` "auto" is that of the folder, and the mean where it is a plain one. Where the folder is a
    BERT that :mod:`dirag.encoders.bert_openvino` computes, sentence-transformers is loaded only for a
    ``device`` that is not the CPU. Texts are read up to the encoder's own limit. ``name`` is
    ``folder@identity``; the identity is of the content and of a pooling that is not the folder's own, and
    does not change when the folder moves.
    """

    def __init__(
        self, path: Path, *, device: str = "cpu", batch_size: int = 32, pooling: str = "auto"
    ) -> None:
        from dirag.encoders.bert_openvino import Bert
        from dirag.encoders.bert_torch import Pooled

        if not (path / "modules.json").is_file() and not (path / "config.json").is_file():
            raise ArtifactError(
                f"{str(path)!r} is not a sentence-transformers model: no modules.json or config.json in it",
                hint="give the folder of such a model, or a name that `dirag models list` shows",
            )
        plain = not (path / "modules.json").is_file()
        own_pooling = pooling == "auto" or (plain and pooling == "mean")
        self.name = f"{path.resolve().name}@{_identity(path)}" + ("" if own_pooling else f"-{pooling}")
        self._batch_size = batch_size
        own: Bert | Pooled | None = None
        if pooling != "auto" or plain:
            own = Pooled(path, pooling="mean" if pooling == "auto" else pooling, device=device)
        elif device == "cpu":
            own = Bert.open(path)
        self._model: Bert | Pooled | SentenceTransformer = own or load_model(path, device)
        # Asked by a probe: the method that tells it has another name in each major version.
        self.dimension = own.dimension if own else self.embed(["probe"]).shape[1]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np

        from dirag.encoders.bert_openvino import Bert
        from dirag.encoders.bert_torch import Pooled

        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        texts = [_SURROGATE.sub("\ufffd", text) for text in texts]  # no tokenizer takes them
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


class HashEmbedder:
    """Counts of character n-grams hashed into a vector: a lexical encoder without a model.

    Texts are compared in lower case and with single spaces; n-grams of 3 to 5 characters reach over word
    ends, and counts are damped by a square root.
    """

    def __init__(self, *, dimension: int = 1024) -> None:
        self.dimension = dimension
        self.name = f"hash@ngrams-{dimension}"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np

        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            vector += np.sqrt(np.bincount(self._buckets(text), minlength=self.dimension))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def _buckets(self, text: str) -> NDArray[np.int64]:
        """The bucket of each n-gram; the spaces around the text give every text at least one."""
        import numpy as np

        padded = f"  {' '.join(text.lower().split())}  "
        codes = np.frombuffer(padded.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint64)
        buckets = []
        for size in (3, 4, 5):
            grams = len(codes) - size + 1
            rolled = np.full(max(grams, 0), size, np.uint64)
            for offset in range(size if grams > 0 else 0):
                rolled = rolled * np.uint64(0x9E3779B97F4A7C15) + codes[offset : offset + grams]
            rolled ^= rolled >> np.uint64(32)
            rolled *= np.uint64(0xD6E8FEB86659FD93)
            buckets.append((rolled >> np.uint64(32)) % np.uint64(self.dimension))
        return np.concatenate(buckets).astype(np.int64)


def open_encoder(
    name_or_path: str, *, offline: bool = False, device: str = "cpu", pooling: str = "auto"
) -> HashEmbedder | SentenceEncoder:
    """The encoder by name (``hash``, or a known artifact) or by the path of its folder."""
    if name_or_path == "hash":
        if pooling != "auto":
            raise UsageError(f"the encoder hash takes no --pooling {pooling}", hint="leave out --pooling")
        return HashEmbedder()
    from dirag.files.artifacts import locate

    return SentenceEncoder(locate(name_or_path, offline=offline), device=device, pooling=pooling)


def identity(name: str) -> str:
    """The part of an encoder's name that tells whether two give the same vectors."""
    return name.rpartition("@")[2]


def _identity(path: Path) -> str:
    """A digest of the settings whole and of the weights by samples: constant cost, whatever their size."""
    digest = hashlib.sha256()
    for file in sorted(file for pattern in _CONTENT for file in path.glob(pattern)):
        digest.update(f"{file.relative_to(path)}:{file.stat().st_size}\n".encode())
        for block in fingerprint.samples(file):
            digest.update(block)
    return digest.hexdigest()[:12]


def load_model(path: Path, device: str) -> SentenceTransformer:
    """The sentence-transformers model in a folder; raises ArtifactError where it cannot be loaded."""
    with quiet():
        from sentence_transformers import SentenceTransformer
    failed = f"{str(path)!r} could not be loaded as a sentence encoder"
    with loading(failed, hint="it must be a complete folder as sentence-transformers saves it"):
        return SentenceTransformer(str(path), device=device, local_files_only=True)
