"""A transformers encoder with a pooling of one's choice: texts in, unit vectors out, computed by torch.

Serves any folder that ``AutoModel`` reads with its tokenizer (BERT, RoBERTa, ModernBERT and their kin).
Refused: weights that lack a part of the model, which transformers would fill with random numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dirag.encoders.bert_openvino import batches
from dirag.encoders.token_pieces import places
from dirag.errors import ArtifactError
from dirag.files.libraries import loading, quiet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Pooled:
    """The last layer's tokens as one vector: their ``mean``, the first (``cls``), or what the model's own
    ``pooler`` makes of the first. Of a text the tokens beyond ``limit`` are not read.
    """

    def __init__(self, path: Path, *, pooling: str, device: str = "cpu") -> None:
        self._pooling, self._device = pooling, device
        self._tokenizer, model = _load(path, pooling)
        self._model = model.to(device).eval()
        self.dimension = int(model.config.hidden_size)
        most = int(self._tokenizer.model_max_length)
        self.limit = min(places(model.config.to_dict()) or most, most)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns unit vectors in the order of the texts; texts of like length share a pass."""
        import numpy as np
        import torch

        encoded = self._tokenizer(list(texts), truncation=True, max_length=self.limit)
        rows = [{name: values[i] for name, values in encoded.items()} for i in range(len(texts))]
        vectors = np.empty((len(texts), self.dimension), np.float32)
        with torch.inference_mode():
            for batch in batches([len(row["input_ids"]) for row in rows]):
                inputs = self._tokenizer.pad([rows[i] for i in batch], return_tensors="pt").to(self._device)
                vectors[batch] = self._pooled(self._model(**inputs), inputs["attention_mask"]).cpu().numpy()
        return vectors

    def _pooled(self, output: Any, mask: Any) -> Any:
        import torch

        hidden = output.last_hidden_state
        if self._pooling == "pooler":
            pooled = output.pooler_output
        elif self._pooling == "cls":
            pooled = hidden[:, 0]
        else:  # the sum does as well as the mean, since the length is made one
            pooled = (hidden * mask.unsqueeze(-1)).sum(1)
        return torch.nn.functional.normalize(pooled, dim=-1)


def _load(path: Path, pooling: str) -> tuple[Any, Any]:
    """Loads tokenizer and model of a folder; raises ArtifactError where they are not all there."""
    with quiet():
        import torch
        from transformers import AutoModel, AutoTokenizer
    failed = f"{str(path)!r} could not be loaded as a transformers encoder"
    with loading(failed, hint="it must be a complete folder: config.json, weights and tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
        model, report = AutoModel.from_pretrained(
            path, local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
    missing = [name for name in report["missing_keys"] if "pooler" not in name]
    if missing:
        raise ArtifactError(
            f"the weights in {str(path)!r} lack {len(missing)} parts of the model: {min(missing)} …",
            hint="fetch them again, or give another encoder",
        )
    # A pooler without weights is made of random numbers, and so would the vectors be.
    has_pooler = getattr(model, "pooler", None) is not None
    if pooling == "pooler" and (not has_pooler or report["missing_keys"]):
        raise ArtifactError(
            f"{str(path)!r} has no trained pooler", hint="give --pooling mean or --pooling cls"
        )
    return tokenizer, model
