"""The course of training: batches in, steps of AdamW, with validations and checkpoints on the way.

What a course does depends on its settings and its lessons alone: killed and gone on with, it ends in the
same weights, bit for bit, on the same machine with as many threads.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dirag.errors import InputError
from dirag.training.adapter.batches import Position, TokenRow

if TYPE_CHECKING:
    from dirag.training.adapter.model import AdaptedModel

_WARM = 0.05  # of the lessons, in which the rate rises; then it falls in a line to nothing
_PAUSE = 60.0  # seconds between two checkpoints
_ANEW = "name another folder to begin anew"
_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What decides a course, beside the lessons and the base model.

    ``epochs`` over the lessons, in batches of at most ``batch`` tokens, with ``rate`` the highest rate of
    learning. The adapter has a ``rank``, is scaled by ``alpha`` / rank, and stands on the linear layers named
    in ``targets``, or on all. Every ``every`` epochs ``validate`` held-out sentences are tagged; when
    ``patience`` validations have brought no better F1, the course ends.
    """

    epochs: float = 2.0
    rate: float = 1e-3
    batch: int = 1024
    rank: int = 16
    alpha: float = 32.0
    targets: tuple[str, ...] = ()
    precision: str = "bfloat16"
    validate: int = 300
    every: float = 0.25
    patience: int = 4


@dataclass(frozen=True, slots=True)
class Validation:
    """The strict F1 on the held-out sentences of each corpus, after so many lessons."""

    seen: int
    loss: float
    f1: Mapping[str, float]

    @property
    def mean(self) -> float:
        return sum(self.f1.values()) / len(self.f1)


@dataclass(slots=True)
class Progress:
    """How far a course is, as a checkpoint tells it; ``losses`` are those since the last validation."""

    position: Position = field(default_factory=Position)
    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    validations: list[Validation] = field(default_factory=list)

    @property
    def best(self) -> Validation | None:
        """The first of the best validations."""
        return max(self.validations, key=lambda v: v.mean, default=None)

    @property
    def without_gain(self) -> int:
        """How many validations have passed since the best one."""
        return len(self.validations) - 1 - self.validations.index(self.best) if self.best else 0


class Trainer:
    """Training of one adapter over ``total`` lessons, kept in a ``checkpoint`` that knows what made it."""

    def __init__(
        self,
        adapted: AdaptedModel,
        settings: Settings,
        *,
        total: int,
        checkpoint: Path,
        made_of: Mapping[str, str],
    ) -> None:
        import torch

        self.adapted, self.settings, self.total = adapted, settings, total
        self.progress = Progress()
        self._checkpoint, self._made_of = checkpoint, dict(made_of)
        self._optimizer = torch.optim.AdamW([adapted.vector], lr=settings.rate, weight_decay=0.0, fused=True)

    def run(
        self,
        batches: Callable[[Position], Iterator[tuple[list[TokenRow], Position]]],
        validate: Callable[[Progress], Mapping[str, float]] | None,
        improved: Callable[[], None],
        *,
        report: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        """Train to the end, or until validations bring nothing better.

        ``improved`` is called after the best validation so far, or at the end where there is none.
        """
        progress, begun = self.progress, time.monotonic() - self.progress.seconds
        saved = time.monotonic()
        source = batches(progress.position)
        while True:
            if validate and self._is_due():
                self.save()
                found = validate(progress)
                losses, progress.losses = progress.losses, []
                progress.validations.append(
                    Validation(progress.position.seen, sum(losses) / len(losses), found)
                )
                if not progress.without_gain:
                    improved()
                self.save()
            batch = None if progress.without_gain >= self.settings.patience else next(source, None)
            if batch is None:
                break
            with _interruptible() as interrupted:
                self._step(*batch)
            progress.seconds = time.monotonic() - begun
            if interrupted or time.monotonic() - saved > _PAUSE:
                self.save()
                saved = time.monotonic()
            if interrupted:
                raise KeyboardInterrupt
            report(progress)
        if validate is None:
            improved()

    def save(self) -> None:
        """Written beside its place, then renamed: what is there is whole."""
        from safetensors.torch import save_file

        state = self._optimizer.state.get(self.adapted.vector, {})
        tensors = {"weights": self.adapted.vector.detach(), **{m: state[m] for m in _MOMENTS if m in state}}
        told = json.dumps({"made_of": self._made_of, "progress": asdict(self.progress)})
        part = self._checkpoint.with_name(f"{self._checkpoint.name}.part")
        save_file(tensors, part, metadata={"told": told})
        part.replace(self._checkpoint)

    def restore(self) -> None:
        """Go on from the checkpoint; raises UsageError with the difference where it is of another course."""
        import torch
        from safetensors import SafetensorError, safe_open

        from dirag.files import journal

        vector = self.adapted.vector
        try:
            with safe_open(self._checkpoint, framework="pt") as file:
                told = json.loads(file.metadata()["told"])
                journal.compare(told["made_of"], self._made_of, self._checkpoint.parent, hint=_ANEW)
                tensors = {name: file.get_tensor(name).to(vector.device) for name in file.keys()}  # noqa: SIM118
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise InputError(f"cannot read the checkpoint {self._checkpoint}: {error}", hint=_ANEW) from error
        self.progress = _progress(told["progress"])
        with torch.no_grad():
            vector.copy_(tensors.pop("weights"))
        if tensors:
            step = torch.tensor(float(self.progress.steps), device=vector.device)
            self._optimizer.state[vector] = {"step": step, **tensors}
        self.adapted.write_back()

    def _is_due(self) -> bool:
        """Whether a validation is to come before the next step; the last one is at the end."""
        wanted, done = max(1, round(self.settings.epochs / self.settings.every)), self.progress.validations
        before, now = done[-1].seen if done else 0, self.progress.position.seen
        return now * wanted // self.total > before * wanted // self.total

    def _share_of_rate(self, seen: int) -> float:
        """The share of the highest rate for a step up to so many lessons."""
        before = self.progress.position.seen
        return min(seen / (_WARM * self.total), (self.total - before) / ((1 - _WARM) * self.total))

    def _step(self, rows: Sequence[TokenRow], position: Position) -> None:
        import torch

        progress = self.progress
        for group in self._optimizer.param_groups:
            group["lr"] = self.settings.rate * self._share_of_rate(position.seen)
        loss = self.adapted.loss(rows)
        loss.backward()
        self.adapted.collect_gradients()
        torch.nn.utils.clip_grad_norm_([self.adapted.vector], 1.0)
        self._optimizer.step()
        self.adapted.write_back()
        progress.position = position
        progress.steps += 1
        progress.tokens += sum(map(len, rows))
        progress.losses.append(loss.item())


def _progress(told: dict[str, Any]) -> Progress:
    validations = [Validation(**each) for each in told.pop("validations")]
    return Progress(position=Position(**told.pop("position")), validations=validations, **told)


@contextmanager
def _interruptible() -> Iterator[list[bool]]:
    """Until a step is done Ctrl-C is only noted, in the list; a second one is obeyed."""
    asked: list[bool] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.getsignal(signal.SIGINT)

    def note(*_: object) -> None:
        asked.append(True)
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
