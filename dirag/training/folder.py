"""The folder that a training fills: the best model so far, its card and, until it is done, a checkpoint."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from dirag.errors import UsageError
from dirag.files import atomic
from dirag.files.progress import Meter
from dirag.training.batches import Position, R
from dirag.training.trainer import Progress, Trainer

CARD = "README.md"
_CHECKPOINT = ".checkpoint.safetensors"
_TRIAL = ".trial-"
_RECENT = 50  # steps whose mean loss is reported


@dataclass(frozen=True, slots=True)
class TrainingFolder:
    """The folder at ``path``; ``files`` are the names of what a training writes there, the weights first.

    A training that was killed goes on from the checkpoint. Refused: without ``resume`` a folder that is not
    empty.
    """

    path: Path
    files: Sequence[str]

    @property
    def checkpoint(self) -> Path:
        return self.path / _CHECKPOINT

    def is_done(self, *, resume: bool) -> bool:
        """Tells whether training has ended there; raises UsageError where it must not begin there."""
        if not self.path.exists() or all(map(_is_leftover, self.path.iterdir())):
            return False
        has_checkpoint, has_weights = self.checkpoint.exists(), (self.path / self.files[0]).exists()
        if resume and (has_checkpoint or has_weights):
            return not has_checkpoint
        hint = "--resume goes on with it" if has_checkpoint else "name a new folder"
        raise UsageError(f"{self.path} exists and is not empty", hint=hint)

    def begin(self, trainer: Trainer[Any], notify: Callable[[str], None]) -> None:
        """Goes on from the checkpoint if there is one, else makes the first."""
        for leftover in self.path.glob(f"{_TRIAL}*"):
            shutil.rmtree(leftover)
        for name in (_CHECKPOINT, CARD, *self.files):
            atomic.sweep(self.path / name, age=0.0)
        if self.checkpoint.exists():
            trainer.restore()
            seen = trainer.progress.position.seen
            notify(f"goes on after {seen:,} of {trainer.total:,} training examples")
            return
        self.path.mkdir(parents=True, exist_ok=True)
        trainer.save()
        notify(f"{trainer.total:,} training examples")

    def run(
        self,
        trainer: Trainer[R],
        batches: Callable[[Position], Iterator[tuple[list[R], Position]]],
        *,
        write: Callable[[Path], None],
        score: Callable[[Path], Mapping[str, float]] | None,
        publish: Callable[[], None],
        notify: Callable[[str], None],
    ) -> None:
        """Trains to the end, from the checkpoint if there is one; ``notify`` gets the progress as lines.

        ``write`` puts the model at hand into a folder, of which ``score`` returns the F1 by corpus; with None
        there are no validations. ``publish`` is called when the model at hand is the best so far.
        """
        self.begin(trainer, notify)
        start = trainer.progress.position.seen
        with Meter(
            "training", trainer.total, unit="training examples", start=start, wanted=True, write=notify
        ) as meter:

            def validate(progress: Progress) -> Mapping[str, float]:
                with self.trial() as trial:
                    write(Path(trial))
                    f1 = score(Path(trial)) if score else {}
                figures = ", ".join(f"{name} {value:.3f}" for name, value in f1.items())
                meter.say(f"after {progress.position.seen:,} training examples strict F1: {figures}")
                return f1

            def report(progress: Progress) -> None:
                loss, speed = fmean(progress.losses[-_RECENT:]), progress.tokens / progress.seconds
                meter.at(progress.position.seen, f"loss {loss:.3f}, {speed:,.0f} tokens/s")

            trainer.run(batches, validate if score else None, publish, report=report)

    def trial(self) -> tempfile.TemporaryDirectory[str]:
        """Makes a folder beside the best model, for a copy of the one at hand; it goes when it is left."""
        return tempfile.TemporaryDirectory(dir=self.path, prefix=_TRIAL)

    def end(self) -> None:
        """Removes the checkpoint: what is there is done."""
        self.checkpoint.unlink()


def _is_leftover(path: Path) -> bool:
    """Tells whether a file is what a killed run leaves, beside which there may be no checkpoint yet."""
    return path.name.startswith((_CHECKPOINT, _TRIAL)) and path.name != _CHECKPOINT
