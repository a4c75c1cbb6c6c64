"""A BERT sentence encoder computed by OpenVINO: the vectors of sentence-transformers without its seconds of
imports, and several times as fast on a CPU.

A folder in, unit vectors out, in float32. Serves BERT with mean or first-token pooling and plain float32
safetensors (all-MiniLM, SapBERT and their kin); ``Bert.open`` gives None for every other model, which
sentence-transformers has to run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dirag.errors import ArtifactError
from dirag.files import libraries

if TYPE_CHECKING:
    import numpy as np
    import openvino
    from numpy.typing import NDArray
    from tokenizers import Encoding, Tokenizer

    from dirag.data import Json

#: Tokens, padding included, in one forward pass.
_BATCH_TOKENS = 1024
_WEIGHTS = "model.safetensors"
_CONFIG = {"model_type": "bert", "hidden_act": "gelu"}
_MODULES = (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
_POOLINGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}


@dataclass(frozen=True, slots=True)
class Shape:
    """What the weights do not tell: ``limit`` is in tokens, ``pooling`` is ``mean`` or ``cls``."""

    layers: int
    heads: int
    epsilon: float
    limit: int
    pooling: str


class Bert:
    """The compiled encoder; of a text the tokens beyond the limit are not read."""

    def __init__(
        self, weights: Mapping[str, NDArray[np.float32]], tokenizer: Tokenizer, shape: Shape
    ) -> None:
        tokenizer.enable_truncation(shape.limit)
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self.dimension = int(weights["embeddings.word_embeddings.weight"].shape[1])
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
            "INFERENCE_NUM_THREADS": libraries.cores(),
        }
        core = libraries.import_openvino().Core()
        self._compiled = core.compile_model(_graph(weights, shape), "CPU", settings)

    @classmethod
    def open(cls, folder: Path) -> Bert | None:
        """The encoder in a sentence-transformers folder, or None where it is of another make."""
        shape = _shape(folder)
        weights = _weights(folder / _WEIGHTS) if shape is not None else None
        if shape is None or weights is None:
            return None
        from tokenizers import Tokenizer

        _load(folder / "tokenizer.json")  # an error with its name: that of the tokenizer has none
        return cls(weights, Tokenizer.from_file(str(folder / "tokenizer.json")), shape)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors in the order of the texts; texts of like length share a pass."""
        import numpy as np

        encodings = self._tokenizer.encode_batch(list(texts))
        vectors = np.empty((len(texts), self.dimension), np.float32)
        request = self._compiled.create_infer_request()
        for batch in batches([len(encoding.ids) for encoding in encodings]):
            vectors[batch] = request.infer(_padded([encodings[i] for i in batch]))[0]
        return vectors


def _padded(encodings: Sequence[Encoding]) -> dict[str, NDArray[np.generic]]:
    """Token numbers and a mask of ones and zeros, both of shape (texts, longest)."""
    import numpy as np

    ids = np.zeros((len(encodings), max(len(e.ids) for e in encodings)), np.int32)
    mask = np.zeros(ids.shape, np.float32)
    for row, encoding in enumerate(encodings):
        ids[row, : len(encoding.ids)] = encoding.ids
        mask[row, : len(encoding.ids)] = 1
    return {"ids": ids, "mask": mask}


