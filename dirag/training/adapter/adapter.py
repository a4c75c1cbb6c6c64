"""From corpora to an adapter: a folder that PEFT, transformers and vLLM read, with the same as GGUF in it.

The folder holds the best adapter so far, its card and, until training is done, a checkpoint. What was killed
goes on with ``resume`` and ends in the same adapter. Refused: a folder that holds anything, without it, and
one that was begun with other settings.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dirag.assembly import engines
from dirag.config import ADAPTER_SETTINGS_FILE, ADAPTER_WEIGHTS, Config, adapter_settings, engine_kind
from dirag.errors import UsageError
from dirag.files import atomic, fingerprint, paths
from dirag.training.adapter import card, conversion, model, validation
from dirag.training.adapter.batches import Position, TokenRow, batches
from dirag.training.adapter.model import AdaptedModel
from dirag.training.adapter.spec import PreparedTraining, TrainingSpec, gather, made_of
from dirag.training.adapter.trainer import Progress, Trainer

CHECKPOINT = ".checkpoint.safetensors"
CARD = "README.md"
_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_TRIAL = ".trial-"
_PAUSE = 20.0  # seconds between two lines of progress


def train(
    recipe: TrainingSpec,
    output: Path,
    *,
    resume: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> Progress | None:
    """Train an adapter by a recipe, or go on with it; None where there was nothing left to do.

    ``tell`` is told how it goes, line by line.
    """
    model.needed()
    config, settings = recipe.config, recipe.settings
    if not engine_kind(config).adapters:
        raise engines.no_adapter(config.backend)
    if _is_done(output, resume=resume):
        return None
    made = gather(recipe, tell)
    course = _course(made, output / CHECKPOINT)
    _begin(course, output, tell)

    def following(position: Position) -> Iterator[tuple[list[TokenRow], Position]]:
        return batches(
            made.lessons,
            made.spelling.row,
            total=course.total,
            tokens=settings.batch,
            seed=config.seed,
            start=position,
        )

    def validate(progress: Progress) -> Mapping[str, float]:
        with tempfile.TemporaryDirectory(dir=output, prefix=_TRIAL) as folder:
            _write(Path(folder), course.adapted, made)
            found = validation.f1(made.held, config, Path(folder))
        figures = ", ".join(f"{name} {value:.3f}" for name, value in found.items())
        tell(f"after {progress.position.seen:,} lessons strict F1: {figures}")
        return found

    def improved() -> None:
        _write(output, course.adapted, made)
        _describe(output, made, course)

    course.run(following, validate if made.held else None, improved, report=_TrainingReport(course, tell))
    _describe(output, made, course)
    (output / CHECKPOINT).unlink()
    return course.progress


def _course(made: PreparedTraining, checkpoint: Path) -> Trainer:
    import torch

    config, settings = made.recipe.config, made.recipe.settings
    torch.set_num_threads(config.threads or paths.cores())
    device = "cuda" if torch.cuda.is_available() else "cpu"
    adapted = AdaptedModel(
        model.load(made.path, precision=settings.precision, device=device),
        rank=settings.rank,
        alpha=settings.alpha,
        targets=settings.targets,
        seed=config.seed,
    )
    if made.start:
        shapes = {name: tensor.shape for name, tensor in adapted.tensors().items()}
        adapted.fill(conversion.read(made.start, shapes, adapted.base_config, alpha=settings.alpha))
    total = max(1, round(settings.epochs * len(made.lessons)))
    return Trainer(
        adapted, settings, total=total, checkpoint=checkpoint, provenance=made_of(made, device=device)
    )


def _is_done(output: Path, *, resume: bool) -> bool:
    """Whether training has ended there; raises UsageError where it must not begin there."""
    if not output.exists() or all(_is_leftover(path) for path in output.iterdir()):
        return False
    begun, ended = (output / CHECKPOINT).exists(), (output / _WEIGHTS).exists()
    if resume and (begun or ended):
        return not begun
    hint = "--resume goes on with it" if begun else "name a new folder"
    raise UsageError(f"{output} exists and is not empty", hint=hint)


def _is_leftover(path: Path) -> bool:
    """Whether a run that was killed has left it, beside which there may be no checkpoint yet."""
    return path.name.startswith((CHECKPOINT, _TRIAL)) and path.name != CHECKPOINT


def _begin(course: Trainer, output: Path, tell: Callable[[str], None]) -> None:
    """Goes on with what was begun in the folder, else begins."""
    for leftover in output.glob(f"{_TRIAL}*"):  # of a run that was killed
        shutil.rmtree(leftover)
    for name in (CHECKPOINT, CARD, _CONFIG, _WEIGHTS, ADAPTER_WEIGHTS, ADAPTER_SETTINGS_FILE):
        atomic.sweep(output / name, age=0.0)
    if (output / CHECKPOINT).exists():
        course.restore()
        tell(f"goes on after {course.progress.position.seen:,} of {course.total:,} lessons")
        return
    output.mkdir(parents=True, exist_ok=True)
    course.save()
    tell(f"{course.total:,} lessons")


def _write(folder: Path, adapted: AdaptedModel, made: PreparedTraining) -> None:
    """Writes the adapter in both forms; the files take their places together, once all are written."""
    from safetensors.torch import save_file

    tensors = adapted.tensors()
    about = {name: _plain(value) for name, value in adapted.config.to_dict().items()}
    about |= {"base_model_name_or_path": made.recipe.model, "inference_mode": True}
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    with (
        atomic.new_file(folder / _CONFIG) as config,
        atomic.new_file(folder / _WEIGHTS) as weights,
        atomic.new_file(folder / ADAPTER_WEIGHTS) as gguf,
        atomic.new_file(folder / ADAPTER_SETTINGS_FILE) as settings,
    ):
        config.write_text(json.dumps(about, indent=1, sort_keys=True) + "\n", "utf-8")
        save_file(tensors, weights, metadata={"format": "pt"})
        conversion.write(gguf, arrays, adapted.base_config, alpha=made.recipe.settings.alpha)
        settings.write_text("".join(_settings(made.recipe.config)), "utf-8")


def _settings(config: Config) -> Iterator[str]:
    """The settings of the runs that the adapter is for: bare prompts in the words that it has learnt."""
    words = Path(config.prompt).expanduser()
    prompt = str(words.resolve()) if words.is_file() else config.prompt
    bare = replace(config, shots=0, concepts=0, prompt=prompt)
    for name in adapter_settings():
        yield f"{name.replace('_', '-')} = {json.dumps(getattr(bare, name))}\n"


def _plain(value: Any) -> Any:
    """A value of PEFT's settings as JSON has it, the same in every run."""
    return sorted(value) if isinstance(value, set) else value


