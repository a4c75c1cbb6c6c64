"""Trains the quality score of paragraphs: documents in, a folder for ``--quality`` out, with its figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from dirag import formats
from dirag.assembly import engines
from dirag.config import Config
from dirag.encoders.opening import open_encoder
from dirag.errors import BackendError, InputError, UsageError
from dirag.examples.quality import DESCRIPTION, WEIGHTS, Quality
from dirag.files import atomic, fingerprint
from dirag.files.progress import Meter
from dirag.protocols import Embedder
from dirag.training.card import listed
from dirag.training.folder import CARD
from dirag.training.quality.fitting import FOLDS, CrossValidation, fit, validate
from dirag.training.quality.labelling import Paragraph, draw, label, read_prompt

#: Labels without which nothing can be said of folds.
_FEWEST = 20


@dataclass(frozen=True, slots=True)
class QualitySpec:
    """What a score is trained on and with; ``sample`` is the number of paragraphs that are labelled."""

    paths: tuple[str, ...]
    config: Config
    sample: int
    command: str = ""


@dataclass(frozen=True, slots=True)
class LabelledSample:
    """Paragraphs with their labels: of ``total`` in all ``drawn`` were sent to ``engine``.

    ``left_out`` counts, by reason, documents that were not read and paragraphs without a label.
    """

    paragraphs: tuple[Paragraph, ...]
    labels: tuple[Quality, ...]
    drawn: int
    total: int
    left_out: Mapping[str, int]
    engine: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class QualityFigures:
    """What a training reports: the labels, and how well the small model foretells them."""

    sample: LabelledSample
    validation: CrossValidation

    def lines(self) -> Iterator[str]:
        """Yields the figures for eyes."""
        sample, validation = self.sample, self.validation
        left_out = f"; {listed(sample.left_out)}" if sample.left_out else ""
        labelled = f"{len(sample.labels):,} of {sample.drawn:,} paragraphs labelled"
        yield f"{labelled}, {sample.total:,} in all{left_out}"
        rho = "none, all values are equal" if validation.rho is None else f"{validation.rho:.3f}"
        counts = Counter(f"{label.usefulness:g}" for label in sample.labels)
        yield f"usefulness  Spearman's rho {rho} (labels {listed(dict(sorted(counts.items())))})"
        for name, figure in (("kind", validation.kind), ("domain", validation.domain)):
            counts = Counter(getattr(label, name) for label in sample.labels)
            baseline = f"{figure.majority:.3f} if always {figure.largest}"
            yield f"{name:<11} accuracy {figure.accuracy:.3f}, {baseline} (labels {listed(counts)})"


def train(
    spec: QualitySpec, output: Path, *, notify: Callable[[str], None] = lambda line: None
) -> QualityFigures:
    """Labels a sample with the engine of the run, fits the small model and writes the folder.

    ``notify`` gets lines for standard error. Raises UsageError for a folder that is not empty, InputError for
    too few paragraphs, BackendError for too few labels.
    """
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise UsageError(f"{output} exists and is not empty", hint="name a new folder")
    config = spec.config
    # Before the engine: nobody should wait for labels that a wrong --encoder then wastes.
    embedder = open_encoder(config.encoder, offline=config.offline, pooling=config.pooling)
    sample = _labelled_sample(spec, notify)
    vectors = embedder.embed([paragraph.text for paragraph in sample.paragraphs])
    documents = [paragraph.document for paragraph in sample.paragraphs]
    validation = validate(vectors, sample.labels, documents, embedder, seed=config.seed)
    figures = QualityFigures(sample, validation)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        # For the owner only: it holds no text, but the command on its card may name a patient's file.
        with atomic.new_folder(output, private=True) as part:
            fit(vectors, sample.labels, embedder).write(part)
            (part / CARD).touch(mode=0o600)
            (part / CARD).write_text("\n".join(_card(spec, embedder, figures, part)) + "\n", "utf-8")
    except OSError as error:
        raise InputError(f"cannot write {output}: {error.strerror}", hint="give another -o") from error
    return figures


def _labelled_sample(spec: QualitySpec, notify: Callable[[str], None]) -> LabelledSample:
    """Draws the sample and has the engine label it; raises DiragError where too little comes of it."""
    config, left_out = spec.config, Counter[str]()
    prompt = read_prompt(config.prompt)
    drawn, total = draw(formats.read(spec.paths), spec.sample, seed=config.seed, left_out=left_out)
    if len(drawn) < _FEWEST:
        raise InputError(
            f"{', '.join(spec.paths)}: a sample of {len(drawn)} different paragraphs is less than {_FEWEST}",
            hint="give more documents, or a larger --sample",
        )
    # Before the labels: a server that is gone when they are there would cost them.
    identity = engines.engine_identity(config)
    with (
        closing(engines.backend(config)) as engine,
        Meter("labelling", len(drawn), unit="paragraphs", wanted=True, write=notify) as meter,
    ):
        labelled = label(engine, prompt, drawn, left_out, advance=meter.at)
        for notice in engine.notices():
            meter.say(notice)
    if len(labelled) < _FEWEST:
        raise BackendError(
            f"{len(labelled)} of {len(drawn)} paragraphs have a label, less than {_FEWEST}",
            hint=f"{listed(left_out)}: give another --model, --context or --sample",
        )
    paragraphs, labels = zip(*labelled, strict=True)
    return LabelledSample(paragraphs, labels, len(drawn), total, dict(sorted(left_out.items())), identity)


def _card(spec: QualitySpec, embedder: Embedder, figures: QualityFigures, folder: Path) -> Iterator[str]:
    """Yields the lines of the card; no text of a document."""
    config, validation = spec.config, figures.validation
    yield "# Quality score of paragraphs for `dirag`\n"
    yield f"Made with `{spec.command}` by {listed(fingerprint.versions('dirag', 'scikit-learn', 'numpy'))}."
    yield f"It is for the encoder {embedder.name}, of {embedder.dimension} dimensions.\n"
    yield f"## Labels\n\nGiven by `--backend {config.backend}` to a sample with seed {config.seed}: "
    yield f"{listed(figures.sample.engine)}.\n"
    yield "## Small model\n"
    yield f"Figures are of {FOLDS} folds of {validation.unit}, against the labels of the LLM:\n"
    yield from (f"    {line}" for line in figures.lines())
    yield "\n## Files\n"
    yield from (f"- {name}: sha256 {fingerprint.sha256(folder / name)}" for name in (DESCRIPTION, WEIGHTS))
