"""From corpora to a token classifier: a folder of transformers, its card and, for a BERT, an int8 form.

The folder holds the best model so far and, until training is done, a checkpoint. A training that was killed
goes on with ``resume`` and ends in the same weights. At the end scores are calibrated on the held-out
sentences, and the int8 form stays if it costs less than 0.003 F1 there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import fmean

from dirag.encoders.token_openvino import OPENVINO_FORM, OPENVINO_WEIGHTS, is_bert, save_int8
from dirag.encoders.token_pieces import read_config
from dirag.files import atomic, fingerprint
from dirag.taggers.token_classifier import CALIBRATION
from dirag.training.batches import Position, batches
from dirag.training.device import device
from dirag.training.folder import CARD, TrainingFolder
from dirag.training.token_classifier import card, validation
from dirag.training.token_classifier.model import LabellingModel
from dirag.training.token_classifier.sentences import LabelledRow
from dirag.training.token_classifier.spec import ClassifierSpec, PreparedClassifier, prepare
from dirag.training.token_classifier.validation import Tagged
from dirag.training.trainer import Progress, Trainer

_WEIGHTS, _CONFIG = "model.safetensors", "config.json"
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
FILES = (_WEIGHTS, _CONFIG, *_TOKENIZER, CALIBRATION, OPENVINO_FORM, OPENVINO_WEIGHTS)
#: The F1 that the int8 form may cost.
_COST = 0.003


def train(
    spec: ClassifierSpec,
    output: Path,
    *,
    resume: bool = False,
    notify: Callable[[str], None] = lambda line: None,
) -> Progress | None:
    """Trains the token classifier that a spec describes, or goes on with it; returns None if it is done.

    ``notify`` gets the progress as lines.
    """
    folder = TrainingFolder(output, FILES)
    if folder.is_done(resume=resume):
        return None
    prepared = prepare(spec, notify)
    model = _model(prepared)
    trainer = _trainer(prepared, model, folder.checkpoint)
    folder.run(
        trainer,
        partial(_batches, prepared, trainer.total),
        write=partial(_write, prepared, model),
        score=partial(_f1, prepared) if prepared.data.held_out else None,
        publish=partial(_write, prepared, model, output),
        notify=notify,
    )
    notes = finish(prepared, folder, notify)
    _describe(prepared, trainer, output, notes)
    folder.end()
    return trainer.progress


def _model(prepared: PreparedClassifier) -> LabellingModel:
    import torch

    torch.set_num_threads(prepared.threads)
    return LabellingModel(
        prepared.path,
        prepared.sentences.labels,
        precision=prepared.spec.settings.precision,
        seed=prepared.spec.config.seed,
        device=device(),
    )


def _trainer(prepared: PreparedClassifier, model: LabellingModel, checkpoint: Path) -> Trainer[LabelledRow]:
    settings = prepared.spec.settings
    return Trainer(
        model,
        settings,
        total=max(1, round(settings.epochs * len(prepared.sentences))),
        checkpoint=checkpoint,
        provenance=prepared.provenance(device=model.device),
        weight_decay=settings.decay,
    )


def _batches(
    prepared: PreparedClassifier, total: int, start: Position
) -> Iterator[tuple[list[LabelledRow], Position]]:
    return batches(
        prepared.sentences.draw,
        len(prepared.sentences),
        total=total,
        tokens=prepared.spec.settings.batch,
        seed=prepared.spec.config.seed,
        start=start,
    )


def _f1(prepared: PreparedClassifier, folder: Path) -> Mapping[str, float]:
    """Returns the F1 by corpus of the model in a folder, as it will be run."""
    corpora = validation.tagged(prepared.data.held_out, folder, threads=prepared.threads)
    return {corpus.held_out.name: corpus.f1 for corpus in corpora}


def _write(prepared: PreparedClassifier, model: LabellingModel, folder: Path) -> None:
    """Writes the model with its tokenizer; the files take their places together, once all are written."""
    from safetensors.torch import save_file

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.parameters.items()}
    with atomic.new_file(folder / _CONFIG) as config, atomic.new_file(folder / _WEIGHTS) as weights:
        config.write_text(model.model.config.to_json_string(), "utf-8")
        save_file(tensors, weights, metadata={"format": "pt"})
    for name in _TOKENIZER:
        if (prepared.path / name).is_file():
            with atomic.new_file(folder / name) as part:
                shutil.copyfile(prepared.path / name, part)


def finish(prepared: PreparedClassifier, folder: TrainingFolder, notify: Callable[[str], None]) -> str:
    """Makes the int8 form of the best model, calibrates it, and returns what the card says of both."""
    held_out, path = prepared.data.held_out, folder.path
    if not held_out:
        return ""
    best: Sequence[Tagged] = validation.tagged(held_out, path, threads=prepared.threads)
    notes = []
    if is_bert(path):
        best, cost = _in_8_bits(prepared, folder, best)
        notes.append(f"In 8 bits its mean F1 is {cost:.4f} less: {'kept' if cost < _COST else 'left out'}.")
    table = validation.calibration(best)
    if table is not None:
        with atomic.new_file(path / CALIBRATION) as part:
            part.write_text(json.dumps(asdict(table)), "utf-8")
        notes.append(f"Scores are calibrated on the held-out sentences, in {len(table.raw)} steps.")
    for note in notes:
        notify(note)
    return " ".join(notes)


def _in_8_bits(
    prepared: PreparedClassifier, folder: TrainingFolder, plain: Sequence[Tagged]
) -> tuple[Sequence[Tagged], float]:
    """Puts the int8 form beside the weights if it costs little; returns what is found then, and the cost."""
    with folder.trial() as trial:
        part = Path(trial)
        for name in (_CONFIG, *_TOKENIZER):
            if (folder.path / name).is_file():
                shutil.copy(folder.path / name, part)
        save_int8(folder.path, read_config(folder.path), part / OPENVINO_FORM)
        int8 = validation.tagged(prepared.data.held_out, part, threads=prepared.threads)
        cost = fmean(corpus.f1 for corpus in plain) - fmean(corpus.f1 for corpus in int8)
        if cost >= _COST:
            return plain, cost
        for name in (OPENVINO_WEIGHTS, OPENVINO_FORM):
            (part / name).replace(folder.path / name)
    return int8, cost


def _describe(prepared: PreparedClassifier, trainer: Trainer[LabelledRow], folder: Path, notes: str) -> None:
    """Writes the card."""
    files = {name: fingerprint.digest(folder / name) for name in FILES if (folder / name).is_file()}
    text = card.text(prepared, trainer.progress, total=trainer.total, files=files, notes=notes)
    with atomic.new_file(folder / CARD) as part:
        part.write_text(text, "utf-8")