def _describe(folder: Path, made: PreparedTraining, course: Trainer) -> None:
    files = {name: fingerprint.digest(folder / name) for name in (_CONFIG, _WEIGHTS, ADAPTER_WEIGHTS)}
    text = card.text(made, course.progress, total=course.total, files=files)
    with atomic.new_file(folder / CARD) as part:
        part.write_text(text, "utf-8")


class _TrainingReport:
    """The share done, the loss, the speed and the time left, validations included."""

    def __init__(self, course: Trainer, tell: Callable[[str], None]) -> None:
        self._total, self._tell = course.total, tell
        self._begun = self._shown = time.monotonic()
        self._from = course.progress.position.seen, course.progress.tokens

    def __call__(self, progress: Progress) -> None:
        now, seen = time.monotonic(), progress.position.seen
        if now - self._shown < _PAUSE and seen < self._total:
            return
        self._shown, took = now, now - self._begun
        left = took / (seen - self._from[0]) * (self._total - seen)
        recent = progress.losses[-50:]
        self._tell(
            f"{seen / self._total:4.0%} of {self._total:,} lessons, loss {sum(recent) / len(recent):.3f}, "
            f"{(progress.tokens - self._from[1]) / took:,.0f} tokens/s, {left / 60:,.0f} min left"
        )
