"""From corpora to an adapter: a folder that PEFT, transformers and vLLM read, with the same as GGUF in it.

The folder holds the best adapter so far, its card and, until training is done, a checkpoint. What was killed
goes on with ``resume`` and ends in the same adapter. Refused: a folder that holds anything, without it, and
one that was begun with other settings.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dirag import assembly, fingerprint, resources
from dirag.artifacts import locate
from dirag.assembly import ADAPTER_FILE
from dirag.config import MODEL, Config
from dirag.errors import UsageError
from dirag.knowledge.base import KnowledgeBase
from dirag.training import batches, card, conversion, model, validation
from dirag.training.card import Made
from dirag.training.course import Course, Progress, Settings
from dirag.training.lessons import Corpus, Lessons
from dirag.training.model import Adapted
from dirag.training.validation import HeldOut

CHECKPOINT = ".checkpoint.safetensors"
CARD = "README.md"
_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_PAUSE = 20.0  # seconds between two lines of progress


def train(
    names: Sequence[str],
    output: Path,
    config: Config,
    settings: Settings,
    *,
    base_model: str = "",
    data_dir: str | None = None,
    resume: bool = False,
    command: str = "",
    tell: Callable[[str], None] = lambda line: None,
) -> Progress | None:
    """Train an adapter on the corpora of these names for the run that ``config`` describes.

    ``base_model`` is the name or path of the weights to train on, by default those of the run. None where
    there was nothing left to do.
    """
    model.needed()
    if config.backend not in assembly.ADAPTING:
        hint = f"these do: {', '.join(assembly.ADAPTING)}"
        raise UsageError(f"--backend {config.backend} takes no adapter", hint=hint)
    if _is_done(output, resume=resume):
        return None
    import torch

    torch.set_num_threads(config.threads or resources.cores())
    path = locate(base_model or config.model or MODEL, offline=config.offline)
    spelling = model.spelling(path)
    base = assembly.knowledge_base(config) if assembly.reads_base(config) else None
    corpora = [Corpus.load(name, config, data_dir=data_dir) for name in names]
    for corpus in corpora:
        for note in corpus.dataset.notes:
            tell(f"{corpus.dataset.name}: {note}")
    lessons = Lessons(corpora, config, base, count_tokens=lambda text: len(spelling.prompt(text)))
    held: list[HeldOut] = []
    if limit := settings.validate:
        held += validation.held_out(corpora, config, base, limit=limit, data_dir=data_dir, tell=tell)
    made = Made(
        base=base_model or config.model or MODEL,
        sha256=fingerprint.digest(path),
        corpora=corpora,
        held=held,
        left_out=lessons.left_out,
        config=config,
        settings=settings,
        versions=fingerprint.versions("dirag", "torch", "transformers", "peft"),
        command=command,
    )
    loaded = model.load(path, precision=settings.precision, device=_device())
    adapted = Adapted(
        loaded, rank=settings.rank, alpha=settings.alpha, targets=settings.targets, seed=config.seed
    )
    course = Course(
        adapted,
        settings,
        total=max(1, round(settings.epochs * len(lessons))),
        checkpoint=output / CHECKPOINT,
        made_of=_made_of(made, base),
    )
    _begin(course, output, tell)

    def following(position: batches.Position) -> Iterator[tuple[list[batches.Row], batches.Position]]:
        total, tokens = course.total, settings.batch
        return batches.batches(
            lessons, spelling.row, total=total, tokens=tokens, seed=config.seed, start=position
        )

    def validate(progress: Progress) -> Mapping[str, float]:
        with tempfile.TemporaryDirectory(dir=output, prefix=".trial-") as folder:
            _write(Path(folder), adapted, made)
            found = validation.f1(held, config, Path(folder))
        figures = ", ".join(f"{name} {value:.3f}" for name, value in found.items())
        tell(f"after {progress.position.seen:,} lessons strict F1: {figures}")
        return found

    def improved() -> None:
        _write(output, adapted, made)
        _describe(output, made, course)

    course.run(following, validate if held else None, improved, report=_Report(course, tell))
    _describe(output, made, course)
    (output / CHECKPOINT).unlink()
    return course.progress


def _is_done(output: Path, *, resume: bool) -> bool:
    """Whether training has ended there; raises UsageError where it must not begin there."""
    if not output.exists() or not any(output.iterdir()):
        return False
    begun, ended = (output / CHECKPOINT).exists(), (output / _WEIGHTS).exists()
    if resume and (begun or ended):
        return not begun
    hint = "--resume goes on with it" if begun else "name a new folder"
    raise UsageError(f"{output} exists and is not empty", hint=hint)


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _made_of(made: Made, base: KnowledgeBase | None) -> dict[str, str]:
    """Everything that decides the adapter, by the name under which a user knows it."""
    import torch

    told = assembly.made_of(made.config, base) | dict(made.versions)
    told |= {f"--{name}": str(value) for name, value in asdict(made.settings).items()}
    told |= {"base model": made.sha256, "processor": fingerprint.processor(), "device": _device()}
    told["--threads"] = str(torch.get_num_threads())
    told["--dataset"] = ",".join(corpus.dataset.name for corpus in made.corpora)
    for corpus in made.corpora:
        told[f"corpus {corpus.dataset.name}"] = f"{corpus.pool.manifest.sha256} {', '.join(corpus.types)}"
    for held in made.held:
        told[f"held-out sentences of {held.name}"] = fingerprint.of(
            *(repr(d).encode() for d in held.sentences)
        )
    return told


def _begin(course: Course, output: Path, tell: Callable[[str], None]) -> None:
    """Goes on with what was begun in the folder, else begins."""
    if (output / CHECKPOINT).exists():
        course.restore()
        tell(f"goes on after {course.progress.position.seen:,} of {course.total:,} lessons")
        return
    output.mkdir(parents=True, exist_ok=True)
    course.save()
    tell(f"{course.total:,} lessons")


def _write(folder: Path, adapted: Adapted, made: Made) -> None:
    """The adapter in both forms; each file is written beside its place, then renamed."""
    from safetensors.torch import save_file

    tensors = adapted.tensors()
    about = {name: _plain(value) for name, value in adapted.config.to_dict().items()}
    about |= {"base_model_name_or_path": made.base, "inference_mode": True}
    parts = {name: folder / f".{name}.part" for name in (_CONFIG, _WEIGHTS, ADAPTER_FILE)}
    parts[_CONFIG].write_text(json.dumps(about, indent=1, sort_keys=True) + "\n", "utf-8")
    save_file(tensors, parts[_WEIGHTS], metadata={"format": "pt"})
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    conversion.write(parts[ADAPTER_FILE], arrays, adapted.base_config, alpha=made.settings.alpha)
    for name, part in parts.items():
        part.replace(folder / name)


def _plain(value: Any) -> Any:
    """A value of PEFT's settings as JSON has it, the same in every run."""
    return sorted(value) if isinstance(value, set) else value


def _describe(folder: Path, made: Made, course: Course) -> None:
    files = {name: fingerprint.digest(folder / name) for name in (_CONFIG, _WEIGHTS, ADAPTER_FILE)}
    text = card.text(made, course.progress, total=course.total, files=files)
    part = folder / f".{CARD}.part"
    part.write_text(text, "utf-8")
    part.replace(folder / CARD)


class _Report:
    """The share done, the loss, the speed and the time left, validations included."""

    def __init__(self, course: Course, tell: Callable[[str], None]) -> None:
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