def _graph(weights: Mapping[str, NDArray[np.float32]], shape: Shape) -> openvino.Model:
    """Token numbers and mask to unit vectors: BERT as in arXiv 1810.04805, then pooling."""
    import numpy as np

    library = libraries.import_openvino()
    op = library.opset13

    def floats(value: NDArray[np.float32] | float) -> openvino.Node:
        return op.constant(np.asarray(value, np.float32))

    def whole(*values: int) -> openvino.Node:
        return op.constant(np.array(values, np.int64))

    def weight(name: str) -> openvino.Node:
        return floats(weights[name])

    def parameter(name: str, kind: openvino.Type) -> openvino.Node:
        node = op.parameter([-1, -1], kind)
        node.output(0).set_names({name})
        return node

    def linear(x: openvino.Node, name: str) -> openvino.Node:
        return op.add(op.matmul(x, weight(f"{name}.weight"), False, True), weight(f"{name}.bias"))

    def normalised(x: openvino.Node, name: str) -> openvino.Node:
        centred = op.mvn(x, whole(-1), True, shape.epsilon, "inside_sqrt")
        return op.add(op.multiply(centred, weight(f"{name}.weight")), weight(f"{name}.bias"))

    def heads(x: openvino.Node) -> openvino.Node:
        return op.transpose(op.reshape(x, whole(0, 0, shape.heads, width // shape.heads), True), swapped)

    def layer(x: openvino.Node, name: str) -> openvino.Node:
        query, key, value = (
            heads(linear(x, f"{name}.attention.self.{part}")) for part in ("query", "key", "value")
        )
        seen = op.transpose(op.scaled_dot_product_attention(query, key, value, unseen), swapped)
        seen = linear(op.reshape(seen, whole(0, 0, width), True), f"{name}.attention.output.dense")
        x = normalised(op.add(seen, x), f"{name}.attention.output.LayerNorm")
        inner = op.gelu(linear(x, f"{name}.intermediate.dense"), "erf")
        return normalised(op.add(linear(inner, f"{name}.output.dense"), x), f"{name}.output.LayerNorm")

    words = weights["embeddings.word_embeddings.weight"]
    width, swapped = words.shape[1], whole(0, 2, 1, 3)
    ids, mask = parameter("ids", library.Type.i32), parameter("mask", library.Type.f32)
    unseen = op.unsqueeze(op.multiply(op.subtract(mask, floats(1)), floats(1e9)), whole(1, 2))
    length = op.slice(op.shape_of(ids), whole(1), whole(2), whole(1))
    places = weight("embeddings.position_embeddings.weight")
    hidden = op.gather(floats(words), ids, whole(0))
    hidden = op.add(hidden, op.slice(places, whole(0), length, whole(1), whole(0)))
    hidden = op.add(hidden, floats(weights["embeddings.token_type_embeddings.weight"][0]))
    hidden = normalised(hidden, "embeddings.LayerNorm")
    for number in range(shape.layers):
        hidden = layer(hidden, f"encoder.layer.{number}")
    # Of the tokens that are pooled the sum does as well as the mean: the length is made one.
    pooled = (
        op.multiply(hidden, op.unsqueeze(mask, whole(2)))
        if shape.pooling == "mean"
        else op.slice(hidden, whole(0), whole(1), whole(1), whole(1))
    )
    vectors = op.normalize_l2(op.reduce_sum(pooled, whole(1)), whole(1), 1e-12, "max")
    return library.Model([vectors], [ids, mask], "bert")


def batches(lengths: Sequence[int]) -> list[list[int]]:
    """Positions, longest first, in groups whose padded size is within the budget."""
    batches: list[list[int]] = []
    for position in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if not batches or (len(batches[-1]) + 1) * lengths[batches[-1][0]] > _BATCH_TOKENS:
            batches.append([])
        batches[-1].append(position)
    return batches


def _shape(folder: Path) -> Shape | None:
    """The settings of the folder if every one is computed here, else None."""
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
    pools = [_POOLINGS.get(name) for name, on in pooling.items() if name.startswith("pooling_mode_") and on]
    pools = pools or [str(pooling.get("pooling_mode"))]  # as later versions write it
    plain = (
        all(config.get(key) == value for key, value in _CONFIG.items())
        and config.get("position_embedding_type", "absolute") == "absolute"
        and pools in (["mean"], ["cls"])
        and not settings.get("do_lower_case")
        and not whole.get("default_prompt_name")
    )
    if not plain:
        return None
    return Shape(
        layers=_number(config, "num_hidden_layers"),
        heads=_number(config, "num_attention_heads"),
        epsilon=float(str(config.get("layer_norm_eps", 1e-12))),
        limit=min(limit, _number(config, "max_position_embeddings")),
        pooling=str(pools[0]),
    )


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
            f"cannot read the weights {str(path)!r}: {error}", hint="fetch the file again"
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
