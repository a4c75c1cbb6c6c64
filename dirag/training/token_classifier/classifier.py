"""From corpora to a token classifier: a folder of transformers, its card and, for a BERT, an int8 form.

The folder holds the best model so far and, until training is done, a checkpoint. A training that was killed
goes on with ``resume`` and ends in the same weights. At the end scores are calibrated on the held-out
sentences, and the int8 form stays if it costs less than 0.003 F1 there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import fmean

from dirag.encoders.token_openvino import OPENVINO_FORM, OPENVINO_WEIGHTS, is_bert, save_int8
from dirag.encoders.token_pieces import read_config
from dirag.files import atomic, fingerprint
from dirag.files.progress import Meter
from dirag.taggers.token_classifier import CALIBRATION
from dirag.training.batches import batches
from dirag.training.folder import CARD, TrainingFolder
from dirag.training.token_classifier import card, validation
from dirag.training.token_classifier.model import LabellingModel
from dirag.training.token_classifier.sentences import LabelledRow
from dirag.training.token_classifier.spec import ClassifierSpec, PreparedClassifier, prepare
from dirag.training.trainer import Progress, Trainer

_WEIGHTS, _CONFIG = "model.safetensors", "config.json"
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
FILES = (_WEIGHTS, _CONFIG, *_TOKENIZER, CALIBRATION, OPENVINO_FORM, OPENVINO_WEIGHTS)
#: The F1 that the int8 form may cost.
_COST = 0.003
_RECENT = 50  # steps whose mean loss is reported


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
    folder.begin(trainer, notify)
    start = trainer.progress.position.seen
    with Meter(
        "training", trainer.total, unit="training examples", start=start, wanted=True, write=notify
    ) as meter:
        trainer.run(
            lambda position: batches(
                prepared.sentences.draw,
                len(prepared.sentences),
                total=trainer.total,
                tokens=spec.settings.batch,
                seed=spec.config.seed,
                start=position,
            ),
            partial(_validate, prepared, model, folder, meter.say) if prepared.data.held_out else None,
            partial(_write, prepared, model, output),
            report=partial(_report, meter),
        )
    notes = _finish(prepared, folder, notify)
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
        device="cuda" if torch.cuda.is_available() else "cpu",
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


def _validate(
    prepared: PreparedClassifier,
    model: LabellingModel,
    folder: TrainingFolder,
    notify: Callable[[str], None],
    progress: Progress,
) -> Mapping[str, float]:
    """Returns the F1 by corpus of a copy of the model beside the best one, as it will be run."""
    with folder.trial() as trial:
        _write(prepared, model, Path(trial))
        corpora = validation.tagged(prepared.data.held_out, Path(trial), threads=prepared.threads)
    f1 = {corpus.held_out.name: corpus.f1 for corpus in corpora}
    figures = ", ".join(f"{name} {value:.3f}" for name, value in f1.items())
    notify(f"after {progress.position.seen:,} training examples strict F1: {figures}")
    return f1


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
                part.write_bytes((prepared.path / name).read_bytes())


def _finish(prepared: PreparedClassifier, folder: TrainingFolder, notify: Callable[[str], None]) -> str:
    """Calibrates the best model, makes its int8 form, and returns what the card says of both."""
    held_out, path = prepared.data.held_out, folder.path
    if not held_out:
        return ""
    plain = validation.tagged(held_out, path, threads=prepared.threads)
    notes = []
    if is_bert(path):
        with folder.trial() as trial:
            small = Path(trial)
            for name in (_CONFIG, *_TOKENIZER):
                if (path / name).is_file():
                    (small / name).write_bytes((path / name).read_bytes())
            save_int8(path, read_config(path), small / OPENVINO_FORM)
            int8 = validation.tagged(held_out, small, threads=prepared.threads)
            cost = fmean(corpus.f1 for corpus in plain) - fmean(corpus.f1 for corpus in int8)
            notes.append(
                f"In 8 bits its mean F1 is {cost:.4f} less: {'kept' if cost < _COST else 'left out'}."
            )
            if cost < _COST:
                plain = int8
                for name in (OPENVINO_WEIGHTS, OPENVINO_FORM):
                    (small / name).replace(path / name)
    table = validation.calibration(plain)
    if table is not None:
        with atomic.new_file(path / CALIBRATION) as part:
            part.write_text(json.dumps(asdict(table)), "utf-8")
        notes.append(f"Scores are calibrated on the held-out sentences, in {len(table.raw)} steps.")
    for note in notes:
        notify(note)
    return " ".join(notes)


def _describe(prepared: PreparedClassifier, trainer: Trainer[LabelledRow], folder: Path, notes: str) -> None:
    """Writes the card."""
    files = {name: fingerprint.digest(folder / name) for name in FILES if (folder / name).is_file()}
    text = card.text(prepared, trainer.progress, total=trainer.total, files=files, notes=notes)
    with atomic.new_file(folder / CARD) as part:
        part.write_text(text, "utf-8")


def _report(meter: Meter, progress: Progress) -> None:
    loss, speed = fmean(progress.losses[-_RECENT:]), progress.tokens / progress.seconds
    meter.at(progress.position.seen, f"loss {loss:.3f}, {speed:,.0f} tokens/s")
