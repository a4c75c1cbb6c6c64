"""Trains a model or an adapter of one: batches in, steps of AdamW, validations and checkpoints on the way.

The weights depend on the settings and the training examples alone: a training that was killed and resumed
ends in the same ones, bit for bit, on the same machine with as many threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol

from dirag.files import journal
from dirag.training import loop
from dirag.training.batches import Position, R, R_contra

if TYPE_CHECKING:
    from torch.nn import Parameter

_WARM = 0.05  # of the training examples, over which the rate rises
_STATE = "told"  # the key of the JSON value in files of checkpoints, older ones too
_ANEW = "name another folder to begin anew"


class Learner(Protocol[R_contra]):
    """A model that is being trained: what a ``Trainer`` needs of it.

    ``parameters`` are those that the optimizer moves, by name. ``backward`` computes the loss of a batch, its
    gradients to the parameters, and returns it. ``write_back`` is called when they have been moved.
    """

    @property
    def parameters(self) -> Mapping[str, Parameter]: ...

    def backward(self, rows: Sequence[R_contra]) -> float: ...

    def write_back(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What decides every training, beside its examples and the base model.

    It goes ``epochs`` times over the examples, in batches of at most ``batch`` tokens, with a learning rate
    of at most ``rate``. Every ``every`` epochs ``validate`` held-out sentences are tagged; when ``patience``
    validations have brought no better F1, the training ends.
    """

    epochs: float
    rate: float
    batch: int = 1024
    validate: int
    every: float
    patience: int = 4


@dataclass(frozen=True, slots=True)
class Validation:
    """The strict F1 on the held-out sentences of each corpus, after ``seen`` training examples."""

    seen: int
    loss: float
    f1: Mapping[str, float]

    @property
    def mean(self) -> float:
        return sum(self.f1.values()) / len(self.f1)


@dataclass(slots=True)
class Progress:
    """How far a training is, as its checkpoint records it; ``losses`` are those since the last validation."""

    position: Position = field(default_factory=Position)
    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    validations: list[Validation] = field(default_factory=list)

    @property
    def best(self) -> Validation | None:
        """Returns the first of the best validations."""
        return max(self.validations, key=lambda v: v.mean, default=None)

    @property
    def without_gain(self) -> int:
        """Returns how many validations came after the best one."""
        return len(self.validations) - 1 - self.validations.index(self.best) if self.best else 0


class Trainer(Generic[R]):
    """Trains a ``learner`` over ``total`` examples; its ``checkpoint`` records the ``provenance``."""

    def __init__(
        self,
        learner: Learner[R],
        settings: Settings,
        *,
        total: int,
        checkpoint: Path,
        provenance: Mapping[str, str],
        weight_decay: float = 0.0,
    ) -> None:
        self.learner, self.settings, self.total = learner, settings, total
        self.progress = Progress()
        self._checkpoint, self._provenance = loop.Checkpoint(checkpoint, _STATE), dict(provenance)
        self._optimizer = loop.Optimizer(learner.parameters, weight_decay=weight_decay, fused=True)
        self._schedule = loop.Schedule(settings.rate, total, rise=_WARM * total, fall=(1 - _WARM) * total)

    def run(
        self,
        batches: Callable[[Position], Iterator[tuple[list[R], Position]]],
        validate: Callable[[Progress], Mapping[str, float]] | None,
        publish: Callable[[], None],
        *,
        report: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        """Trains to the end, or until validations bring nothing better.

        ``publish`` is called after the best validation so far, or at the end if there is none. ``report`` is
        called after every step.
        """
        progress, start = self.progress, time.monotonic() - self.progress.seconds

        def step(batch: tuple[list[R], Position]) -> None:
            self.step(*batch)
            progress.seconds = time.monotonic() - start
            report(progress)

        source = batches(progress.position)
        loop.run(self._validated(source, validate, publish) if validate else source, step, self.save)
        if validate is None:
            publish()

    def step(self, rows: Sequence[R], position: Position) -> None:
        """Learns a batch, behind which the order of training examples goes on at ``position``."""
        progress = self.progress
        loss = self.learner.backward(rows)
        self._optimizer.step(self._schedule.at(progress.position.seen, position.seen))
        self.learner.write_back()
        progress.position = position
        progress.steps += 1
        progress.tokens += sum(map(len, rows))
        progress.losses.append(loss)

    def save(self) -> None:
        state = {"made_of": self._provenance, "progress": asdict(self.progress)}
        self._checkpoint.save(self._optimizer.tensors(), state)

    def restore(self) -> None:
        """Goes on from the checkpoint; raises UsageError with the difference if its provenance is another."""
        tensors, state = self._checkpoint.load(hint=_ANEW)
        journal.compare(state["made_of"], self._provenance, self._checkpoint.path.parent, hint=_ANEW)
        self.progress = _read_progress(state["progress"])
        self._optimizer.restore(tensors, steps=self.progress.steps)
        self.learner.write_back()

    def _validated(
        self,
        batches: Iterator[tuple[list[R], Position]],
        validate: Callable[[Progress], Mapping[str, float]],
        publish: Callable[[], None],
    ) -> Iterator[tuple[list[R], Position]]:
        """Yields the batches until validations bring nothing better; validates between them when due."""
        while True:
            if self._is_due():  # also the first time: the run that was killed may have died in a validation
                self._validate(validate, publish)
            if self.progress.without_gain >= self.settings.patience:
                return
            batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def _validate(
        self, validate: Callable[[Progress], Mapping[str, float]], publish: Callable[[], None]
    ) -> None:
        """Saves before and after, since a validation takes minutes and an adapter must not be lost."""
        self.save()
        progress, f1 = self.progress, validate(self.progress)
        losses, progress.losses = progress.losses, []
        progress.validations.append(Validation(progress.position.seen, sum(losses) / len(losses), f1))
        if not progress.without_gain:
            publish()
        self.save()

    def _is_due(self) -> bool:
        """Tells whether a validation comes before the next step; the last one is at the end."""
        # Due at the same places whatever the batches: counted by examples, as the checkpoint does.
        number = max(1, round(self.settings.epochs / self.settings.every))
        validations, now = self.progress.validations, self.progress.position.seen
        before = validations[-1].seen if validations else 0
        return now * number // self.total > before * number // self.total


def _read_progress(record: dict[str, Any]) -> Progress:
    validations = [Validation(**validation) for validation in record.pop("validations")]
    return Progress(position=Position(**record.pop("position")), validations=validations, **record)
