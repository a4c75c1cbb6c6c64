"""The model that is trained: an encoder of transformers with a new layer of labels, and its loss."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dirag.encoders.token_torch import padded
from dirag.files.libraries import loading, quiet
from dirag.training.token_classifier.sentences import LabelledRow

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Parameter


class LabellingModel:
    """An encoder with a layer of ``labels``, all of whose weights learn; those of the layer begin by chance.

    ``precision`` is that of the computation. Dropout is drawn by the seed and the batch, so that a training
    that was killed goes on to the same weights.
    """

    def __init__(
        self, path: Path, labels: Sequence[str], *, precision: str, seed: int, device: str = "cpu"
    ) -> None:
        with quiet():
            import torch
            from transformers import AutoModelForTokenClassification
        torch.manual_seed(seed)
        failed = f"{str(path)!r} could not be loaded as an encoder"
        with loading(failed, hint="give a folder of transformers: config.json, weights and tokenizer.json"):
            model = AutoModelForTokenClassification.from_pretrained(
                path,
                local_files_only=True,
                dtype=torch.float32,  # bfloat16 would round the steps of AdamW away
                id2label=dict(enumerate(labels)),
                label2id={label: number for number, label in enumerate(labels)},
                ignore_mismatched_sizes=True,
            )
        self.model = model.to(device).train()
        self.device, self._seed, self._dtype = device, seed, getattr(torch, precision)

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """Returns all weights by name."""
        return dict(self.model.named_parameters())

    def backward(self, rows: Sequence[LabelledRow]) -> float:
        """Computes the loss of a batch and its gradients."""
        import torch

        # Not by the number of the step: a resumed training must draw what the other would have drawn.
        torch.manual_seed(zlib.crc32(repr([row.ids for row in rows]).encode()) ^ self._seed)
        loss = self.loss(rows)
        loss.backward()
        return float(loss.item())

    def write_back(self) -> None:
        """Does nothing: the weights that learn are those that compute."""

    def loss(self, rows: Sequence[LabelledRow]) -> Tensor:
        """Returns the mean over words of the negative log-probability of what is right of each."""
        import torch

        # Of the pieces only the first of a word has a loss, and of the labels the right ones share it.
        places = [(number, piece) for number, row in enumerate(rows) for piece in row.first]
        wrong = torch.zeros(len(places), self.model.config.num_labels, dtype=torch.bool)
        at = 0
        for row in rows:
            for label in row.labels:
                wrong[at] = True
                wrong[at, [label] if label else [0, *row.unknown]] = False
                at += 1
        with torch.autocast(self.device, dtype=self._dtype, enabled=self._dtype != torch.float32):
            logits = self.model(**padded([row.ids for row in rows], self.model)).logits
        numbers, pieces = (torch.tensor(axis, dtype=torch.long) for axis in zip(*places, strict=True))
        chosen = logits.float()[numbers, pieces]
        right = chosen.masked_fill(wrong.to(self.device), -torch.inf)
        return (chosen.logsumexp(-1) - right.logsumexp(-1)).mean()
