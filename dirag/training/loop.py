"""Trains with AdamW so that a killed run goes on to the same weights, bit for bit; every trainer uses it.

A trainer gives its parameters by name to an ``Optimizer`` and hands :func:`run` its batches, a step that
computes the loss of one, and a function that saves. A ``Checkpoint`` holds the tensors of the optimizer and
what else the trainer needs to go on: its losses, or how far it is.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dirag.errors import InputError
from dirag.files import atomic

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Parameter

#: Seconds between two checkpoints: what a kill costs at most.
PAUSE = 60.0
_CLIP = 1.0  # the norm of the gradients at most
_WEIGHT, _MOMENTS = "weight", ("exp_avg", "exp_avg_sq")

B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Schedule:
    """The learning rate over ``total`` steps or training examples.

    It rises in a line to ``rate`` over the first ``rise`` of them, and falls in a line to 0 over ``fall``.
    """

    rate: float
    total: int
    rise: float
    fall: float

    def at(self, before: int, after: int) -> float:
        """Returns the rate of the step that leads from ``before`` to ``after`` of the total."""
        return self.rate * min(after / self.rise, (self.total - before) / self.fall)


class Optimizer:
    """AdamW over named float32 parameters; its state can be taken out as tensors and put back."""

    def __init__(
        self, parameters: Mapping[str, Parameter], *, weight_decay: float, fused: bool = False
    ) -> None:
        import torch

        self._parameters, self._fused = dict(parameters), fused
        self._adamw = torch.optim.AdamW(self._parameters.values(), weight_decay=weight_decay, fused=fused)

    def step(self, rate: float) -> None:
        """Moves the parameters against their gradients, clipped to a norm of 1, and removes the gradients."""
        import torch

        for group in self._adamw.param_groups:
            group["lr"] = rate
        torch.nn.utils.clip_grad_norm_(self._parameters.values(), _CLIP)
        self._adamw.step()
        self._adamw.zero_grad()

    def tensors(self) -> dict[str, Tensor]:
        """Returns ``weight NAME`` of each parameter and, once it has moved, both of its moments."""
        tensors = {f"{_WEIGHT} {name}": p.detach() for name, p in self._parameters.items()}
        for name, parameter in self._parameters.items():
            if state := self._adamw.state.get(parameter):
                tensors |= {f"{moment} {name}": state[moment] for moment in _MOMENTS}
        return tensors

    def restore(self, tensors: Mapping[str, Tensor], *, steps: int) -> None:
        """Puts back what :meth:`tensors` returned after so many steps."""
        import torch

        for name in {key.partition(" ")[2] for key in tensors}:
            parameter = self._parameters[name]
            with torch.no_grad():  # in place: AdamW and the model hold this very parameter
                parameter.copy_(tensors[f"{_WEIGHT} {name}"])
            if f"{_MOMENTS[0]} {name}" in tensors:
                # only the fused kernel wants the number of steps where the parameters are
                device = parameter.device if self._fused else "cpu"
                moments = {key: tensors[f"{key} {name}"].to(parameter.device) for key in _MOMENTS}
                self._adamw.state[parameter] = {"step": torch.tensor(float(steps), device=device)} | moments


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A safetensors file of tensors, with a JSON value under ``key`` in its metadata."""

    path: Path
    key: str

    def save(self, tensors: Mapping[str, Tensor], value: Any) -> None:
        """Replaces the file."""
        from safetensors.torch import save_file

        with atomic.new_file(self.path) as part:
            save_file(dict(tensors), part, metadata={self.key: json.dumps(value)})

    def load(self, *, hint: str) -> tuple[dict[str, Tensor], Any]:
        """Returns the tensors, on the CPU, and the value; raises InputError with a hint if that fails."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.path, framework="pt") as file:
                names = file.keys()
                return {name: file.get_tensor(name) for name in names}, json.loads(file.metadata()[self.key])
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise InputError(f"cannot read the checkpoint {self.path}: {error}", hint=hint) from error


def run(batches: Iterable[B], step: Callable[[B], None], save: Callable[[], None]) -> None:
    """Takes a step with each batch; saves every minute, at the end, and before Ctrl-C ends the run.

    Raises KeyboardInterrupt at the end of the step in which Ctrl-C came.
    """
    saved = time.monotonic()
    for batch in batches:
        with _interruptible() as interrupts:
            step(batch)
        # Between steps only: within one the weights may have moved and their moments not, or the reverse.
        if interrupts or time.monotonic() - saved > PAUSE:
            save()
            saved = time.monotonic()
        if interrupts:
            raise KeyboardInterrupt
    save()


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Notes the first Ctrl-C in the list, so that a step ends whole; a second one is obeyed at once."""
    interrupts: list[int] = []
    # Python lets no other thread set a handler; there Ctrl-C goes to the main thread anyway.
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: object) -> None:
        interrupts.append(number)
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)
