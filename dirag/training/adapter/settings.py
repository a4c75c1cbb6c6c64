"""What decides the training of an adapter."""

from __future__ import annotations

from dataclasses import dataclass

from dirag.training.trainer import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterSettings(Settings):
    """What decides the training of an adapter.

    It has a ``rank``, is scaled by ``alpha`` / rank, and stands on the linear layers named in ``targets``, or
    on all; ``precision`` is that of the model's weights, one of ``PRECISIONS``.
    """

    epochs: float = 2.0
    rate: float = 1e-3
    rank: int = 16
    alpha: float = 32.0
    targets: tuple[str, ...] = ()
    precision: str = "auto"
    validate: int = 300
    every: float = 0.25
