"""Token classifiers run by torch: any folder that transformers opens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dirag.errors import ArtifactError
from dirag.files.libraries import loading, quiet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Rows that a GPU computes together.
_BATCH = 64


class TorchScorer:
    """Runs a folder by torch: on a CPU a row at a time, on a GPU rows of like length together."""

    def __init__(self, folder: Path, *, threads: int = 0) -> None:
        with quiet():
            import torch

        if threads:
            torch.set_num_threads(threads)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = load_torch(folder).to(self._device).eval()

    def scores(self, rows: Sequence[Sequence[int]]) -> Iterator[NDArray[np.float32]]:
        import torch

        results: dict[int, NDArray[np.float32]] = {}
        order = sorted(range(len(rows)), key=lambda n: -len(rows[n]))
        size = 1 if self._device == "cpu" else _BATCH
        with torch.inference_mode():
            for at in range(0, len(order), size):
                batch = order[at : at + size]
                inputs = padded([rows[n] for n in batch], self._model)
                logits = self._model(**inputs).logits.float()
                for n, scores in zip(batch, torch.log_softmax(logits, -1).cpu().numpy(), strict=True):
                    results[n] = scores[: len(rows[n])]
        return iter([results[n] for n in range(len(rows))])


def padded(rows: Sequence[Sequence[int]], model: Any) -> dict[str, Any]:
    """Returns the inputs of a model for token rows: numbers and mask, both (rows, longest), on its device."""
    import torch

    ids = torch.full((len(rows), max(map(len, rows))), model.config.pad_token_id or 0, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(row)
        mask[number, : len(row)] = 1
    return {"input_ids": ids.to(model.device), "attention_mask": mask.to(model.device)}


def load_torch(folder: Path) -> Any:
    """Returns transformers' model of a folder, in float32; raises ArtifactError where parts are missing."""
    with quiet():
        import torch
        from transformers import AutoModelForTokenClassification
    failed = f"{str(folder)!r} could not be loaded as a token classifier"
    with loading(failed, hint="it must be a complete folder: config.json, weights and tokenizer.json"):
        model, report = AutoModelForTokenClassification.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
    # transformers fills what is missing with random numbers: an encoder whose labels nobody has trained.
    if missing := sorted(report["missing_keys"]):
        raise ArtifactError(
            f"the weights in {str(folder)!r} lack {len(missing)} parts of the model: {missing[0]} …",
            hint="give a folder that was trained to classify tokens (dirag train token-classifier makes one)",
        )
    return model
