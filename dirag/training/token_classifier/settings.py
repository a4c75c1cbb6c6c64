"""What decides the training of a token classifier."""

from __future__ import annotations

from dataclasses import dataclass

from dirag.training.trainer import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierSettings(Settings):
    """What decides the training of a token classifier.

    ``masked`` is the share of pieces that are hidden from it, ``replaced`` that of the mentions in whose
    place another one of their type stands. ``decay`` is AdamW's. ``precision`` is that of the computation,
    one of ``PRECISIONS``; weights are float32.
    """

    epochs: float = 8.0
    rate: float = 3e-4
    decay: float = 0.01
    masked: float = 0.0
    replaced: float = 0.0
    precision: str = "auto"
    validate: int = 2000
    every: float = 1.0
