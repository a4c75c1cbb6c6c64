"""A BERT sentence encoder in numpy: the vectors of sentence-transformers without its seconds of imports.

A folder in, unit vectors out. Serves BERT with mean pooling and plain float32 safetensors (all-MiniLM and
its kin); ``Bert.open`` gives None for every other model, which sentence-transformers has to run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dirag.errors import ArtifactError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from tokenizers import Encoding, Tokenizer

    from dirag.data import Json

#: Tokens, padding included, in one forward pass: the activations of more fall out of the cache.
_BATCH_TOKENS = 256
_WEIGHTS = "model.safetensors"
_CONFIG = {"model_type": "bert", "hidden_act": "gelu"}
_MODULES = (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])


class Bert:
    """The encoder with its weights in memory; ``limit`` is in tokens, what is beyond it is not read."""

    def __init__(
        self,
        weights: Mapping[str, NDArray[np.float32]],
        tokenizer: Tokenizer,
        *,
        layers: int,
        heads: int,
        epsilon: float,
        limit: int,
    ) -> None:
        tokenizer.enable_truncation(limit)
        tokenizer.no_padding()
        self._weights, self._tokenizer = weights, tokenizer
        self._layers, self._heads, self._epsilon = layers, heads, epsilon
        self.dimension = int(weights["embeddings.word_embeddings.weight"].shape[1])

    @classmethod
    def open(cls, folder: Path) -> Bert | None:
        """The encoder in a sentence-transformers folder, or None where it is of another make."""
        limit = _limit(folder)
        weights = _weights(folder / _WEIGHTS) if limit is not None else None
        if limit is None or weights is None:
            return None
        from tokenizers import Tokenizer

        config = _read(folder / "config.json")
        _load(folder / "tokenizer.json")  # an error with its name: that of the tokenizer has none
        return cls(
            weights,
            Tokenizer.from_file(str(folder / "tokenizer.json")),
            layers=_number(config, "num_hidden_layers"),
            heads=_number(config, "num_attention_heads"),
            epsilon=float(str(config.get("layer_norm_eps", 1e-12))),
            limit=min(limit, _number(config, "max_position_embeddings")),
        )

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors in the order of the texts; texts of like length share a pass."""
        import numpy as np

        encodings = self._tokenizer.encode_batch(list(texts))
        vectors = np.empty((len(texts), self.dimension), np.float32)
        for batch in _batches([len(encoding.ids) for encoding in encodings]):
            vectors[batch] = self._forward([encodings[i] for i in batch])
        return vectors

    def _forward(self, encodings: Sequence[Encoding]) -> NDArray[np.float32]:
        import numpy as np

        ids = np.zeros((len(encodings), max(len(e.ids) for e in encodings)), np.int64)
        mask = np.zeros(ids.shape, np.float32)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding.ids)] = encoding.ids
            mask[row, : len(encoding.ids)] = 1
        hidden = self._weights["embeddings.word_embeddings.weight"][ids]
        hidden += self._weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        hidden += self._weights["embeddings.token_type_embeddings.weight"][0]
        hidden = self._normalised(hidden, "embeddings.LayerNorm")
        bias = ((mask - 1) * np.float32(1e9))[:, None, None, :]
        for layer in range(self._layers):
            hidden = self._layer(hidden, bias, f"encoder.layer.{layer}")
        pooled = (hidden * mask[:, :, None]).sum(axis=1)
        vectors: NDArray[np.float32] = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return vectors

    def _layer(
        self, hidden: NDArray[np.float32], bias: NDArray[np.float32], name: str
    ) -> NDArray[np.float32]:
        rows, length, width = hidden.shape
        query, key, value = (
            self._linear(hidden, f"{name}.attention.self.{part}")
            .reshape(rows, length, self._heads, -1)
            .transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 1, 3, 2)
        scores *= (width // self._heads) ** -0.5
        seen = _softmax(scores + bias) @ value
        merged = seen.transpose(0, 2, 1, 3).reshape(rows, length, width)
        attended = self._linear(merged, f"{name}.attention.output.dense") + hidden
        attended = self._normalised(attended, f"{name}.attention.output.LayerNorm")
        inner = _gelu(self._linear(attended, f"{name}.intermediate.dense"))
        outer = self._linear(inner, f"{name}.output.dense") + attended
        return self._normalised(outer, f"{name}.output.LayerNorm")

    def _linear(self, x: NDArray[np.float32], name: str) -> NDArray[np.float32]:
        # One matrix product over all tokens: numpy would make one a row of the batch.
        y: NDArray[np.float32] = x.reshape(-1, x.shape[-1]) @ self._weights[f"{name}.weight"].T
        y += self._weights[f"{name}.bias"]
        return y.reshape(*x.shape[:-1], -1)

    def _normalised(self, x: NDArray[np.float32], name: str) -> NDArray[np.float32]:
        import numpy as np

        x -= x.mean(axis=-1, keepdims=True)
        x /= np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + np.float32(self._epsilon))
        x *= self._weights[f"{name}.weight"]
        x += self._weights[f"{name}.bias"]
        return x


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Positions, longest first, in groups whose padded size is within the budget."""
    batches: list[list[int]] = []
    for position in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if not batches or (len(batches[-1]) + 1) * lengths[batches[-1][0]] > _BATCH_TOKENS:
            batches.append([])
        batches[-1].append(position)
    return batches


def _softmax(x: NDArray[np.float32]) -> NDArray[np.float32]:
    import numpy as np

    x -= x.max(axis=-1, keepdims=True)
    np.exp(x, out=x)
    x /= x.sum(axis=-1, keepdims=True)
    return x


def _gelu(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """x * Phi(x), the error function after Abramowitz and Stegun 7.1.26 (error below 1.5e-7)."""
    import numpy as np

    z = np.abs(x)
    z *= np.float32(0.5**0.5)
    t = np.float32(0.3275911) * z
    t += 1
    np.reciprocal(t, out=t)
    tail = np.full_like(t, 1.061405429)
    for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        tail *= t
        tail += np.float32(coefficient)
    tail *= t
    np.square(z, out=z)
    np.negative(z, out=z)
    tail *= np.exp(z, out=z)
    # Phi(x) = 1 - tail/2 for x >= 0 and tail/2 below, so x*Phi(x) = max(x, 0) - |x| * tail / 2.
    tail *= np.abs(x)
    tail *= np.float32(-0.5)
    tail += np.maximum(x, 0)
    return tail


def _limit(folder: Path) -> int | None:
    """The limit in tokens if every setting of the folder is one that is computed here, else None."""
    modules = folder / "modules.json"
    if not modules.is_file() or not (folder / "tokenizer.json").is_file():
        return None
    listed = _load(modules)
    parts = [part for part in listed if isinstance(part, dict)] if isinstance(listed, list) else []
    kinds = [str(part.get("type", "")).rpartition(".")[2] for part in parts]
    paths = [str(part.get("path", "")) for part in parts]
    config, settings = _read(folder / "config.json"), _read(folder / "sentence_bert_config.json")
    whole = _read(folder / "config_sentence_transformers.json")
    limit = settings.get("max_seq_length")
    if kinds not in _MODULES or paths[0] or not isinstance(limit, int):
        return None
    pooling = _read(folder / paths[1] / "config.json")
    pools = [name for name, on in pooling.items() if name.startswith("pooling_mode_") and on]
    plain = (
        all(config.get(key) == value for key, value in _CONFIG.items())
        and config.get("position_embedding_type", "absolute") == "absolute"
        and (pools == ["pooling_mode_mean_tokens"] or pooling.get("pooling_mode") == "mean")
        and not settings.get("do_lower_case")
        and not whole.get("default_prompt_name")
    )
    return limit if plain else None


def _weights(path: Path) -> dict[str, NDArray[np.float32]] | None:
    """BERT's tensors by their plain names, or None where they have others or are not all float32."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            names = [name for name in file.keys() if not name.endswith("position_ids")]  # noqa: SIM118
            kinds = {file.get_slice(name).get_dtype() for name in names}
            if kinds != {"F32"} or "embeddings.word_embeddings.weight" not in names:
                return None
            return {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError) as error:
        raise ArtifactError(
            f"cannot read the weights {str(path)!r}: {error}", hint="the file is damaged: fetch it again"
        ) from error


def _load(path: Path) -> Json:
    try:
        content: Json = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ArtifactError(f"cannot read {path} of a sentence encoder: {error}") from error
    return content


def _read(path: Path) -> dict[str, Json]:
    """The object in a JSON file, empty where there is no such file."""
    content = _load(path) if path.is_file() else {}
    return content if isinstance(content, dict) else {}


def _number(config: Mapping[str, Json], key: str) -> int:
    value = config.get(key)
    if not isinstance(value, int):
        raise ArtifactError(f"config.json of a sentence encoder has no number {key!r}")
    return value
