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

from dirag.encoders.bert_graph import BertGraph, BertShape, compile_model, read_weights
from dirag.errors import ArtifactError

if TYPE_CHECKING:
    import numpy as np
    import openvino
    from numpy.typing import NDArray
    from tokenizers import Encoding, Tokenizer

    from dirag.data import Json

#: Tokens, padding included, in one forward pass.
_BATCH_TOKENS = 1024
_MODULES = (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
_POOLINGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}


@dataclass(frozen=True, slots=True)
class BertSettings:
    """What a folder says of its encoder: ``limit`` is in tokens, ``pooling`` is ``mean`` or ``cls``."""

    shape: BertShape
    limit: int
    pooling: str


class Bert:
    """The compiled encoder; of a text the tokens beyond the limit are not read."""

    def __init__(
        self, weights: Mapping[str, NDArray[np.float32]], tokenizer: Tokenizer, settings: BertSettings
    ) -> None:
        tokenizer.enable_truncation(settings.limit)
        # tokenizer.json may pad every text to a fixed length, at many times the cost of a short name.
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        graph = BertGraph(weights, settings.shape)
        self.dimension = graph.width
        self._compiled = compile_model(graph.model(_pooled(graph, settings.pooling)))

    @classmethod
    def open(cls, folder: Path) -> Bert | None:
        """Opens the encoder of a sentence-transformers folder; None where it is of another make."""
        settings = _settings(folder)
        weights = read_weights(folder / "model.safetensors") if settings is not None else None
        if settings is None or weights is None:
            return None
        from tokenizers import Tokenizer

        # The tokenizer's own error names no file: a damaged one is refused here, by its name.
        _load(folder / "tokenizer.json")
        return cls(weights, Tokenizer.from_file(str(folder / "tokenizer.json")), settings)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns unit vectors in the order of the texts; texts of like length share a pass."""
        import numpy as np

        encodings = self._tokenizer.encode_batch(list(texts))
        vectors = np.empty((len(texts), self.dimension), np.float32)
        # A request of its own for each call: two threads may embed at once, and a request serves one of them.
        request = self._compiled.create_infer_request()
        for batch in batches([len(encoding.ids) for encoding in encodings]):
            vectors[batch] = request.infer(_padded([encodings[i] for i in batch]))[0]
        return vectors


def _padded(encodings: Sequence[Encoding]) -> dict[str, NDArray[np.generic]]:
    """Returns token numbers and a mask of ones and zeros, both of shape (texts, longest)."""
    import numpy as np

    ids = np.zeros((len(encodings), max(len(e.ids) for e in encodings)), np.int32)
    mask = np.zeros(ids.shape, np.float32)
    for row, encoding in enumerate(encodings):
        ids[row, : len(encoding.ids)] = encoding.ids
        mask[row, : len(encoding.ids)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def _pooled(graph: BertGraph, pooling: str) -> openvino.Node:
    """Pools the last hidden states into one unit vector a text."""
    op, hidden = graph.op, graph.last_hidden_states()
    if pooling == "mean":
        # The sum over the tokens does as well as their mean, since the length is made one.
        tokens = op.multiply(hidden, op.unsqueeze(graph.mask, graph.integers(2)))
    else:
        start, stop, step, axis = (graph.integers(number) for number in (0, 1, 1, 1))
        tokens = op.slice(hidden, start, stop, step, axis)
    total = op.reduce_sum(tokens, graph.integers(1))
    return op.normalize_l2(total, graph.integers(1), 1e-12, "max")


def batches(lengths: Sequence[int]) -> list[list[int]]:
    """Returns positions, longest first, in groups whose padded size is within the budget."""
    batches: list[list[int]] = []
    for position in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        # The first of a batch is its longest, to which the others are padded.
        if not batches or (len(batches[-1]) + 1) * lengths[batches[-1][0]] > _BATCH_TOKENS:
            batches.append([])
        batches[-1].append(position)
    return batches


def _settings(folder: Path) -> BertSettings | None:
    """Reads the settings of a folder; None where one of them asks for what is not computed here."""
    modules = folder / "modules.json"
    if not modules.is_file() or not (folder / "tokenizer.json").is_file():
        return None
    listed = _load(modules)
    parts = [part for part in listed if isinstance(part, dict)] if isinstance(listed, list) else []
    kinds = [str(part.get("type", "")).rpartition(".")[2] for part in parts]
    paths = [str(part.get("path", "")) for part in parts]
    if kinds not in _MODULES or paths[0]:
        return None
    options = _read(folder / "sentence_bert_config.json")
    prompts = _read(folder / "config_sentence_transformers.json")
    limit, pooling = options.get("max_seq_length"), _pooling(folder / paths[1])
    # Both of these change the text before the tokenizer sees it.
    is_rewritten = options.get("do_lower_case") or prompts.get("default_prompt_name")
    if is_rewritten or pooling is None or not isinstance(limit, int):
        return None
    shape = BertShape.of(_read(folder / "config.json"))
    return None if shape is None else BertSettings(shape, min(limit, shape.positions), pooling)


def _pooling(folder: Path) -> str | None:
    """Reads the pooling of a folder, ``mean`` or ``cls``; None where it is another or a mix."""
    table = _read(folder / "config.json")
    poolings = [_POOLINGS.get(name) for name, on in table.items() if name.startswith("pooling_mode_") and on]
    # Later versions of sentence-transformers write one string in place of a flag for each pooling.
    poolings = poolings or [str(table.get("pooling_mode"))]
    return poolings[0] if poolings in (["mean"], ["cls"]) else None


def _load(path: Path) -> Json:
    try:
        content: Json = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ArtifactError(f"cannot read {path} of a sentence encoder: {error}") from error
    return content


def _read(path: Path) -> dict[str, Json]:
    """Reads the object in a JSON file, empty where there is no such file."""
    content = _load(path) if path.is_file() else {}
    return content if isinstance(content, dict) else {}
