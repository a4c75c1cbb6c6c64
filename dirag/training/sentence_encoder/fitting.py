"""Trains a sentence encoder on batches of names, with checkpoints.

In: a sentence-transformers model and batches that know how far their names are from each other. Out: the
model with new weights, and the loss of each step. Word embeddings stay as they are: a vocabulary teaches
what its words mean together, and text holds words that it lacks. There is no dropout, so that the weights
depend on the batches only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from dirag.errors import KnowledgeError
from dirag.files.progress import Meter
from dirag.training import loop
from dirag.training.loop import Checkpoint, Optimizer, Schedule

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor
    from torch.nn import Parameter

    from dirag.training.sentence_encoder.synonyms import Batch

#: For names at most 1, 2 steps apart: the cosine that separates them from others, and the weight of the loss.
KIN = ((0.35, 0.2), (0.25, 0.1))
_ALPHA, _BETA, _MARGIN = 2.0, 50.0, 0.1
_TEMPERATURE = 0.05
_WARM = 0.1  # of the steps, in which the rate rises; then it falls
_PASS = 32  # names encoded at once, sorted by length, so that short ones are not padded like the longest


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """The highest learning ``rate``, the ``length`` in tokens at which names are cut, and the ``precision``
    of the matrix products (weights are float32 in any case).
    """

    steps: int
    rate: float
    length: int
    precision: str = "float32"


def fit(
    model: SentenceTransformer,
    batches: Callable[[int], Iterator[Batch]],
    hyperparameters: Hyperparameters,
    checkpoint: Path,
    *,
    progress: bool | None = None,
) -> list[float]:
    """Trains the model in place, from the checkpoint on if there is one; returns the loss of each step.

    ``batches`` yields those from a step on. The checkpoint stays until the caller has written the model.
    """
    import torch

    model.float().eval()  # eval() switches dropout off, and lets gradients through all the same
    optimizer = Optimizer(_trainable(model), weight_decay=0.01)
    file, losses = Checkpoint(checkpoint, "losses"), list[float]()
    if checkpoint.is_file():
        tensors, losses = file.load(hint="delete it to begin anew")
        optimizer.restore(tensors, steps=len(losses))
    schedule, done, total = _schedule(hyperparameters), len(losses), hyperparameters.steps

    def step(batch: Batch) -> None:
        with torch.autocast(
            model.device.type, torch.bfloat16, enabled=hyperparameters.precision == "bfloat16"
        ):
            vectors = _encode(model, batch.names, hyperparameters.length)
        # The loss in float32: in bfloat16 cosines near 1 have steps of 0.004, over a temperature of 0.05.
        loss = batch_loss(vectors.float(), torch.from_numpy(batch.steps))
        loss.backward()
        optimizer.step(schedule.at(len(losses), len(losses) + 1))
        losses.append(loss.item())
        meter.at(len(losses), f"loss {fmean(losses[-50:]):.3f}")

    with Meter("tuning", total, unit="steps", start=done, wanted=progress) as meter:
        if done:
            meter.say(f"tuning goes on at step {done:,} of {total:,}")
        remaining = islice(batches(done), total - done)
        loop.run(remaining, step, lambda: file.save(optimizer.tensors(), losses))
    return losses


def batch_loss(vectors: Tensor, steps: Tensor) -> Tensor:
    """Returns the loss: synonyms by contrast with all other names, kin by multi-similarity to strangers.

    ``vectors`` are (names, dimensions) and of length 1, ``steps`` (names, names).

    With multi-similarity for the synonyms too, as in SapBERT, an encoder that was trained on sentences lost
    more of what it knew than it learnt: linking of NCBI-disease mentions became worse.
    """
    import torch

    cosines, steps = vectors @ vectors.T, steps.to(vectors.device)
    others = ~torch.eye(len(steps), dtype=torch.bool, device=vectors.device)
    loss = contrastive(cosines, (steps == 0) & others, steps > 0)
    for level, (base, weight) in enumerate(KIN, 1):
        kin = (steps <= level) & others
        loss = loss + weight * multi_similarity(cosines, kin, steps > level, base=base)
    return loss


def contrastive(cosines: Tensor, alike: Tensor, apart: Tensor) -> Tensor:
    """Returns InfoNCE: the mean over pairs that are ``alike``, each against all ``apart`` from its name."""
    import torch

    scaled = cosines / _TEMPERATURE
    # not -infinity: for a name without any rival its gradient would be NaN
    rivals = torch.logsumexp(scaled.masked_fill(~apart, -1e4), dim=1, keepdim=True)
    losses = torch.nn.functional.softplus(rivals - scaled)
    return torch.where(alike, losses, 0.0).sum() / alike.sum().clamp(min=1)


def multi_similarity(cosines: Tensor, alike: Tensor, apart: Tensor, *, base: float) -> Tensor:
    """Returns the loss of Wang et al. (2019), the mean over the names with some ``alike`` and some ``apart``.

    Only hard pairs count: others that are nearly as similar as the least similar synonym, and synonyms that
    are hardly more similar than the most similar other.
    """
    import torch

    # A row without a pair is infinite here, has an empty mask below, and is no anchor.
    infinity = torch.tensor(math.inf, device=cosines.device)
    least = torch.where(alike, cosines, infinity).amin(dim=1, keepdim=True)
    most = torch.where(apart, cosines, -infinity).amax(dim=1, keepdim=True)
    anchors = (alike.any(dim=1) & apart.any(dim=1)).float()
    near = alike & (cosines < most + _MARGIN)
    far = apart & (cosines > least - _MARGIN)
    losses = _soft(-_ALPHA * (cosines - base), near) / _ALPHA + _soft(_BETA * (cosines - base), far) / _BETA
    mean: Tensor = (losses * anchors).sum() / anchors.sum().clamp(min=1)
    return mean


def _soft(values: Tensor, mask: Tensor) -> Tensor:
    """Returns log(1 + sum(exp(values))) of each row, over the mask."""
    import torch

    inside = values.masked_fill(~mask, -math.inf)
    return torch.logsumexp(torch.cat([torch.zeros_like(inside[:, :1]), inside], dim=1), dim=1)


def _encode(model: SentenceTransformer, names: Sequence[str], length: int) -> Tensor:
    """Returns unit vectors of the names, through which gradients flow."""
    import torch

    order = sorted(range(len(names)), key=lambda i: len(names[i]))
    passes = []
    for start in range(0, len(order), _PASS):
        texts = [names[i] for i in order[start : start + _PASS]]
        features = model.tokenizer(
            texts, padding=True, truncation=True, max_length=length, return_tensors="pt"
        )
        # The module itself, not encode(), which computes without gradients.
        passes.append(model(dict(features.to(model.device)))["sentence_embedding"])
    vectors = torch.nn.functional.normalize(torch.cat(passes), dim=1)
    return vectors[torch.argsort(torch.tensor(order))]


def _trainable(model: SentenceTransformer) -> dict[str, Parameter]:
    """Freezes the word embeddings and returns the other weights by name."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("embeddings" not in name)
    trainable = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if not trainable:
        raise KnowledgeError("the encoder has no weights but those of its words, so there is nothing to tune")
    return trainable


def _schedule(hyperparameters: Hyperparameters) -> Schedule:
    rise = max(1, round(_WARM * hyperparameters.steps))
    fall = max(1, hyperparameters.steps - rise)
    return Schedule(hyperparameters.rate, hyperparameters.steps, rise=rise, fall=fall)
