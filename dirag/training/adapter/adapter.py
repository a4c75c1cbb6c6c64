"""From corpora to an adapter: a folder that PEFT, transformers and vLLM read, with the same as GGUF in it.

The folder holds the best adapter so far, its card and, until training is done, a checkpoint. A training that
was killed goes on with ``resume`` and ends in the same adapter. Refused: without ``resume`` a folder that is
not empty, with it one that was begun with other settings.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from dirag.assembly import engines
from dirag.config import ADAPTER_SETTINGS_FILE, ADAPTER_WEIGHTS, Config, adapter_settings, engine_kind
from dirag.files import atomic, fingerprint, libraries
from dirag.training.adapter import card, conversion, model, validation
from dirag.training.adapter.model import AdaptedModel
from dirag.training.adapter.spec import PreparedTraining, TrainingSpec, prepare, training_provenance
from dirag.training.adapter.training_examples import TokenRow
from dirag.training.batches import Position, batches
from dirag.training.device import device
from dirag.training.folder import CARD, TrainingFolder
from dirag.training.trainer import Progress, Trainer

_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
FILES = (_WEIGHTS, _CONFIG, ADAPTER_WEIGHTS, ADAPTER_SETTINGS_FILE)


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
    folder = TrainingFolder(output, FILES)
    if folder.is_done(resume=resume):
        return None
    prepared = prepare(spec, notify)
    adapted = _adapted(prepared)
    trainer = _trainer(prepared, adapted, folder.checkpoint)
    folder.run(
        trainer,
        partial(_batches, prepared, trainer.total),
        write=partial(_write, prepared, adapted),
        score=partial(_f1, prepared) if prepared.data.held_out else None,
        publish=partial(_publish, prepared, adapted, trainer, output),
        notify=notify,
    )
    _describe(prepared, trainer, output)
    folder.end()  # last: weights without a checkpoint say that training is done
    return trainer.progress


def _adapted(prepared: PreparedTraining) -> AdaptedModel:
    import torch

    config, settings = prepared.spec.config, prepared.spec.settings
    torch.set_num_threads(config.threads or libraries.cores())
    adapted = AdaptedModel(
        model.load(prepared.path, precision=settings.precision, device=device()),
        rank=settings.rank,
        alpha=settings.alpha,
        targets=settings.targets,
        seed=config.seed,
    )
    if prepared.start:
        shapes = {name: tensor.shape for name, tensor in adapted.tensors().items()}
        adapted.fill(conversion.read(prepared.start, shapes, adapted.base_config, alpha=settings.alpha))
    return adapted


def _trainer(prepared: PreparedTraining, adapted: AdaptedModel, checkpoint: Path) -> Trainer[TokenRow]:
    settings = prepared.spec.settings
    return Trainer(
        adapted,
        settings,
        total=max(1, round(settings.epochs * len(prepared.training_examples))),
        checkpoint=checkpoint,
        provenance=training_provenance(prepared, device=adapted.vector.device.type),
    )


def _batches(
    prepared: PreparedTraining, total: int, start: Position
) -> Iterator[tuple[list[TokenRow], Position]]:
    examples, row = prepared.training_examples, prepared.tokenizer.row
    return batches(
        lambda places: [row(example) for example in examples.draw(places)],
        len(examples),
        total=total,
        tokens=prepared.spec.settings.batch,
        seed=prepared.spec.config.seed,
        start=start,
    )


def _f1(prepared: PreparedTraining, folder: Path) -> Mapping[str, float]:
    """Returns the F1 by corpus of the adapter in a folder, as the engine will run it."""
    return validation.f1(prepared.data.held_out, prepared.weighers, prepared.spec.config, folder)


def _publish(
    prepared: PreparedTraining, adapted: AdaptedModel, trainer: Trainer[TokenRow], output: Path
) -> None:
    _write(prepared, adapted, output)
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


def _describe(prepared: PreparedTraining, trainer: Trainer[TokenRow], folder: Path) -> None:
    """Writes the card."""
    files = {name: fingerprint.digest(folder / name) for name in (_CONFIG, _WEIGHTS, ADAPTER_WEIGHTS)}
    text = card.text(prepared, trainer.progress, total=trainer.total, files=files)
    with atomic.new_file(folder / CARD) as part:
        part.write_text(text, "utf-8")
