"""From corpora to an adapter: a folder that PEFT, transformers and vLLM read, with the same as GGUF in it.

The folder holds the best adapter so far, its card and, until training is done, a checkpoint. A training that
was killed goes on with ``resume`` and ends in the same adapter. Refused: without ``resume`` a folder that is
not empty, with it one that was begun with other settings.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from dirag.assembly import engines
from dirag.config import ADAPTER_SETTINGS_FILE, ADAPTER_WEIGHTS, Config, adapter_settings, engine_kind
from dirag.errors import UsageError
from dirag.files import atomic, fingerprint, libraries
from dirag.files.progress import Meter
from dirag.training.adapter import card, conversion, model, validation
from dirag.training.adapter.batches import Position, TokenRow, batches
from dirag.training.adapter.model import AdaptedModel
from dirag.training.adapter.spec import PreparedTraining, TrainingSpec, prepare, training_provenance
from dirag.training.adapter.trainer import Progress, Trainer

CHECKPOINT = ".checkpoint.safetensors"
CARD = "README.md"
_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_TRIAL = ".trial-"
_RECENT = 50  # steps whose mean loss is reported


def train(
    spec: TrainingSpec,
    output: Path,
    *,
    resume: bool = False,
    notify: Callable[[str], None] = lambda line: None,
) -> Progress | None:
    """Trains the adapter that a spec describes, or goes on with it; returns None if it is done already.

    ``notify`` gets the progress as lines.
    """
    model.require_libraries()
    if not engine_kind(spec.config).adapters:
        raise engines.no_adapter(spec.config.backend)
    if _is_done(output, resume=resume):
        return None
    prepared = prepare(spec, notify)
    trainer = _trainer(prepared, output / CHECKPOINT)
    _begin(trainer, output, notify)
    start = trainer.progress.position.seen
    with Meter(
        "training", trainer.total, unit="training examples", start=start, wanted=True, write=notify
    ) as meter:
        trainer.run(
            partial(_batches, prepared, trainer.total),
            partial(_validate, prepared, trainer.adapted, output, meter.say) if prepared.held_out else None,
            partial(_publish, prepared, trainer, output),
            report=partial(_report, meter),
        )
    _describe(prepared, trainer, output)
    (output / CHECKPOINT).unlink()  # last: weights without a checkpoint say that training is done
    return trainer.progress


def _trainer(prepared: PreparedTraining, checkpoint: Path) -> Trainer:
    import torch

    config, settings = prepared.spec.config, prepared.spec.settings
    torch.set_num_threads(config.threads or libraries.cores())
    device = "cuda" if torch.cuda.is_available() else "cpu"
    adapted = AdaptedModel(
        model.load(prepared.path, precision=settings.precision, device=device),
        rank=settings.rank,
        alpha=settings.alpha,
        targets=settings.targets,
        seed=config.seed,
    )
    if prepared.start:
        shapes = {name: tensor.shape for name, tensor in adapted.tensors().items()}
        adapted.fill(conversion.read(prepared.start, shapes, adapted.base_config, alpha=settings.alpha))
    return Trainer(
        adapted,
        settings,
        total=max(1, round(settings.epochs * len(prepared.training_examples))),
        checkpoint=checkpoint,
        provenance=training_provenance(prepared, device=device),
    )


def _is_done(output: Path, *, resume: bool) -> bool:
    """Tells whether training has ended there; raises UsageError where it must not begin there."""
    if not output.exists() or all(_is_leftover(path) for path in output.iterdir()):
        return False
    has_checkpoint, has_weights = (output / CHECKPOINT).exists(), (output / _WEIGHTS).exists()
    if resume and (has_checkpoint or has_weights):
        return not has_checkpoint
    hint = "--resume goes on with it" if has_checkpoint else "name a new folder"
    raise UsageError(f"{output} exists and is not empty", hint=hint)


def _is_leftover(path: Path) -> bool:
    """Tells whether a file is what a killed run leaves, beside which there may be no checkpoint yet."""
    return path.name.startswith((CHECKPOINT, _TRIAL)) and path.name != CHECKPOINT


def _begin(trainer: Trainer, output: Path, notify: Callable[[str], None]) -> None:
    """Goes on from the checkpoint in the folder if there is one, else makes the first."""
    for leftover in output.glob(f"{_TRIAL}*"):
        shutil.rmtree(leftover)
    for name in (CHECKPOINT, CARD, _CONFIG, _WEIGHTS, ADAPTER_WEIGHTS, ADAPTER_SETTINGS_FILE):
        atomic.sweep(output / name, age=0.0)
    if (output / CHECKPOINT).exists():
        trainer.restore()
        seen = trainer.progress.position.seen
        notify(f"goes on after {seen:,} of {trainer.total:,} training examples")
        return
    output.mkdir(parents=True, exist_ok=True)
    trainer.save()
    notify(f"{trainer.total:,} training examples")


def _batches(
    prepared: PreparedTraining, total: int, start: Position
) -> Iterator[tuple[list[TokenRow], Position]]:
    return batches(
        prepared.training_examples,
        prepared.tokenizer.row,
        total=total,
        tokens=prepared.spec.settings.batch,
        seed=prepared.spec.config.seed,
        start=start,
    )


def _validate(
    prepared: PreparedTraining,
    adapted: AdaptedModel,
    output: Path,
    notify: Callable[[str], None],
    progress: Progress,
) -> Mapping[str, float]:
    """Returns the F1 by corpus of a copy of the adapter beside the best one, as the engine will run it."""
    with tempfile.TemporaryDirectory(dir=output, prefix=_TRIAL) as trial:
        _write(prepared, adapted, Path(trial))
        f1 = validation.f1(prepared.held_out, prepared.spec.config, Path(trial))
    figures = ", ".join(f"{name} {value:.3f}" for name, value in f1.items())
    notify(f"after {progress.position.seen:,} training examples strict F1: {figures}")
    return f1


def _publish(prepared: PreparedTraining, trainer: Trainer, output: Path) -> None:
    _write(prepared, trainer.adapted, output)
    _describe(prepared, trainer, output)


def _write(prepared: PreparedTraining, adapted: AdaptedModel, folder: Path) -> None:
    """Writes the adapter in both forms; the files take their places together, once all are written."""
    from safetensors.torch import save_file

    tensors = adapted.tensors()
    peft_config = {name: _as_json(value) for name, value in adapted.config.to_dict().items()}
    peft_config |= {"base_model_name_or_path": prepared.spec.model, "inference_mode": True}
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    with (
        atomic.new_file(folder / _CONFIG) as config,
        atomic.new_file(folder / _WEIGHTS) as weights,
        atomic.new_file(folder / ADAPTER_WEIGHTS) as gguf,
        atomic.new_file(folder / ADAPTER_SETTINGS_FILE) as settings,
    ):
        config.write_text(json.dumps(peft_config, indent=1, sort_keys=True) + "\n", "utf-8")
        save_file(tensors, weights, metadata={"format": "pt"})
        conversion.write(gguf, arrays, adapted.base_config, alpha=prepared.spec.settings.alpha)
        settings.write_text("".join(_settings(prepared.spec.config)), "utf-8")


def _settings(config: Config) -> Iterator[str]:
    """Yields the settings of the runs that the adapter is for: bare prompts in the words it has learnt."""
    template = Path(config.prompt).expanduser()
    prompt = str(template.resolve()) if template.is_file() else config.prompt
    bare = replace(config, shots=0, concepts=0, prompt=prompt)
    for name in adapter_settings():
        yield f"{name.replace('_', '-')} = {json.dumps(getattr(bare, name))}\n"


def _as_json(value: Any) -> Any:
    """Returns a value of PEFT's settings as JSON has it; a set in the same order in every run."""
    return sorted(value) if isinstance(value, set) else value


def _describe(prepared: PreparedTraining, trainer: Trainer, folder: Path) -> None:
    """Writes the card."""
    files = {name: fingerprint.digest(folder / name) for name in (_CONFIG, _WEIGHTS, ADAPTER_WEIGHTS)}
    text = card.text(prepared, trainer.progress, total=trainer.total, files=files)
    with atomic.new_file(folder / CARD) as part:
        part.write_text(text, "utf-8")


def _report(meter: Meter, progress: Progress) -> None:
    loss, speed = fmean(progress.losses[-_RECENT:]), progress.tokens / progress.seconds
    meter.at(progress.position.seen, f"loss {loss:.3f}, {speed:,.0f} tokens/s")
