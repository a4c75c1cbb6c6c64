"""The folder that a training fills: the best model so far, its card and, until it is done, a checkpoint."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dirag.errors import UsageError
from dirag.files import atomic
from dirag.training.trainer import Trainer

CARD = "README.md"
_CHECKPOINT = ".checkpoint.safetensors"
_TRIAL = ".trial-"


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

    def trial(self) -> tempfile.TemporaryDirectory[str]:
        """Makes a folder beside the best model, for a copy of the one at hand; it goes when it is left."""
        return tempfile.TemporaryDirectory(dir=self.path, prefix=_TRIAL)

    def end(self) -> None:
        """Removes the checkpoint: what is there is done."""
        self.checkpoint.unlink()


def _is_leftover(path: Path) -> bool:
    """Tells whether a file is what a killed run leaves, beside which there may be no checkpoint yet."""
    return path.name.startswith((_CHECKPOINT, _TRIAL)) and path.name != _CHECKPOINT
